"""The shell: index · ask · search · show · eval · chat · mcp · verify."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import IndexMismatch, QuestionError, RagError
from rag.settings import Settings, load_settings

if TYPE_CHECKING:
    from rag.build import Plan, Report
    from rag.encoder import Encoder
    from rag.evals.results import Results
    from rag.home import Home
    from rag.index import Index
    from rag.types import Answer
    from rag.workers import Workers

app = typer.Typer(
    name="rag",
    help="Ask your documents; every answer is made of quotations, each with its place.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_Index = Annotated[
    str, typer.Option("--index", help="The folder of the index, or milvus://HOST:PORT/NAME.")
]
_Corpus = Annotated[Path, typer.Option("--corpus", help="The folder of documents.")]
_SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="A TOML file of settings; rag.toml is read if it is there."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
_Documents = Annotated[
    list[str] | None,
    typer.Option("--document", help="Answer from this document only; may be repeated."),
]


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 when it did its job, 1 when it failed, 2 when called wrongly."""
    for stream, errors in (
        (sys.stdin, "surrogateescape"),  # so that a line that is not UTF-8 costs the others nothing
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        stream.reconfigure(encoding="utf-8", errors=errors)  # type: ignore[union-attr]
    try:
        app(arguments)
    except RagError as error:
        _complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader went away, as in: rag show a.md | head
        sys.stderr.close()
        sys.exit(0)


@app.command(epilog="Example: rag index --corpus ~/reports")
def index(
    corpus: _Corpus = Path("corpus"),
    index: _Index = "index",
    full: Annotated[bool, typer.Option("--full", help="Read everything anew.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only verify every file of it.")] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Return to the index before the last rebuild.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Read and embed with so many Ray workers; 0: one a core."),
    ] = None,
    settings_file: _SettingsFile = None,
) -> None:
    """Bring the index up to date with the documents."""
    from rag.encoder import SentenceEncoder
    from rag.home import find_home, rebuild

    if full + plan + check + rollback > 1 and not {full, plan} == {True}:
        raise typer.BadParameter("--plan, --check and --rollback are used one at a time")
    home = find_home(index)
    if check or rollback:
        print(home.check() if check else _rolled_back(home))
        return
    settings = load_settings(settings_file)
    encoder = SentenceEncoder(settings.model, settings.engine)
    if plan:
        from rag.build import plan_index

        home.fetch(encoder, settings)
        for line in _plan_lines(plan_index(corpus, home.folder, encoder, settings, full=full)):
            print(line)
        return
    crew = None if workers is None else _workers(workers)
    with _progress_bar("Indexing") as show:
        report = rebuild(home, corpus, encoder, settings, full=full, progress=show, workers=crew)
    for line in _report_lines(report):
        print(line)


@app.command(epilog='Example: rag ask "When does the mission end?" --document announcement.md')
def ask(
    question: Annotated[str | None, typer.Argument(help="Left out: one a line on stdin.")] = None,
    as_json: _Json = False,
    index: _Index = "index",
    document: _Documents = None,
    settings_file: _SettingsFile = None,
) -> None:
    """Answer a question with quotes from the documents.

    Without QUESTION, each line on standard input is a question, or a JSON object with the keys
    question, documents and thread, the turns before it: [{"role": "user", "text": "…"}, …].
    """
    desk = _Desk(index, load_settings(settings_file))
    if question is not None:
        asked = _Asked(question, tuple(document or ()))
        _print_answer(desk.answer(asked), desk, as_json=as_json)
    elif not _answer_lines(sys.stdin, desk, as_json=as_json):
        raise typer.Exit(1)


@app.command(epilog='Example: rag search "withdrawal from Kurdistan" -k 3')
def search(
    question: str,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 5,
    as_json: _Json = False,
    index: _Index = "index",
    document: _Documents = None,
    settings_file: _SettingsFile = None,
) -> None:
    """List the passages nearest to a question, best first."""
    from rag.render import found_object, passage_line

    desk = _Desk(index, load_settings(settings_file))
    hits = desk.answer(_Asked(question, tuple(document or ()))).hits[:k]
    for number, hit in enumerate(hits, 1):
        source = desk.generation.document(hit.passage.document)
        if as_json:
            _print_json(found_object(hit, source))
        else:
            print(f"{number:>2}  {hit.score:.3f}  {passage_line(hit, source)}\n")


@app.command(epilog="Example: rag show announcement.md")
def show(document: str, index: _Index = "index") -> None:
    """Print a document's stored text, exactly: the text that all offsets count in."""
    from rag.home import find_home
    from rag.render import printable

    generation = find_home(index).open()
    try:
        text = generation.document(document).text
    except KeyError:
        raise QuestionError(_no_document(document, generation)) from None
    if sys.stdout.isatty():
        text = printable(text)  # a terminal obeys control characters, a file keeps them
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


@app.command(
    name="eval",
    epilog="Example: rag eval tests/questions.jsonl --report report.html --fail-under recall@5=0.9",
)
def evaluate(
    question_set: Annotated[
        Path | None,
        typer.Argument(metavar="SET", help="A folder, or a file of questions for the index."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write one HTML page here.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Compare with what --json printed earlier.")
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: exit 1 if it is worse; may be repeated.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Write a BEIR set's rankings, for TREC.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Write questions to the file SET.")] = False,
    from_feedback: Annotated[
        bool, typer.Option("--from-feedback", help="Ask what was judged in the chat, without SET.")
    ] = False,
    index: _Index = "index",
    settings_file: _SettingsFile = None,
) -> None:
    """Measure retrieval, quotes and refusals on a set of questions.

    SET is a folder in the spans layout or in BEIR's, or a questions.jsonl about the index in use.
    """
    from rag.encoder import SentenceEncoder
    from rag.evals.compare import find_shortfalls
    from rag.evals.results import read_results
    from rag.evals.run import write_run

    if from_feedback:
        question_set = _feedback_set(index)
    if question_set is None:
        raise typer.BadParameter("name a SET, or give --from-feedback")
    floors = _parse_floors(fail_under or [])
    earlier = read_results(against) if against else None
    settings = load_settings(settings_file)
    encoder = SentenceEncoder(settings.model, settings.engine)
    if new:
        from rag.evals.new import write_questions
        from rag.home import find_home

        write_questions(question_set, find_home(index).open(), encoder, settings)
        return
    results = _evaluate(question_set, index, encoder, settings, report)
    if run:
        write_run(results, run)
    _print_results(results, earlier, as_json=as_json)
    shortfalls = find_shortfalls(results, floors)
    for line in shortfalls:
        _complain(line)
    if shortfalls:
        raise typer.Exit(1)


@app.command(epilog="Example: rag chat --port 8000")
def chat(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 7860,
    auth_file: Annotated[
        Path | None, typer.Option(help="Who may sign in; needed where others reach it.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="A name it is reached by, as behind a proxy.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Add a JSON line a request and an answer to this file.")
    ] = None,
    log_questions: Annotated[
        bool, typer.Option("--log-questions", help="Log what was asked, too.")
    ] = False,
    sets: Annotated[
        Path | None, typer.Option(help="A folder of .jsonl files of questions, to run as evals.")
    ] = None,
    corpus: _Corpus = Path("corpus"),
    index: _Index = "index",
    settings_file: _SettingsFile = None,
) -> None:
    """Serve the web chat, to this machine or to those who sign in."""
    from rag.web import Callers, Folders, serve

    serve(
        Folders(corpus, index, sets),
        load_settings(settings_file),
        host,
        port,
        Callers(auth_file, name or ()),
        log,
        log_questions=log_questions,
    )


@app.command(epilog="Example: rag mcp --index ~/reports-index")
def mcp(index: _Index = "index", settings_file: _SettingsFile = None) -> None:
    """Answer a language model's program by the Model Context Protocol, on stdin and stdout."""
    from rag.mcp import serve_tools

    serve_tools(index, load_settings(settings_file))


user = typer.Typer(help="Accounts for rag chat --auth-file.", no_args_is_help=True)
app.add_typer(user, name="user")


@user.callback()
def _user() -> None:  # keeps "add" a word of its own
    pass


@user.command(epilog="Example: rag user add ada")
def add(
    name: str,
    auth_file: Annotated[Path, typer.Option(help="The file of accounts.")] = Path("accounts"),
) -> None:
    """Make an account, or change its password, which is asked for."""
    from rag.accounts import add_account

    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    done = "was added to" if add_account(auth_file, name, password) else "has another password in"
    print(f"{name} {done} {auth_file}.")


@app.command(epilog="Example: rag verify conversation.json")
def verify(
    file: Annotated[Path, typer.Argument(help="A conversation that the chat saved as JSON.")],
    index: _Index = "index",
) -> None:
    """Say which quotes of a saved conversation still stand, moved, or are gone.

    Exit 1 when one is gone.
    """
    from rag.home import find_home
    from rag.verify import read_conversation, verdict_line
    from rag.verify import verify as verify_quote

    generation = find_home(index).open()
    verdicts = [verify_quote(quote, generation) for quote in read_conversation(file)]
    for verdict in verdicts:
        print(verdict_line(verdict, generation))
    if any(verdict.state == "gone" for verdict in verdicts):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    documents: tuple[str, ...] = ()
    thread: tuple[str, ...] = ()  # what was said before, oldest first


class _Desk:
    """What is needed to answer: the index in use and the model that made it."""

    def __init__(self, index: str, settings: Settings) -> None:
        from rag.encoder import SentenceEncoder
        from rag.home import find_home

        self._index = index
        self._home = find_home(index)
        self._settings = settings
        self._encoder = SentenceEncoder(settings.model, settings.engine)
        self.generation = self._open()  # that gave the last answer

    def answer(self, asked: _Asked) -> Answer:
        from rag.answer import answer
        from rag.types import Scope

        if self._home.stamp() != self._stamp:  # rebuilt since the last question
            self.generation = self._open()
        return answer(
            asked.question,
            self.generation,
            self._encoder,
            self._settings,
            Scope(asked.documents),
            asked.thread,
        )

    def _open(self) -> Index:
        self._stamp = self._home.stamp()
        generation = self._home.open()
        for name, wanted in self._settings.shape().items():
            built = generation.settings.shape()[name]
            if built != wanted:
                raise IndexMismatch(
                    f"{self._index} was built with {name} = {built}, the settings say {wanted}: "
                    "run rag index"
                )
        generation.check_model(self._encoder)
        return generation


def _answer_lines(lines: Iterable[str], desk: _Desk, *, as_json: bool) -> bool:
    """Answer each line; one that cannot be asked is reported and costs the others nothing."""
    fine = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            _print_answer(desk.answer(_parse(line.strip())), desk, as_json=as_json)
        except QuestionError as error:
            fine = False
            _complain(f"line {number}: {error}")
            if as_json:
                _print_json({"question": line.strip(), "error": str(error)})
    return fine


def _parse(line: str) -> _Asked:
    """Read a question, or an object in the spans layout of question sets."""
    from rag.thread import read_thread

    if not line.startswith("{"):
        return _Asked(line)
    try:
        values = json.loads(line)
        question, documents = values["question"], values.get("documents", [])
        thread = values.get("thread", [])
    except (ValueError, KeyError, RecursionError):
        raise QuestionError(
            'this is neither a question nor a JSON object with a "question"'
        ) from None
    if not isinstance(question, str) or not _are_names(documents):
        raise QuestionError('"question" must be a text and "documents" a list of names')
    return _Asked(question, tuple(documents), read_thread(thread))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _print_answer(answer: Answer, desk: _Desk, *, as_json: bool) -> None:
    from rag.render import NEAREST, answer_lines, answer_object

    if as_json:
        _print_json(answer_object(answer))
        return
    nearest = [
        (hit, desk.generation.document(hit.passage.document)) for hit in answer.hits[:NEAREST]
    ]
    for line in answer_lines(answer, nearest):
        print(line)


def _parse_floors(pairs: Iterable[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in (pair.rsplit("=", 1) for pair in pairs)}
    except ValueError:
        raise typer.BadParameter("--fail-under takes NAME=VALUE, as in recall@5=0.85") from None


def _feedback_set(index: str) -> Path:
    from rag.evals.feedback import write_feedback_set
    from rag.home import find_home

    home = find_home(index)
    return write_feedback_set(home.folder, home.open())


def _evaluate(
    question_set: Path, index: str, encoder: Encoder, settings: Settings, report: Path | None
) -> Results:
    from rag.evals.report import render_report
    from rag.evals.run import evaluate, open_set

    with _progress_bar("Indexing") as show:
        opened = open_set(question_set, index, encoder, settings, progress=show)
    with _progress_bar("Asking") as show:
        results = evaluate(opened, encoder, progress=show)
    if report:
        report.write_text(render_report(results, opened), "utf-8")
    return results


def _print_results(results: Results, earlier: Results | None, *, as_json: bool) -> None:
    """The table, and what changed; with JSON on stdout, what changed goes to stderr."""
    from rich.console import Console

    from rag.evals.compare import compare
    from rag.evals.tables import changed_lines, comparison_table, failure_lines, results_table

    for line in failure_lines(results):
        _complain(line)
    console = Console(stderr=as_json)
    if as_json:
        print(results.to_json())
    else:
        console.print(results_table(results))
    if earlier:
        comparison = compare(earlier, results)
        console.print(comparison_table(comparison))
        for line in changed_lines(comparison):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _no_document(name: str, generation: Index) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, generation.names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"{len(generation.names)} others are"
    return f"no document called {name} is in the index; {hint}"


def _workers(count: int) -> Workers:
    from rag.workers import Workers

    return Workers(count)


def _rolled_back(home: Home) -> str:
    manifest = home.roll_back()
    return f"Generation {manifest.generation} of {manifest.created} is in use again."


def _plan_lines(plan: Plan) -> Iterable[str]:
    from rag.render import printable

    if plan.anew:
        yield f"Every document is to be read: {plan.anew}."
    kinds = (("added", plan.added), ("changed", plan.changed), ("removed", plan.removed))
    for kind, names in kinds:
        for name in names:
            yield f"{kind:<8} {printable(name)}"
    for old, new in plan.moved:
        yield f"moved    {printable(old)} → {printable(new)}"
    counts = ", ".join(f"{len(names):,} {kind}" for kind, names in kinds)
    yield f"{counts}, {len(plan.moved):,} moved, {plan.same:,} unchanged."


def _report_lines(report: Report) -> Iterable[str]:
    from rag.build import list_skipped
    from rag.render import printable

    state = "is in use" if report.changed else "was up to date"
    yield (
        f"Generation {report.generation} {state}: {report.documents:,} documents, "
        f"{report.passages:,} passages, {report.encoded:,} of them encoded now, "
        f"{report.seconds:.1f} s."
    )
    if count := len(report.skipped):
        yield f"{count:,} file{'s were' if count > 1 else ' was'} skipped:"
    for line in list_skipped(report.skipped):
        yield f"  {printable(line)}"


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), Remaining())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done, _name: bar.update(task, completed=done)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _complain(message: str) -> None:
    from rag.render import printable

    print(f"rag: {printable(message)}", file=sys.stderr)


if __name__ == "__main__":
    main()
