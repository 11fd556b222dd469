"""Small question sets in both layouts, written by the tests that use them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.evals.results import Outcome, Shown
from rag.evals.spans import Place

_ROWS = [
    ("auk", "Arles", "acorns"),
    ("bittern", "Bruges", "beetles"),
    ("crake", "Cadiz", "clover"),
    ("dipper", "Delft", "dates"),
    ("eider", "Evora", "eels"),
    ("falcon", "Fano", "figs"),
    ("godwit", "Ghent", "grain"),
    ("heron", "Hull", "herring"),
    ("ibis", "Iona", "insects"),
    ("jacana", "Jena", "jam"),
    ("kestrel", "Kells", "krill"),
    ("linnet", "Linz", "larvae"),
]
BIRDS = [bird for bird, _, _ in _ROWS]


def spans_set(folder: Path, questions: Iterable[Mapping[str, Any]] = ()) -> Path:
    """A set about birds: each of twelve documents answers one question, of three nobody answers."""
    corpus = folder / "birds" / "corpus"
    corpus.mkdir(parents=True)
    for bird, town, food in _ROWS:
        (corpus / f"{bird}.md").write_text(_life(bird, town, food))
    lines = [_about(corpus, bird) for bird in BIRDS]
    lines += [
        {"id": f"far{n}", "question": text, "quotes": [], "kind": "far"}
        for n, text in enumerate(("who won the cup", "what is rust", "how old is the moon"))
    ]
    write_lines(folder / "birds" / "questions.jsonl", [*lines, *questions])
    return folder / "birds"


def _life(bird: str, place: str, food: str) -> str:
    return (
        f"# Notes\n\nThe {bird} nests every spring near the old harbour of {place} among reeds. "
        f"There the {bird} feeds its young on {food} until summer ends. "
        f"Nobody has seen the {bird} leave before the first storms of autumn arrive. "
        "Watchers keep lists, and the lists are long.\n"
    )


def _about(corpus: Path, bird: str) -> dict[str, Any]:
    """A question whose gold is three sentences: more than a short passage holds."""
    text = (corpus / f"{bird}.md").read_text()
    start, end = text.index("The "), text.index(" Watchers")
    question = f"where does the {bird} nest and what does the {bird} feed its young"
    return {"id": bird, "question": question, "quotes": [place(f"{bird}.md", start, end)]}


def place(document: str, start: int, end: int) -> dict[str, Any]:
    return {"document": document, "start": start, "end": end}


def beir_set(folder: Path) -> Path:
    """A set in BEIR's layout: twelve documents, a query for each, one of them with two grades."""
    home = folder / "beir"
    (home / "qrels").mkdir(parents=True)
    write_lines(
        home / "corpus.jsonl",
        [
            {"_id": f"{bird}/№ 1", "title": f"The {bird}", "text": _life(bird, town, food)}
            for bird, town, food in _ROWS
        ],
    )
    queries = [{"_id": f"q-{bird}", "text": f"{bird} eats {food}"} for bird, _, food in _ROWS]
    write_lines(home / "queries.jsonl", [*queries, {"_id": "unjudged", "text": "no"}])
    grades = [f"q-{bird}\t{bird}/№ 1\t1" for bird in BIRDS] + ["q-auk\tibis/№ 1\t2"]
    (home / "qrels" / "test.tsv").write_text("\n".join(["query\tdocument\tgrade", *grades]))
    return home


def write_lines(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def outcome(number: int = 0, *, answerable: bool = True, **fields: Any) -> Outcome:
    """An outcome right in all respects, but for the fields given."""
    gold = (Place("a.txt", 0, 5),) if answerable else ()
    quotes = (Shown(Place("a.txt", 0, 9), "some text", 0.8),)
    plain = Outcome(
        id=f"q{number}",
        question=f"question {number}?",
        answerable=answerable,
        gold=gold,
        quotes=quotes,
        refused=not answerable,
        confidence=0.9 if answerable else 0.1,
        values=RIGHT if answerable else {},
        stages={"retrieve": 0.002, "quote": 0.001},
        rank=1 if answerable else None,
        kind=None if answerable else "far",
    )
    return replace(plain, **fields)


RIGHT = {
    "quote_hit@1": 1.0,
    "quote_hit@3": 1.0,
    "quote_iou@1": 0.5,
    "quote_iou": 0.5,
    "forced_quote_hit@1": 1.0,
    "forced_quote_hit@3": 1.0,
    "ranked_quote_hit@3": 1.0,
    "forced_quote_iou@1": 0.5,
    "forced_quote_iou": 0.5,
    "words_shown": 4.0,
    "words_right": 2.0,
    "words_gold": 2.0,
    "recall@1": 1.0,
    "recall@5": 1.0,
}
WRONG = dict.fromkeys(RIGHT, 0.0) | {"words_shown": 4.0, "words_gold": 2.0}
