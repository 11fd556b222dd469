"""What readers said of answers, kept beside the index, and the question set that it becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rag.answer import MAX_QUESTION
from rag.errors import EvalError
from rag.evals.sets import read_lines
from rag.evals.spans import Place
from rag.index import Index
from rag.thread import is_whole

FEEDBACK = "feedback.jsonl"  # one judgement a line, in the order given
QUESTIONS = "feedback-questions.jsonl"  # made from it
_MOST_BYTES = 64 << 20  # of the file; whoever may ask may fill it
_MOST_PLACES = 20  # of a judgement: as many quotes as an answer can have
_LONGEST = 20_000  # characters of all its places

Said = Literal["right", "wrong", "sentence"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A question and what a reader said of its answer.

    With "right" the places are those of the quotes, none for a refusal; with "sentence" the place
    that answers it; with "wrong" there are none.
    """

    question: str
    said: Said
    places: tuple[Place, ...] = ()


def record(index: Path, judgement: Judgement, generation: Index) -> None:
    """Keep a judgement.

    Raises EvalError for a place that is not in the index, and where there is too much of it.
    """
    path = index / FEEDBACK
    texts = [_text_of(place, generation) for place in judgement.places]
    if None in texts:
        raise EvalError("a place of the feedback is not in the index: ask again")
    if sum(len(text or "") for text in texts) > _LONGEST:
        raise EvalError("the places of the feedback are longer than any answer")
    if path.exists() and path.stat().st_size > _MOST_BYTES:
        raise EvalError(f"no more feedback is kept: move {path} elsewhere")
    rows = [asdict(p) | {"text": t} for p, t in zip(judgement.places, texts, strict=True)]
    line = {"question": judgement.question, "said": judgement.said, "quotes": rows}
    index.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_feedback_set(index: Path, generation: Index) -> Path:
    """Make a question set of the judgements, and return its file.

    Of a question the last judgement that names its answer counts. An answer that was only called
    wrong, and one whose document has changed since, give no question: nobody said what is right.
    Raises EvalError where no question is left.
    """
    if not (index / FEEDBACK).exists():
        raise EvalError(f"there is no feedback in {index}: judge some answers in the chat")
    answers: dict[str, list[dict[str, Any]]] = {}
    for line in filter(str.strip, read_lines(index / FEEDBACK)):
        values = json.loads(line)
        if values["said"] == "wrong":
            answers.pop(values["question"], None)
        elif all(_still_stands(row, generation) for row in values["quotes"]):
            answers[values["question"]] = values["quotes"]
    if not answers:
        raise EvalError(f"no feedback in {index} says what answers a question: judge more answers")
    return _write(index / QUESTIONS, answers)


def _write(path: Path, answers: dict[str, list[dict[str, Any]]]) -> Path:
    lines = [
        {"id": f"feedback-{number}", "question": question, "quotes": quotes}
        for number, (question, quotes) in enumerate(answers.items(), start=1)
    ]
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    path.write_text(text, "utf-8")
    return path


def _still_stands(row: dict[str, Any], generation: Index) -> bool:
    place = Place(row["document"], row["start"], row["end"])
    return _text_of(place, generation) == str(row["text"])


def _text_of(place: Place, generation: Index) -> str | None:
    """The words at a place; None where the index has no such place."""
    try:
        text = generation.document(place.document).text
    except KeyError:
        return None
    within = 0 <= place.start < place.end <= len(text)
    return text[place.start : place.end] if within else None


def read_judgement(values: dict[str, Any]) -> Judgement:
    """A judgement as the page sends it. Raises EvalError for anything else."""
    question, said, places = values.get("question"), values.get("said"), values.get("places", [])
    if not isinstance(question, str) or said not in ("right", "wrong", "sentence"):
        raise EvalError('feedback needs a "question" and what was "said" of its answer')
    if len(question) > MAX_QUESTION or not is_whole(question):
        raise EvalError("the question of the feedback cannot have been asked")
    return Judgement(question, said, tuple(_read_places(places)))


def _read_places(rows: object) -> Sequence[Place]:
    if not isinstance(rows, list) or len(rows) > _MOST_PLACES:
        raise EvalError(f'"places" must be a list of {_MOST_PLACES} at the most')
    try:
        return [Place(str(r["document"]), int(r["start"]), int(r["end"])) for r in rows]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise EvalError('a place needs "document", "start" and "end"') from None
