"""The chat page, in Gradio. The conversation lives in the browser alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.errors import RagError
from rag.web.library import Library
from rag.web.markup import (
    show_answer,
    show_beginning,
    show_masthead,
    show_notice,
    show_problem_welcome,
    show_welcome,
)
from rag.web.programs import Endpoints
from rag.web.scope import read_said, read_scope

_log = logging.getLogger(__name__)

_MOST_WAITING = 100  # questions; one more is told that the server is busy
_POLL = 0.01  # seconds: Gradio looks for questions a thousand times a second, at 8 % of a core
_LOADING = "Loading the model; your question is answered as soon as it is ready."
_BUSY = "Too many questions are waiting here just now. Please ask again in a moment."
_FAILED = "Sorry, something went wrong here. The server's log says what; please ask again."

# Questions about the documents that ship with the project, each with the one that answers it.
EXAMPLES = {
    "announcement.md": "By when will the coalition's mission in Iraq be over?",
    "two-phases.md": "Which region is the second phase about?",
    "troops.md": "How many American soldiers are deployed in Iraq?",
    "pledges.md": "What will the $148 million pay for?",
}

# A click on an example asks it.
_CLICK = """
element.addEventListener("click", event => {
  const example = event.target.closest("button.example");
  if (example) trigger("select", {question: example.textContent, as_written: false});
});
"""

_LOG = '<div role="log" aria-label="Conversation">${value}</div>'

# A new turn comes into view, and stays there when it has joined the conversation.
_FOLLOW = """
watch("value", () => element.querySelector(".turn:last-child")?.scrollIntoView());
"""

# A question that was understood otherwise is asked again by a click, as it was written.
_AS_WRITTEN = """
element.addEventListener("click", event => {
  const turn = event.target.closest("button.as-written")?.closest(".turn");
  if (turn) trigger("select", {question: JSON.parse(turn.dataset.turn).question, as_written: true});
});
"""

# What goes along with a question: the documents chosen and the last turns, as the browser keeps
# them; the questions and the words of their quotes, cut to what the server reads of them.
_ALONG = """
(question, scope, said) => {
  window.asked = "";
  const turns = [...document.querySelectorAll("#thread .turn[data-turn]")].slice(-2);
  said = turns.map(turn => JSON.parse(turn.dataset.turn)).flatMap(({question, quotes}) => [
    {role: "user", text: question},
    {role: "assistant", text: quotes.map(quote => quote.text).join(" ")},
  ]).map(({role, text}) => ({role, text: [...text].slice(0, 1000).join("")}));
  return [question, sessionStorage.getItem("scope") ?? "", JSON.stringify(said)];
}
"""

# The box is emptied at once, so that typing can go on while the answer is on its way.
_EMPTY = f"""
(...along) => {{
  const box = document.querySelector("#box textarea");
  if (box.value === along[0]) {{
    box.value = "";
    box.dispatchEvent(new Event("input"));
  }}
  const sent = ({_ALONG})(...along);
  window.asked = along[0];
  return sent;
}}
"""

# The finished turn joins the conversation; a question that failed goes back into an empty box.
_APPEND = """
(thread, turn, box, failed) => {
  try {
    sessionStorage.setItem("thread", thread + turn);
  } catch { /* the browser keeps nothing: only a reload will miss it */ }
  return [thread + turn, "", box || failed, ""];
}
"""

# So does a question that was not taken because too many are waiting.
_GIVE_BACK = f"(turn, box) => [{json.dumps(show_notice('', _BUSY))}, box || window.asked]"

_RESTORE = "() => [sessionStorage.getItem('thread') ?? '']"


def make_page(library: Library, *, accounts: bool = False) -> gr.Blocks:
    """The chat over a library; ``accounts`` tells whether there is a sign-in."""
    page = gr.Blocks(title="Chapter & Verse", analytics_enabled=False)
    with page:
        _html(show_masthead(accounts=accounts), elem_id="masthead")
        welcome = _html("", elem_id="welcome", js_on_load=_CLICK)
        thread = _html("", elem_id="thread", html_template=_LOG, js_on_load=_FOLLOW + _AS_WRITTEN)
        turn = _html("", elem_id="turn", js_on_load=_FOLLOW)
        box = _box()
        failed = gr.Textbox(visible=False)
        scope = gr.Textbox(visible=False)
        said = gr.Textbox(visible=False)

        def respond(
            question: str, scope: str, said: str, event: gr.EventData
        ) -> Iterator[tuple[str, str]]:
            if event.target is box:
                yield from reply(library, question, scope, said)
            else:
                as_written = bool(event.as_written)
                yield from reply(library, str(event.question), scope, said, as_written=as_written)

        parts = [thread, turn, box, failed]
        for triggers, js in (([box.submit], _EMPTY), ([welcome.select, thread.select], _ALONG)):
            asked = gr.on(
                triggers,
                respond,
                [box, scope, said],
                [turn, failed],
                js=js,
                show_progress="hidden",
                api_visibility="private",
            )
            asked.success(None, parts, parts, js=_APPEND)
            asked.failure(None, [turn, box], [turn, box], js=_GIVE_BACK)
        page.load(None, None, thread, js=_RESTORE)
        page.load(
            lambda: greet(library),
            None,
            welcome,
            queue=False,  # its stream's end would swallow the answer to a question asked then
            show_progress="hidden",
            api_visibility="private",
        )
        Endpoints(library).add_to_page()
    page.queue(default_concurrency_limit=4, max_size=_MOST_WAITING)
    page._queue.sleep_when_free = _POLL  # noqa: SLF001  nothing public sets it
    return page


def _html(value: str, *, js_on_load: str | None = None, **options: Any) -> gr.HTML:
    """A component in our style; Gradio puts its value into the page as it is."""
    return gr.HTML(value, js_on_load=js_on_load, apply_default_css=False, **options)


def _box() -> gr.Textbox:
    return gr.Textbox(
        label="Your question",
        show_label=False,
        container=False,
        placeholder="Ask your documents",
        max_lines=6,
        autofocus=True,
        submit_btn="Ask",
        html_attributes=gr.InputHTMLAttributes(enterkeyhint="send"),
        elem_id="box",
    )


def reply(
    library: Library, question: str, scope: str = "", said: str = "", *, as_written: bool = False
) -> Iterator[tuple[str, str]]:
    """The turn as it changes until the question is answered, and the question where that fails.

    ``scope`` and ``said`` are the documents chosen and the thread, as the browser keeps them.
    """
    notice = "Looking …" if library.is_loaded else _LOADING
    yield show_notice(question, notice, waiting=True), ""
    try:
        asked = (question, read_scope(scope), read_said(said))
        answer, generation = library.answer(*asked, as_written=as_written)
        for count in range(1, len(answer.quotes)):
            yield show_beginning(answer, count), ""
        yield show_answer(answer, generation), ""
    except RagError as error:
        yield show_notice(question, f"No answer: {error}."), question
    except Exception:
        _log.exception("a question could not be answered")
        yield show_notice(question, _FAILED), question


def greet(library: Library) -> str:
    """What stands above the conversation."""
    try:
        names = library.current().names
    except RagError as error:
        return show_problem_welcome(f"Nothing can be asked yet: {error}.")
    return show_welcome(len(names), [EXAMPLES[name] for name in EXAMPLES if name in names])
