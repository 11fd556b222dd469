from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import IndexDamaged
from rag.lexical import Lexical, write_lexical

PASSAGES = [
    ("a.md", "The drones attacked a café in Kirkuk."),
    ("b ü.md", "A drone is attacking; the drone attacks again and again."),
    ("c.md", "Bees make honey."),
]


@pytest.fixture
def lexical(tmp_path: Path) -> Lexical:
    write_lexical(tmp_path / "lexical", PASSAGES)
    return Lexical(tmp_path / "lexical")


def found(hits: list[tuple[int, float]]) -> list[int]:
    return [number for number, _ in hits]


def test_other_forms_of_a_word_are_found(lexical: Lexical) -> None:
    assert found(lexical.search("ATTACKS by drones", 5)) == [1, 0]


def test_accents_and_case_do_not_matter(lexical: Lexical) -> None:
    assert found(lexical.search("Cafe", 5)) == [0]


@pytest.mark.parametrize(
    "question",
    ["honey AND (", 'text:honey"', "+honey -bees", "honey~2^9", "honey*[TO]", "honey \\", "honey:"],
)
def test_a_question_is_never_query_syntax(lexical: Lexical, question: str) -> None:
    assert found(lexical.search(question, 5)) == [2]


@pytest.mark.parametrize("question", ["the of and", "", "?!", "日本語", "\x00"])
def test_a_question_without_known_words_finds_nothing(lexical: Lexical, question: str) -> None:
    assert lexical.search(question, 5) == []


def test_search_stays_in_the_documents_named(lexical: Lexical) -> None:
    assert found(lexical.search("drone honey", 5, ["b ü.md", "c.md"])) == [2, 1]
    everywhere = dict(lexical.search("drone honey", 5))
    assert dict(lexical.search("drone honey", 5, ["c.md"])) == {2: everywhere[2]}


def test_k_bounds_what_is_found(lexical: Lexical) -> None:
    assert len(lexical.search("drone", 1)) == 1


def test_a_folder_without_an_index_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Lexical(tmp_path)
