from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag.build import build_index
from rag.errors import EvalError
from rag.evals.feedback import Judgement, read_judgement, record, write_feedback_set
from rag.evals.run import evaluate, open_set
from rag.evals.spans import Place
from rag.generation import Generation, open_generation
from rag.settings import Settings
from rag.web.library import Library
from rag.web.routes import make_router
from tests.encoders import WordEncoder

PLACE = {"document": "bees.txt", "start": 0, "end": 10}
HIVE = "A hive holds forty thousand bees."


def _place(generation: Generation, words: str, name: str = "bees.txt") -> Place:
    start = generation.document(name).text.index(words)
    return Place(name, start, start + len(words))


def test_judgements_become_questions(
    generation: Generation, index: Path, words: WordEncoder
) -> None:
    hive, honey = _place(generation, HIVE), _place(generation, "Honey never spoils.")
    for judgement in (
        Judgement("How many bees hold a hive?", "wrong"),
        Judgement("How many bees hold a hive?", "sentence", (hive,)),
        Judgement("Does honey spoil?", "right", (honey,)),
        Judgement("Who won the cup in 1987?", "right"),
        Judgement("Do bees sleep?", "wrong"),
        Judgement("Do bees dance?", "right", (hive,)),
        Judgement("Do bees dance?", "wrong"),
    ):
        record(index, judgement, generation)
    path = write_feedback_set(index, generation)
    opened = open_set(path, index, words, Settings())
    assert {question.text: question.gold for question in opened.questions} == {
        "How many bees hold a hive?": (hive,),
        "Does honey spoil?": (honey,),
        "Who won the cup in 1987?": (),
    }
    assert not evaluate(opened, words).failures


def test_a_judgement_of_a_document_that_changed_is_left_out(
    generation: Generation, corpus: Path, index: Path, words: WordEncoder
) -> None:
    record(index, Judgement("Hives?", "sentence", (_place(generation, HIVE),)), generation)
    (corpus / "bees.txt").write_text(
        "Bees sleep, and so on, and on, and on, and on, and on, and on."
    )
    build_index(corpus, index, words, Settings())
    with pytest.raises(EvalError, match="says what answers"):
        write_feedback_set(index, open_generation(index))


def test_without_feedback_the_cure_is_named(index: Path, generation: Generation) -> None:
    with pytest.raises(EvalError, match="judge some answers in the chat"):
        write_feedback_set(index, generation)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"question": "x", "said": "maybe"},
        {"question": 5, "said": "right"},
        {"question": "x", "said": "right", "places": "y"},
        {"question": "x", "said": []},
        {"question": "\ud800", "said": "right"},
        {"question": "x" * 1_001, "said": "right"},
        {"question": "x", "said": "right", "places": [{"document": "a"}]},
        {"question": "x", "said": "right", "places": [PLACE | {"start": float("inf")}]},
        {"question": "x", "said": "right", "places": [PLACE] * 21},
    ],
)
def test_what_is_no_judgement_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(EvalError):
        read_judgement(values)


def test_no_more_is_kept_than_answers_are_long(
    corpus: Path, tmp_path: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (corpus / "long.txt").write_text("Bees dance. " * 2_000)
    build_index(corpus, tmp_path / "index", words, Settings())
    generation = open_generation(tmp_path / "index")
    long = Judgement("Do bees dance?", "right", (Place("long.txt", 0, 20_001),))
    with pytest.raises(EvalError, match="longer than any answer"):
        record(tmp_path / "index", long, generation)
    monkeypatch.setattr("rag.evals.feedback._MOST_BYTES", 0)
    record(tmp_path / "index", Judgement("Do bees dance?", "wrong"), generation)
    with pytest.raises(EvalError, match="no more feedback is kept"):
        record(tmp_path / "index", Judgement("Do bees dance?", "wrong"), generation)


def test_the_page_sends_judgements(corpus: Path, index: Path, words: WordEncoder) -> None:
    app = FastAPI()
    app.include_router(make_router(Library(corpus, index, Settings(), words)))
    client = TestClient(app)
    told = {"question": "Do bees dance?", "said": "sentence", "places": [PLACE]}
    assert client.put("/feedback", json=told).is_success
    assert json.loads((index / "feedback.jsonl").read_text())["quotes"][0]["text"] == "Bees dance"
    for wrong in (PLACE | {"end": 9_999}, PLACE | {"document": "../x"}, PLACE | {"start": -1}):
        assert client.put("/feedback", json=told | {"places": [wrong]}).status_code == 409
    for place in ('"document": "\\ud800", "start": 0', '"document": "bees.txt", "start": 1e999'):
        body = f'{{"question": "a", "said": "right", "places": [{{{place}, "end": 9}}]}}'
        sent = client.put("/feedback", content=body, headers={"content-type": "application/json"})
        assert sent.status_code == 409
    assert len((index / "feedback.jsonl").read_text().splitlines()) == 1
