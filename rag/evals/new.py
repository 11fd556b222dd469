"""``rag eval --new``: a user's own questions, asked one by one and written as a question set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from rag.answer import answer
from rag.encoder import Encoder
from rag.errors import EvalError, QuestionError
from rag.evals.sets import read_lines, read_questions
from rag.evals.spans import Place
from rag.index import Index
from rag.render import place, printable
from rag.settings import Settings
from rag.types import Answer, Document, Hit, Quote

Read = Callable[[str], str]  # a prompt → the line typed; raises EOFError at the end
Write = Callable[[str], None]

_ASK = "Question (an empty line ends): "
_CHOOSE = "Which answer it? (y all · 1 2 … these · n the documents do not say · m more · s skip) "


@dataclass(frozen=True, slots=True)
class _Choice:
    """A stretch of a document that a user may call an answer."""

    document: Document
    places: tuple[Place, ...]  # its own, then the same words elsewhere

    @property
    def text(self) -> str:
        return self.document.text[self.places[0].start : self.places[0].end]


def write_questions(
    file: Path,
    generation: Index,
    encoder: Encoder,
    settings: Settings,
    read: Read = input,
    write: Write = print,
) -> int:
    """Ask for questions, show each answer, and add a line to ``file`` for each that is judged.

    Lines that the file has already are kept. Each line is written at once, so that nothing is
    lost. Returns the number of lines written. Raises EvalError when the file's lines have errors
    or it cannot be written.
    """
    _append(file, "")
    taken = _taken_ids(file, generation)
    fresh = (f"q{number}" for number in count(1) if f"q{number}" not in taken)
    desk = _Desk(generation, encoder, settings, read, write)
    written = 0
    for question, places in desk.interview():
        _append(file, _line(next(fresh), question, places, generation))
        written += 1
    write(f"{written} questions were added to {file}: rag eval {file} asks them.")
    return written


class _Desk:
    """The conversation: a question, its answer, the user's judgement."""

    def __init__(
        self, generation: Index, encoder: Encoder, settings: Settings, read: Read, write: Write
    ) -> None:
        self._generation = generation
        self._encoder = encoder
        self._settings = settings
        self._read = read
        self._write = write

    def interview(self) -> Iterator[tuple[str, Sequence[Place]]]:
        """Yield each question that the user judged, with the places that answer it."""
        try:
            while question := self._read(_ASK).strip():
                places = self._judge(question)
                if places is not None:
                    yield question, places
        except EOFError:
            self._write("")

    def _judge(self, question: str) -> Sequence[Place] | None:
        """Return the places that answer, none where the documents do not say; None to skip."""
        try:
            given = self._answer(question)
        except QuestionError as error:
            self._write(str(error))
            return None
        choices = [_of_quote(quote) for quote in given.quotes]
        more = _sentences(given.hits, choices, self._generation)
        if given.confidence < self._settings.threshold:
            self._write("This would be refused. The nearest:")
        self._show(choices, 1)
        while True:
            reply = self._read(_CHOOSE).strip().casefold()
            if reply in ("s", "n"):
                return () if reply == "n" else None
            if reply == "m":
                further = next(more, [])
                self._show(further, len(choices) + 1)
                choices += further
            elif chosen := _chosen(reply, len(choices)):
                return [place for number in chosen for place in choices[number - 1].places]
            else:
                self._write(f"Type y, n, m, s, or numbers from 1 to {len(choices)}.")

    def _answer(self, question: str) -> Answer:
        unrefused = replace(self._settings, threshold=0.0)
        return answer(question, self._generation, self._encoder, unrefused)

    def _show(self, choices: Sequence[_Choice], first: int) -> None:
        if not choices:
            self._write("There is nothing more to choose from.")
        for number, choice in enumerate(choices, start=first):
            where = f"{choice.document.name}, {place(choice.document, choice.places[0].start)}"
            self._write(printable(f"  {number}  “{' '.join(choice.text.split())}” ({where})"))


def _of_quote(quote: Quote) -> _Choice:
    places = tuple(Place(q.document.name, q.start, q.end) for q in (quote, *quote.also_in))
    return _Choice(quote.document, places)


def _sentences(
    hits: Sequence[Hit], shown: Sequence[_Choice], generation: Index
) -> Iterator[list[_Choice]]:
    """Yield the sentences of one passage after another, but for those that are shown already."""
    seen = [place for choice in shown for place in choice.places]
    for hit in hits:
        document = generation.document(hit.passage.document)
        sentences = [sentence for sentence in hit.passage.sentences if not sentence.heading]
        places = [Place(document.name, s.start, s.end) for s in sentences]
        fresh = [place for place in places if not any(place.shared(other) for other in seen)]
        if fresh:
            yield [_Choice(document, (place,)) for place in fresh]


def _chosen(reply: str, most: int) -> list[int]:
    """Return the numbers of a reply, every one for "y"; none where it cannot be read."""
    if reply == "y":
        return list(range(1, most + 1))
    words = reply.replace(",", " ").split()
    numbers = [int(word) for word in words if word.isdecimal()]
    valid = len(numbers) == len(words) and all(1 <= number <= most for number in numbers)
    return sorted(set(numbers)) if valid else []


def _taken_ids(file: Path, generation: Index) -> set[str]:
    """The ids of the questions that the file holds already."""
    if not any(map(str.strip, read_lines(file))):
        return set()
    names = set(generation.names)
    text_of = lambda name: generation.document(name).text if name in names else None  # noqa: E731
    return {question.id for question in read_questions(file, text_of)}


def _line(id_: str, question: str, places: Sequence[Place], generation: Index) -> str:
    quotes = [
        {
            "document": place.document,
            "start": place.start,
            "end": place.end,
            "text": generation.document(place.document).text[place.start : place.end],
        }
        for place in places
    ]
    values = {"id": id_, "question": question, "quotes": quotes}
    return json.dumps(values, ensure_ascii=False)


def _append(file: Path, line: str) -> None:
    """Add a line, after a line end where the last line has none; "" only tries the file."""
    try:
        with file.open("a+b") as lines:
            lines.seek(max(lines.seek(0, 2) - 1, 0))
            joint = "\n" if line and lines.read(1) not in (b"", b"\n") else ""
            lines.write(f"{joint}{line}\n".encode() if line else b"")
    except OSError as error:
        raise EvalError(f"{file} cannot be written: {error.strerror}") from None
