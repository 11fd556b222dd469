"""Everything that reads what others wrote, fuzzed with atheris, which libFuzzer guides by coverage.

Run as: python -m tests.fuzz [--minutes N] [--folder DIR] [TARGET …], after pip install atheris.
What fails, or takes more than ten seconds, is kept in DIR/TARGET/found.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from rag.documents import child, markdown, parse, table, text
from rag.documents.content import Content, File
from rag.errors import RagError
from rag.passages import cut_passages
from rag.sentences import read_heading, split_sentences
from rag.types import Document, Layout, Sentence
from tests.conftest import ROOT
from tests.hostile_files import make_docx, make_hostile_files, pdf_with

LIMIT = 1 << 20  # characters out of a file
_ROUND = 60  # seconds of a target at a time
# What runs in a round: libFuzzer is guided through the modules that are imported inside the "with".
_PROGRAM = """
import atheris
libraries = ["docx", "justext", "syntok", "trafilatura", "yaml"]
with atheris.instrument_imports(include=["rag", *libraries]):
    import docx, trafilatura, yaml, rag.cli, rag.web.shelf, rag.evals.feedback
    from tests.fuzz import fuzz
fuzz({name!r})
"""

Try = Callable[[bytes], object]  # a RagError is what it may raise


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed, made where it is needed, and what it begins with."""

    make: Callable[[], Try]
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 1 << 12  # bytes of an input


# Readers of files: what they give can be sent, cut into sentences and into passages.


def _reading(read: Callable[[File], Content]) -> Callable[[], Try]:
    return lambda: lambda data: _check_content(read(File(data, LIMIT)))


def _parsing(suffix: str, wrap: Callable[[bytes], bytes] = bytes) -> Callable[[], Try]:
    return _reading(lambda file: parse(suffix, File(wrap(file.data), LIMIT)))


def _check_content(content: Content) -> None:
    line = json.dumps({"content": asdict(content)}, ensure_ascii=False).encode()
    assert child._content(json.loads(line)) == content
    assert 0 <= content.body <= len(content.text)
    assert list(content.pages) == sorted(content.pages)
    _check_cuts(Document("a.txt", content.text, "A", "", content.layout, content.body))


def _check_cuts(document: Document) -> None:
    sentences = split_sentences(document)
    _check_spans(document, sentences)
    for sentence in sentences:
        read_heading(document.text[sentence.start : sentence.end])
    passages = cut_passages(document, sentences, _count_tokens, 50)
    _check_spans(document, [sentence for passage in passages for sentence in passage.sentences])


def _check_spans(document: Document, spans: Sequence[Sentence]) -> None:
    """They lie in order, and only white space lies between them."""
    places = [document.body, *(at for span in spans for at in (span.start, span.end))]
    places.append(len(document.text))
    assert places == sorted(places)
    assert all(span.start < span.end for span in spans)
    assert not any(document.text[at:to].strip() for at, to in [*pairwise(places)][::2])


def _count_tokens(texts: Sequence[str]) -> list[int]:
    return [len(text) // 4 for text in texts]


def _cutting() -> Try:
    layouts = get_args(Layout)

    def cut(data: bytes) -> None:
        layout = layouts[data[0] % len(layouts)] if data else layouts[0]
        _check_cuts(Document("a.txt", data[1:].decode(errors="replace"), "A", "", layout))

    return cut


# What callers send.


def _asking() -> Try:
    """A line of ``rag ask --json``: a question, or an object with a thread."""
    from rag.build import build_index
    from rag.cli import _Desk, _parse
    from rag.encoder import SentenceEncoder
    from rag.render import answer_lines, answer_object
    from rag.settings import Settings

    index = Path(tempfile.mkdtemp()) / "index"
    build_index(ROOT / "corpus", index, SentenceEncoder(), Settings())
    desk = _Desk(str(index), Settings(threshold=0))

    def ask(data: bytes) -> None:
        answer = desk.answer(_parse(data.decode(errors="replace").strip()))
        json.dumps(answer_object(answer), ensure_ascii=False).encode()
        list(answer_lines(answer, ()))
        for quote in answer.quotes:
            assert quote.text == quote.document.text[quote.start : quote.end] != ""

    return ask


def _judging() -> Try:
    from rag.evals.feedback import read_judgement

    return lambda data: json.dumps(asdict(read_judgement(_object(data)))).encode()


def _choosing() -> Try:
    from rag.web.scope import read_scope

    return lambda data: read_scope(data.decode(errors="replace"))


def _naming() -> Try:
    from rag.web.shelf import safe_name

    def name(data: bytes) -> None:
        safe = safe_name(data.decode(errors="surrogateescape"))
        assert Path(safe).name == safe == safe_name(safe)
        assert len(safe.encode()) < 256

    return name


def _object(data: bytes) -> Any:
    """What FastAPI gives to a route that takes an object."""
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        return value if isinstance(value, dict) else {}
    return {}


# What to begin with.


def _files(*suffixes: str, folder: str = "") -> Callable[[], Iterable[bytes]]:
    return lambda: (
        data
        for name, data in make_hostile_files(size=9)
        if name.startswith(folder) and name.endswith(suffixes)
    )


def _parts(*parts: str) -> Callable[[], Iterable[bytes]]:
    return lambda: (part.encode() for part in parts)


TARGETS = {
    "text": Target(_reading(text.read), _files(".txt")),
    "markdown": Target(_reading(markdown.read), _files(".md")),
    "table": Target(_reading(table.read), _files(".csv")),
    "page": Target(_parsing(".html"), _files(".html")),
    "pdf": Target(_parsing(".pdf"), _files(".pdf", folder="mutants/"), 1 << 14),
    "pdf-content": Target(
        _parsing(".pdf", lambda data: pdf_with(None, data)),
        _parts("BT /F1 9 Tf (obser-) Tj T* (vatory \\255) Tj ET", "BT 1 0 0 1 9 9 Tm [(a) 9] TJ"),
    ),
    "word": Target(_parsing(".docx"), _files(".docx"), 1 << 16),
    "word-content": Target(
        _parsing(".docx", make_docx),
        _parts(
            '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
            '<w:body><w:p><w:pPr><w:pStyle w:val="Heading1"/><w:numPr/></w:pPr><w:r><w:t>Text.'
            "</w:t><w:br/><w:tab/></w:r></w:p><w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl></w:body>"
            "</w:document>"
        ),
    ),
    "sentences": Target(_cutting, _files(".txt", ".md", ".csv")),
    "question": Target(
        _asking,
        _parts(
            "How many American soldirs are in Iraq?",
            '{"question": "Why?", "documents": ["troops.md"], "thread": [{"text": "Who?"}]}',
        ),
    ),
    "feedback": Target(
        _judging,
        _parts(
            '{"question": "Who?", "said": "wrong"}',
            '{"question": "Who?", "said": "right", '
            '"places": [{"document": "troops.md", "start": 0, "end": 9}]}',
        ),
    ),
    "scope": Target(_choosing, _parts('{"documents": ["a"], "from": "2020", "to": "2021-09-30"}')),
    "name": Target(_naming, _parts("../../etc/pass wd.TXT", "C:\\con.txt", ".~$\u202ea.pdf")),
}


# In a process for each round.


def fuzz(name: str) -> None:
    """Fuzz a target as libFuzzer's arguments, in ``sys.argv``, say; never returns."""
    import atheris  # type: ignore[import-untyped]

    attempt = TARGETS[name].make()

    def one(data: bytes) -> None:
        with suppress(RagError):
            attempt(data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


# In the process that starts them.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--minutes", type=float, default=60, help="of all targets together")
    parser.add_argument("--folder", type=Path, default=Path("fuzzed"))
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    console = Console(highlight=False)
    runs, seconds = Counter[str](), Counter[str]()
    for name in _turns(names, options.minutes * 60):
        started = time.monotonic()
        runs[name] += _run(name, options.folder / name)
        seconds[name] += round(time.monotonic() - started)
        console.print(f"{name}: {runs[name]:,} runs")
    console.print(_table(names, runs, seconds, options.folder))


def _turns(names: Sequence[str], seconds: float) -> Iterator[str]:
    """Each target in turn until the time is over, each once at the least."""
    end = time.monotonic() + seconds
    for number, name in enumerate(cycle(names)):
        if number >= len(names) and time.monotonic() >= end:
            return
        yield name


def _run(name: str, folder: Path) -> int:
    """One round; how often the target was tried."""
    target = TARGETS[name]
    corpus, found = folder / "corpus", folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    if not corpus.exists():
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed[: target.longest])
    told, failed = _ask_libfuzzer(name, corpus, found)
    if failed:
        (found / f"report-{time.time_ns()}.txt").write_text(told[-20_000:], "utf-8")
        _drop_found(corpus, found)
    counts = re.findall(r"number_of_executed_units: (\d+)|^#(\d+)\s", told, re.MULTILINE)
    return max((int(final or last) for final, last in counts), default=0)


def _ask_libfuzzer(name: str, corpus: Path, found: Path) -> tuple[str, bool]:
    """What it says of a round, and whether something failed."""
    options = [f"-max_total_time={_ROUND}", "-timeout=10", f"-max_len={TARGETS[name].longest}"]
    options += ["-rss_limit_mb=3000", "-print_final_stats=1", f"-artifact_prefix={found}/"]
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(name=name), corpus, *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=5 * _ROUND,
            check=False,
        )
    except subprocess.TimeoutExpired:  # it can hang itself when a library in C is slow
        return "hangs", True
    return ran.stdout.decode(errors="replace"), ran.returncode != 0


def _drop_found(corpus: Path, found: Path) -> None:
    """Leave out of the corpus what would end the next round as well."""
    known = {path.read_bytes() for path in found.iterdir()}
    for path in corpus.iterdir():
        if path.read_bytes() in known:
            path.unlink()


def _table(names: Sequence[str], runs: Counter[str], seconds: Counter[str], folder: Path) -> Table:
    shown = Table("target", "runs", "seconds", "failed")
    for name in names:
        failures = len(list((folder / name / "found").glob("report-*")))
        shown.add_row(name, f"{runs[name]:,}", f"{seconds[name]:,}", str(failures))
    return shown


if __name__ == "__main__":
    main()
