"""Question sets as files: the spans layout, BEIR's layout, a user's own questions.

Every error of a set is reported by line number, all at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rag.errors import EvalError
from rag.evals.spans import Place, trim

TextIfKnown = Callable[[str], str | None]  # a document's name → its text, None if there is none

_ROLES = ("user", "assistant")
_BEIR_FILES = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said before a question."""

    role: str  # "user" or "assistant"
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold: the places that answer it, or the documents that do (BEIR)."""

    id: str
    text: str
    gold: tuple[Place, ...] = ()  # without white space around them
    kind: str | None = None
    documents: tuple[str, ...] = ()  # where not empty, only these may answer
    thread: tuple[Turn, ...] = ()
    grades: Mapping[str, int] = field(default_factory=dict)  # BEIR: document id → relevance

    @property
    def answerable(self) -> bool:
        return bool(self.gold) or any(grade > 0 for grade in self.grades.values())


@dataclass(frozen=True, slots=True)
class Article:
    """A document of BEIR's layout."""

    id: str
    title: str
    text: str


class Complaints:
    """The errors of one file, by line number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[tuple[int, str]] = []

    def add(self, line: int, error: str) -> None:
        self._lines.append((line, error))

    def raise_any(self) -> None:
        """Raise one EvalError that holds every complaint."""
        if self._lines:
            listed = "".join(f"\n  line {line}: {error}" for line, error in sorted(self._lines))
            raise EvalError(f"{self.path} cannot be used as it is:{listed}")


def find_layout(path: Path) -> Literal["questions", "spans", "beir"]:
    """Tell the layout of a set. Raises EvalError where it is none of the three."""
    if path.is_file():
        return "questions"
    if (path / "questions.jsonl").is_file() and (path / "corpus").is_dir():
        return "spans"
    if all((path / name).is_file() for name in _BEIR_FILES):
        return "beir"
    raise EvalError(
        f"{path} is no question set: give a folder with questions.jsonl and corpus/, a folder with "
        f"{', '.join(_BEIR_FILES)}, or a file of questions about the documents in the index"
    )


def read_questions(path: Path, text_of: TextIfKnown) -> list[Question]:
    """Read questions in the spans layout, their places checked against the documents.

    Raises EvalError with every error of the file.
    """
    complaints = Complaints(path)
    questions: dict[str, Question] = {}
    for line, values in _read_objects(path, complaints):
        errors, question = _read_question(values, text_of)
        if question and question.id in questions:
            errors.append(f'the id "{question.id}" is taken')
        for error in errors:
            complaints.add(line, error)
        if question:
            questions[question.id] = question
    complaints.raise_any()
    if not questions:
        raise EvalError(f"{path} holds no question: rag eval --new {path} asks for some")
    return list(questions.values())


def read_articles(folder: Path) -> list[Article]:
    """Read the documents of a BEIR set. Raises EvalError with every error of the file."""
    complaints = Complaints(folder / "corpus.jsonl")
    articles = {}
    for line, values in _read_objects(complaints.path, complaints):
        name, title, text = values.get("_id"), values.get("title", ""), values.get("text")
        if not isinstance(name, str) or not isinstance(title, str) or not isinstance(text, str):
            complaints.add(line, 'it needs "_id", "title" and "text", each a text')
        elif name in articles:
            complaints.add(line, f'the _id "{name}" is taken')
        else:
            articles[name] = Article(name, title, text)
    complaints.raise_any()
    return list(articles.values())


def read_judged_queries(folder: Path, articles: set[str]) -> list[Question]:
    """Read the queries of a BEIR set that its test judgements name, in the order of the queries.

    Raises EvalError with every error of the queries, or of the judgements.
    """
    texts = _read_queries(folder / "queries.jsonl")
    grades = _read_grades(folder / "qrels" / "test.tsv", set(texts), articles)
    return [Question(name, texts[name], grades=grades[name]) for name in texts if name in grades]


def digest_files(path: Path) -> str:
    """SHA-256 over the questions and their labels, hex."""
    names = {"questions": [""], "spans": ["questions.jsonl"], "beir": _BEIR_FILES[1:]}
    digest = hashlib.sha256()
    for name in names[find_layout(path)]:
        digest.update((path / name).read_bytes())
    return digest.hexdigest()


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file. Raises EvalError where it cannot be read as one."""
    try:
        return path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise EvalError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise EvalError(f"{path} is not UTF-8: the first wrong byte is in line {line}") from None


def _read_objects(path: Path, complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the JSON object of each line that is not blank, with the line's number."""
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            json.dumps(values, ensure_ascii=False).encode()  # half a character passes json.loads
        except (ValueError, RecursionError) as error:
            complaints.add(number, f"it is not JSON: {error}")
            continue
        if isinstance(values, dict):
            yield number, values
        else:
            complaints.add(number, "it is not a JSON object")


def _read_question(
    values: dict[str, Any], text_of: TextIfKnown
) -> tuple[list[str], Question | None]:
    """Return every error of one line, or the question where there is none."""
    thread, documents = values.get("thread", []), values.get("documents", [])
    errors = [
        *_check_texts(values),
        *_check_thread(thread),
        *_check_documents(documents, text_of),
        *_check_quotes(values.get("quotes"), text_of),
    ]
    if errors:
        return errors, None
    spans = [(q["document"], q["start"], q["end"]) for q in values["quotes"]]
    return [], Question(
        id=values["id"],
        text=values["question"],
        gold=tuple(trim(Place(*span), text_of(span[0]) or "") for span in spans),
        kind=values.get("kind"),
        documents=tuple(documents),
        thread=tuple(Turn(turn["role"], turn["text"]) for turn in thread),
    )


def _check_texts(values: dict[str, Any]) -> list[str]:
    missing = [name for name in ("id", "question") if not _filled(values.get(name))]
    if values.get("kind") is not None and not _filled(values["kind"]):
        missing.append("kind")
    return [f'"{name}" must be a text that is not empty' for name in missing]


def _check_thread(thread: object) -> list[str]:
    turns = thread if isinstance(thread, list) else [None]
    for turn in turns:
        values = turn if isinstance(turn, dict) else {}
        if values.get("role") not in _ROLES or not isinstance(values.get("text"), str):
            return ['"thread" must be a list of {"role": "user" or "assistant", "text": …}']
    return []


def _check_documents(documents: object, text_of: TextIfKnown) -> list[str]:
    if not isinstance(documents, list) or not all(isinstance(name, str) for name in documents):
        return ['"documents" must be a list of names']
    return [_unknown(name) for name in documents if text_of(name) is None]


def _check_quotes(quotes: object, text_of: TextIfKnown) -> list[str]:
    if not isinstance(quotes, list):
        return ['"quotes" must be a list, empty where the documents do not answer']
    errors = [_find_error(quote, text_of) for quote in quotes]
    return [f"quote {number}: {error}" for number, error in enumerate(errors, start=1) if error]


def _find_error(quote: object, text_of: TextIfKnown) -> str | None:
    if not isinstance(quote, dict):
        return "it is not a JSON object"
    name, start, end = quote.get("document"), quote.get("start"), quote.get("end")
    if not isinstance(name, str) or type(start) is not int or type(end) is not int:
        return 'it needs "document", a name, and "start" and "end", whole numbers'
    text = text_of(name)
    if text is None:
        return _unknown(name)
    if not 0 <= start < end <= len(text):
        return f"{start} to {end} is no span of {name}, which has {len(text):,} characters"
    found = text[start:end]
    if found.isspace() or quote.get("text", found) != found:
        return f"{start} to {end} of {name} is {found!r}, not {quote.get('text', 'words')!r}"
    return None


def _read_queries(path: Path) -> dict[str, str]:
    complaints = Complaints(path)
    texts: dict[str, str] = {}
    for line, values in _read_objects(path, complaints):
        name, text = values.get("_id"), values.get("text")
        if not (_filled(name) and _filled(text)):
            complaints.add(line, 'it needs "_id" and "text", each a text')
        elif name in texts:
            complaints.add(line, f'the _id "{name}" is taken')
        else:
            texts[str(name)] = str(text)
    complaints.raise_any()
    return texts


def _read_grades(path: Path, queries: set[str], articles: set[str]) -> dict[str, dict[str, int]]:
    complaints = Complaints(path)
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_lines(path)[1:], start=2):  # the first is a header
        if not line.strip():
            continue
        try:
            query, article, grade = line.strip().split("\t")
            value = int(grade)
        except ValueError:
            complaints.add(number, "it is not a query, a document and a whole number, with tabs")
            continue
        if query not in queries:
            complaints.add(number, f'no query has the _id "{query}"')
        if article not in articles:
            complaints.add(number, f'no document has the _id "{article}"')
        grades.setdefault(query, {})[article] = value
    complaints.raise_any()
    if not grades:
        raise EvalError(f"{path} holds no judgement")
    return grades


def _unknown(name: str) -> str:
    return f'no document is called "{name}"'


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
