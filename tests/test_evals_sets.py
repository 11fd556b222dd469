from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import EvalError
from rag.evals.sets import (
    Turn,
    find_layout,
    read_articles,
    read_judged_queries,
    read_questions,
)
from rag.evals.spans import Place
from tests.question_sets import beir_set, place, spans_set, write_lines

TEXTS = {"a.md": "Honey never spoils.\nBees dance.\n", "b.md": "Mead."}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "questions.jsonl"


def test_a_line_with_everything(file: Path) -> None:
    thread = [{"role": "user", "text": "Bees?"}, {"role": "assistant", "text": "They dance."}]
    quote = place("a.md", 19, 32) | {"text": "\nBees dance.\n"}
    values = {"id": "1", "question": "Do they?", "quotes": [quote], "kind": "follow-up"}
    write_lines(file, [values | {"documents": ["a.md"], "thread": thread}])
    (question,) = read_questions(file, TEXTS.get)
    assert question.gold == (Place("a.md", 20, 31),)  # without the white space around it
    assert question.thread == (Turn("user", "Bees?"), Turn("assistant", "They dance."))
    assert (question.documents, question.kind) == (("a.md",), "follow-up")
    assert question.answerable


def test_blank_lines_a_mark_and_windows_line_ends_are_no_errors(file: Path) -> None:
    line = json.dumps({"id": "1", "question": "é?", "quotes": []}, ensure_ascii=False)
    file.write_bytes(f"\ufeff{line}\r\n\r\n".encode())
    (question,) = read_questions(file, TEXTS.get)
    assert question.text == "é?"
    assert not question.answerable


def test_every_error_is_reported_at_once_by_line(file: Path) -> None:
    good = {"id": "1", "question": "Honey?", "quotes": [place("a.md", 0, 5)]}
    lines: list[Any] = [
        good,
        good,
        {"id": "2", "question": " ", "quotes": [place("no.md", 0, 5), place("a.md", 30, 99)]},
        {"id": "3", "question": "Honey?"},
        {"id": "4", "question": "Honey?", "quotes": [place("a.md", 0, 5) | {"text": "Hone!"}]},
        {"id": "5", "question": "Honey?", "quotes": [place("a.md", 19, 20), place("a.md", 5, 5)]},
        {"id": "6", "question": "Honey?", "quotes": [place("a.md", 0, 5) | {"end": True}, 7]},
        {"id": "7", "question": "Honey?", "quotes": [], "thread": [{"role": "system"}]},
        {"id": "8", "question": "Honey?", "quotes": [], "documents": ["no.md"], "kind": ""},
        ["a", "list"],
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + '\n{"id": \n{"id": "\\ud83d"}\n')
    with pytest.raises(EvalError) as caught:
        read_questions(file, TEXTS.get)
    message = str(caught.value)
    assert [int(n) for n in re.findall(r"^  line (\d+):", message, re.MULTILINE)] == [
        2, 3, 3, 3, 4, 5, 6, 6, 7, 7, 8, 9, 9, 10, 11, 12,
    ]  # fmt: skip
    for part in (
        'line 2: the id "1" is taken',
        'quote 1: no document is called "no.md"',
        "quote 2: 30 to 99 is no span of a.md, which has 32 characters",
        "quote 1: 0 to 5 of a.md is 'Honey', not 'Hone!'",
        "line 10: it is not a JSON object",
        "line 11: it is not JSON",
    ):
        assert part in message


@given(data=st.binary(max_size=200))
def test_whatever_the_bytes_the_answer_is_questions_or_an_error(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("bytes") / "q.jsonl"
    file.write_bytes(data)
    with pytest.raises(EvalError):  # no 200 random bytes are a question
        read_questions(file, TEXTS.get)


leaves = st.none() | st.booleans() | st.integers(-1, 40) | st.sampled_from(["", "a.md", "user"])
keys = st.sampled_from(["document", "start", "end", "text", "role"])
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=8
)
names = ("id", "question", "quotes", "thread", "documents", "kind")


@given(values=st.fixed_dictionaries({}, optional=dict.fromkeys(names, anything)))
def test_whatever_the_values_no_other_error_is_raised(
    values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("values") / "q.jsonl"
    file.write_text(json.dumps(values))
    try:
        questions = read_questions(file, TEXTS.get)
    except EvalError:
        return
    assert len(questions) == 1


def test_the_layouts_are_told_apart(tmp_path: Path, file: Path) -> None:
    file.touch()
    assert find_layout(file) == "questions"
    assert find_layout(spans_set(tmp_path)) == "spans"
    assert find_layout(beir_set(tmp_path)) == "beir"
    with pytest.raises(EvalError, match="no question set"):
        find_layout(tmp_path / "nowhere")


def test_beir_keeps_only_judged_queries(tmp_path: Path) -> None:
    home = beir_set(tmp_path)
    articles = read_articles(home)
    questions = read_judged_queries(home, {article.id for article in articles})
    assert len(articles) == len(questions) == 12
    assert questions[0].grades == {"auk/№ 1": 1, "ibis/№ 1": 2}
    assert "unjudged" not in {question.id for question in questions}


def _break_corpus(home: Path) -> None:
    with (home / "corpus.jsonl").open("a") as lines:
        lines.write('{"_id": "auk/№ 1", "title": "", "text": ""}\n{"_id": 3, "text": "x"}\n')


def _break_queries(home: Path) -> None:
    with (home / "queries.jsonl").open("a") as lines:
        lines.write('{"_id": "unjudged", "text": "again"}\n{"_id": "x"}\n')


def _break_grades(home: Path) -> None:
    rows = ["query\tdocument\tgrade", "q-auk\tnone\t1", "none\tauk/№ 1\t1", "q-auk\tauk/№ 1"]
    (home / "qrels" / "test.tsv").write_text("\n".join(rows))


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        (_break_corpus, ['line 13: the _id "auk/№ 1" is taken', "line 14: it needs"]),
        (_break_queries, ['line 14: the _id "unjudged" is taken', "line 15: it needs"]),
        (_break_grades, ["line 2: no document", "line 3: no query", "line 4: it is not a query"]),
    ],
)
def test_errors_of_a_beir_set_are_reported_by_line(
    tmp_path: Path, damage: Callable[[Path], None], wanted: list[str]
) -> None:
    home = beir_set(tmp_path)
    damage(home)
    with pytest.raises(EvalError) as caught:
        read_judged_queries(home, {article.id for article in read_articles(home)})
    for part in wanted:
        assert part in str(caught.value)
