from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import IndexDamaged
from rag.lexical import Lexical, read_words, write_lexical

ROOT = Path(__file__).parent.parent
PASSAGES = [
    ("a.md", "The drones attacked a café in Kirkuk."),
    ("b ü.md", "A drone is attacking; the drone attacks again and again."),
    ("c.md", "Bees make honey."),
]


@pytest.fixture
def lexical(tmp_path: Path) -> Lexical:
    write_lexical(tmp_path / "lexical", PASSAGES)
    return Lexical(tmp_path / "lexical")


def search(
    lexical: Lexical, question: str, documents: Sequence[str] = ()
) -> list[tuple[int, float]]:
    return lexical.search(read_words(question), 5, documents=documents)


def found(hits: list[tuple[int, float]]) -> list[int]:
    return [number for number, _ in hits]


def test_other_forms_of_a_word_are_found(lexical: Lexical) -> None:
    assert found(search(lexical, "ATTACKS by drones")) == [1, 0]


def test_irregular_forms_of_a_word_are_found(tmp_path: Path) -> None:
    write_lexical(tmp_path / "lexical", [("a.md", "The men withdrew."), ("b.md", "They stayed.")])
    lexical = Lexical(tmp_path / "lexical")
    assert found(search(lexical, "Did the man withdraw?")) == [0]
    assert found(search(lexical, "withdrawn women")) == [0]


def test_no_irregular_form_is_one_of_two_words() -> None:
    forms = (ROOT / "rag" / "irregular.txt").read_text("utf-8").split()
    assert len(set(forms)) == len(forms)


def test_accents_and_case_do_not_matter(lexical: Lexical) -> None:
    assert found(search(lexical, "Cafe")) == [0]


@pytest.mark.parametrize(
    "question",
    ["honey AND (", 'text:honey"', "+honey -bees", "honey~2^9", "honey*[TO]", "honey \\", "honey:"],
)
def test_a_question_is_never_query_syntax(lexical: Lexical, question: str) -> None:
    assert found(search(lexical, question)) == [2]


@pytest.mark.parametrize("question", ["who am i", "", "?!", "日本語", "\x00"])
def test_a_question_without_known_words_finds_nothing(lexical: Lexical, question: str) -> None:
    assert search(lexical, question) == []


def test_stop_words_count_only_where_there_are_no_others(lexical: Lexical) -> None:
    assert found(search(lexical, "the honey")) == [2]
    assert found(search(lexical, "the and")) == [1, 0]


def test_a_word_that_is_everywhere_is_less_rare(lexical: Lexical) -> None:
    drones, honey, unknown = read_words("drones honey zebra")
    assert 0 <= lexical.rarity(drones) < lexical.rarity(honey) < lexical.rarity(unknown)


def test_the_neighbours_of_a_passage_are_found_near(tmp_path: Path) -> None:
    passages = [("a", "first bees"), ("a", "second"), ("a", "third"), ("b", "fourth")]
    write_lexical(tmp_path / "near", passages)
    near = Lexical(tmp_path / "near").search(read_words("bees third"), 5, "near")
    assert sorted(found(near)) == [0, 1, 2]


def test_search_stays_in_the_documents_named(lexical: Lexical) -> None:
    assert found(search(lexical, "drone honey", ["b ü.md", "c.md"])) == [2, 1]
    everywhere = dict(search(lexical, "drone honey"))
    assert dict(search(lexical, "drone honey", ["c.md"])) == {2: everywhere[2]}


def test_k_bounds_what_is_found(lexical: Lexical) -> None:
    assert len(lexical.search(read_words("drone"), 1)) == 1


def test_a_folder_without_an_index_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Lexical(tmp_path)


def test_carried_stems_count_as_much_as_they_are_given(lexical: Lexical) -> None:
    words, carried = read_words("honey"), read_words("drones")
    weak, strong = ({carried[0].stem: share} for share in (0.01, 100.0))
    assert found(lexical.search(words, 5, carried=weak))[0] == 2
    assert found(lexical.search(words, 5, carried=strong))[-1] == 2
    assert lexical.search([], 5, carried=dict.fromkeys(weak, 1.0)) == search(lexical, "drones")
