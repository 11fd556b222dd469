from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import answer
from rag.build import build_index
from rag.errors import ConversationError
from rag.generation import Generation, open_generation
from rag.settings import Settings
from rag.transcript import turn_markdown, turn_object
from rag.types import Answer, Document, Quote
from rag.verify import read_conversation, verdict_line, verify
from tests.encoders import WordEncoder


def _save(generation: Generation, words: WordEncoder, to: Path) -> Path:
    questions = ("How long is the Danube?", "Honey never spoils", "Who won the cup in 1987?")
    answers = [answer(question, generation, words, Settings()) for question in questions]
    turns = [turn_object(answer, generation) for answer in answers]
    to.write_text(json.dumps({"format": 1, "turns": turns}))
    return to


@pytest.fixture
def saved(generation: Generation, words: WordEncoder, tmp_path: Path) -> Path:
    return _save(generation, words, tmp_path / "saved.json")


def test_a_turn_names_its_generation_and_the_documents_that_were_quoted(
    generation: Generation, words: WordEncoder
) -> None:
    turn = turn_object(answer("Honey never spoils", generation, words, Settings()), generation)
    assert turn["generation"] == "000001"
    (quote,) = turn["quotes"]
    for row in (quote, *quote["also_in"]):
        document = generation.document(row["document"])
        assert row["digest"] == document.digest
        assert document.text[row["start"] : row["end"]] == "Honey never spoils."


def test_all_quotes_stand_in_the_index_that_gave_them(saved: Path, generation: Generation) -> None:
    verdicts = [verify(quote, generation) for quote in read_conversation(saved)]
    assert [verdict.state for verdict in verdicts] == ["stands"] * 3
    assert all(verdict.same_document for verdict in verdicts)
    assert "rivers.md, line 8: “The Danube is 2,850" in verdict_line(verdicts[0], generation)


def test_quotes_that_moved_or_are_gone_are_told_apart(
    saved: Path, corpus: Path, index: Path, words: WordEncoder
) -> None:
    rivers = (corpus / "rivers.md").read_text()
    (corpus / "rivers.md").write_text(rivers.replace("# Lengths", "# Lengths\n\nIn short."))
    (corpus / "bees.txt").write_text("Bees dance. Honey keeps for ever.\n")
    honey = corpus / "sub" / "honey.txt"
    honey.write_text(honey.read_text() + "Mead is old.\n")
    build_index(corpus, index, words, Settings())
    generation = open_generation(index)
    verdicts = {
        v.quote.document: v for q in read_conversation(saved) for v in [verify(q, generation)]
    }
    assert {name: v.state for name, v in verdicts.items()} == {
        "rivers.md": "moved",
        "bees.txt": "gone",
        "sub/honey.txt": "stands",
    }
    moved = verdicts["rivers.md"]
    assert moved.start == moved.quote.start + len("\n\nIn short.")
    assert "now line 10" in verdict_line(moved, generation)
    assert "no longer there" in verdict_line(verdicts["bees.txt"], generation)
    assert "changed elsewhere" in verdict_line(verdicts["sub/honey.txt"], generation)


def test_a_quote_of_a_document_that_was_removed_is_gone(
    saved: Path, corpus: Path, index: Path, words: WordEncoder
) -> None:
    (corpus / "rivers.md").unlink()
    build_index(corpus, index, words, Settings())
    generation = open_generation(index)
    verdict = verify(read_conversation(saved)[0], generation)
    assert verdict.state == "gone"
    assert "no such document" in verdict_line(verdict, generation)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "holds no conversation"),
        ("[]", "holds no conversation"),
        ('{"format": 1, "turns": [{}]}', "holds no conversation"),
        ('{"format": 2, "turns": []}', "another version"),
    ],
)
def test_what_is_no_conversation_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ConversationError, match=said):
        read_conversation(tmp_path / "x.json")
    with pytest.raises(ConversationError, match="cannot be read"):
        read_conversation(tmp_path / "none.json")


HOSTILE = (
    "# No heading\n1. no list\n![x](http://evil.example/x.png) [a](javascript:1) <b>no</b> `c` "
    "**d** $e$ ~~f~~ | g\n- h &lt;\n\\[1\\]"
)


def _markdown(text: str) -> str:
    document = Document(text, text, text, "0" * 64)
    quote = Quote(document, 0, len(text), 1.0)
    return turn_markdown(Answer(text, (quote,), 0.9, {}, (), {}))


def test_markdown_shows_text_and_makes_nothing_of_it() -> None:
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark").enable("table").render(_markdown(HOSTILE))
    for tag in ("<img", "<a ", "<b>", "<code", "<h1", "<ol", "<ul", "<table", "<del"):
        assert tag not in html
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "\\" not in html.replace("\\[1\\]", "")


@given(st.text(alphabet="ab*_#-+1.)>[]()!`<&\\~|= \n", min_size=1))
def test_markdown_makes_no_element_of_any_text(text: str) -> None:
    from markdown_it import MarkdownIt

    text = f"x{text}x"
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(_markdown(text))
    for tag in ("<img", "<a ", "<code", "<pre", "<h1", "<h2", "<ol", "<ul", "<table", "<s>", "<hr"):
        assert tag not in html
