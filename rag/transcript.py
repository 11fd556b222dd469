"""A turn as it leaves the chat: an object that can be verified later, and Markdown to paste."""

from __future__ import annotations

import re
from typing import Any

from rag.index import Index
from rag.render import answer_object, place
from rag.types import Answer, Quote

FORMAT = 1  # of an exported conversation: {"format": 1, "turns": [turn_object(…), …]}

_MARKUP = re.compile(r"[\\`*_\[\]<>&|~$]")
_LINE_MARKUP = re.compile(r"^(\s*)([#+=-]|\d+(?=[.)]))", re.MULTILINE)


def turn_object(answer: Answer, generation: Index) -> dict[str, Any]:
    """An answer as ``rag ask --json`` prints it, with what tells later whether its quotes stand.

    That is the generation's name, and for each quote its document's date and digest.
    """
    values: dict[str, Any] = {**answer_object(answer)}
    del values["passages"]
    for row, quote in zip(values["quotes"], answer.quotes, strict=True):
        row |= {"date": quote.document.date, "digest": quote.document.digest}
        for other_row, other in zip(row["also_in"], quote.also_in, strict=True):
            other_row["digest"] = other.document.digest
    return {"generation": generation.name, **values}


def turn_markdown(answer: Answer) -> str:
    """The question, the quotes and their citations; a document's text is never read as markup."""
    parts = [f"**{_escape(' '.join(answer.question.split()))}**"]
    if answer.searched_for:
        parts.append(f"Searched for: {_escape(' '.join(answer.searched_for.split()))}")
    for number, quote in enumerate(answer.quotes, start=1):
        parts.append(f"{_block_quote(quote.text)} \\[{number}\\]")
    parts += [f"The documents do not answer: {_escape(part)}" for part in answer.unanswered]
    for number, quote in enumerate(answer.quotes, start=1):
        others = "".join(f"; also in {_citation(other)}" for other in quote.also_in)
        parts.append(f"\\[{number}\\] {_citation(quote)}{others}")
    if not answer.answered:
        parts.append("The documents do not answer this.")
    return "\n\n".join(parts) + "\n"


def _block_quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in _escape(text).splitlines())


def _citation(quote: Quote) -> str:
    document = quote.document
    dated = f" ({document.date})" if document.date else ""
    where = f"{dated}, {document.name}, {place(document, quote.start)}"
    return f"*{_escape(' '.join(document.title.split()))}*{_escape(where)}"


def _escape(text: str) -> str:
    r"""Markdown whose rendering is ``text``: a backslash before whatever would be markup."""
    escaped = _MARKUP.sub(r"\\\g<0>", text)
    return _LINE_MARKUP.sub(_escape_line_start, escaped)


def _escape_line_start(match: re.Match[str]) -> str:
    space, mark = match.groups()
    return f"{space}{mark}\\" if mark.isdigit() else f"{space}\\{mark}"
