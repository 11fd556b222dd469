from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.errors import IndexDamaged
from rag.lexical import Lexical, Words, read_words, write_lexical

ROOT = Path(__file__).parent.parent
PASSAGES = [
    (0, "a.md", "The drones attacked a café in Kirkuk."),
    (1, "b ü.md", "A drone is attacking; the drone attacks again and again."),
    (2, "c.md", "Bees make honey."),
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
    passages = [(0, "a.md", "The men withdrew."), (1, "b.md", "They stayed.")]
    write_lexical(tmp_path / "lexical", passages)
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
    drones, honey, unknown = lexical.rarity(read_words("drones honey zebra"))
    assert 0 <= drones < honey < unknown


def test_the_neighbours_of_a_passage_are_found_near(tmp_path: Path) -> None:
    passages = [(0, "a", "first bees"), (1, "a", "second"), (2, "a", "third"), (3, "b", "fourth")]
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


def _change(folder: Path, last: Path, moves: list[int], gone: list[str]) -> Lexical | None:
    """The passages of ``last`` but those of ``gone``, and two of a new document."""
    words = Words.read(last, np.array(moves, np.int32), gone)
    if words is None:
        return None
    write_lexical(folder, [(40, "d.md", "A drone near honey."), (41, "d.md", "Wasps.")], words)
    return Lexical(folder)


def test_what_did_not_change_is_taken_over_and_the_rest_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.lexical._MOST_GONE", 0.6)
    write_lexical(tmp_path / "first", PASSAGES)
    second = _change(tmp_path / "second", tmp_path / "first", [-1, 11, 12], ["a.md"])
    assert second
    assert len(second) == 4
    assert sorted(found(search(second, "drones"))) == [11, 40]
    assert sorted(found(search(second, "honey bees"))) == [12, 40]
    assert found(search(second, "wasps", ["d.md"])) == [41]
    assert second.count(["kirkuk", "drone"]) == [0, 2]
    assert second.holds(read_words("Kirkuk drone")) == [False, True]

    moves = [-1] * 42
    moves[12], moves[40], moves[41] = 0, 1, 2
    write_lexical(
        tmp_path / "third", [], Words.read(tmp_path / "second", np.array(moves), ["b ü.md"])
    )
    third = Lexical(tmp_path / "third")
    assert sorted(found(search(third, "drones honey wasps"))) == [0, 1, 2]
    assert len(Lexical(tmp_path / "first")) == 3


def test_where_much_is_gone_all_is_written_anew(tmp_path: Path) -> None:
    write_lexical(tmp_path / "first", PASSAGES)
    assert _change(tmp_path / "second", tmp_path / "first", [-1, 11, 12], ["a.md"]) is None


def test_the_scores_after_changes_are_nearly_those_of_an_index_made_anew(tmp_path: Path) -> None:
    texts = {f"{n:03}": f"Bee {n % 7} meets wasp {n % 11} in town {n % 40}." for n in range(200)}
    write_lexical(tmp_path / "0", [(n, name, text) for n, (name, text) in enumerate(texts.items())])
    for number in range(8):
        place, moves = 20 * number, np.arange(200)
        moves[place] = -1
        name = f"{place:03}"
        texts[name] = f"Bee {number} meets nobody in town {number}."
        words = Words.read(tmp_path / f"{number}", moves, [name])
        assert words
        write_lexical(tmp_path / f"{number + 1}", [(place, name, texts[name])], words)
    passages = [(n, name, text) for n, (name, text) in enumerate(texts.items())]
    write_lexical(tmp_path / "anew", passages)
    changed, anew = Lexical(tmp_path / "8"), Lexical(tmp_path / "anew")
    for question in ("bee 3 in town 7", "nobody", "wasps of town 20"):
        scores = dict(changed.search(read_words(question), 200))
        assert scores == pytest.approx(dict(anew.search(read_words(question), 200)), rel=0.01)
        assert anew.rarity(read_words(question)) == changed.rarity(read_words(question))
