from __future__ import annotations

from pathlib import Path

import pytest

from rag import quote
from rag.answer import answer
from rag.build import build_index
from rag.generation import open_generation
from rag.settings import Settings
from rag.types import Answer
from tests.encoders import WordEncoder


def ask(tmp_path: Path, question: str, **documents: str) -> Answer:
    """Ask documents of these texts, by name."""
    corpus = tmp_path / "c"
    corpus.mkdir()
    for name, text in documents.items():
        (corpus / f"{name}.txt").write_text(text)
    encoder = WordEncoder()
    build_index(corpus, tmp_path / "i", encoder, Settings())
    return answer(question, open_generation(tmp_path / "i"), encoder, Settings(threshold=0))


def test_a_fact_is_one_sharp_sentence(tmp_path: Path) -> None:
    text = "Wolves howl at night. Otters swim in rivers. Bears sleep all winter."
    given = ask(tmp_path, "Where do otters swim?", a=text)
    assert [shown.text for shown in given.quotes] == ["Otters swim in rivers."]


def test_words_that_stand_side_by_side_as_in_the_question_come_first(tmp_path: Path) -> None:
    other = "Ann wrote the blue book about the red house."
    same = "Ben wrote the red book about the blue house."
    text = f"{other} Bears sleep all winter. Wolves howl at night. {same}"
    given = ask(tmp_path, "Who wrote the red book about the blue house?", a=text)
    assert given.quotes[0].text == same
    assert given.further[0].text == other


def test_what_was_ranked_next_is_kept_apart(tmp_path: Path) -> None:
    text = "Wolves howl at night. Otters swim in rivers. Bears sleep all winter."
    given = ask(tmp_path, "Where do otters swim?", a=text)
    further = [shown.text for shown in given.further]
    assert further
    assert "Otters swim in rivers." not in further


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Why do otters swim?", True),
        ("Which countries have otters?", True),
        ("WHICH small animals swim", True),
        ("What reasons are given?", True),
        ("Which is the longest river?", False),
        ("In which class was it?", False),
        ("When do otters swim?", False),
    ],
)
def test_what_asks_for_several_things(question: str, several: bool) -> None:
    assert bool(quote._SEVERAL.search(question)) is several


@pytest.mark.parametrize("pronoun", ["It", "They", "This", "These", "He", "She"])
def test_a_sentence_that_leans_brings_the_one_before(tmp_path: Path, pronoun: str) -> None:
    text = f"Wolves howl. The marten lives here. {pronoun} eats mostly berries. Bears sleep."
    given = ask(tmp_path, "Who eats mostly berries?", a=text)
    assert given.quotes[0].text == f"The marten lives here. {pronoun} eats mostly berries."


@pytest.mark.parametrize(
    "after", ["- berries\n- mice", "Berries, and mice.", "```\neat(berries, mice)\n```"]
)
def test_a_sentence_that_ends_in_a_colon_brings_what_it_announces(
    tmp_path: Path, after: str
) -> None:
    told = f"The marten eats mostly two things:\n\n{after}"
    text = f"Bears sleep. {told}\n\nWolves howl for hours.\n"
    given = ask(tmp_path, "What does the marten eat mostly?", a=text)
    assert given.quotes[0].text == told.removesuffix("\n```")


def test_a_heading_is_not_leaned_on(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.md").write_text("# Martens\n\nIt eats mostly berries.\n")
    encoder = WordEncoder()
    build_index(tmp_path / "c", tmp_path / "i", encoder, Settings())
    generation = open_generation(tmp_path / "i")
    given = answer("Who eats mostly berries?", generation, encoder, Settings(threshold=0))
    assert given.quotes[0].text == "It eats mostly berries."


def test_a_sentence_that_asks_gives_way(tmp_path: Path) -> None:
    documents = {"a": "Where do otters swim?", "b": "Otters swim where rivers do bend."}
    given = ask(tmp_path, "Where do otters swim?", **documents)
    assert given.quotes[0].text == "Otters swim where rivers do bend."


def test_documents_that_state_the_same_figure_agree(tmp_path: Path) -> None:
    given = ask(
        tmp_path,
        "How many otters live in Arden?",
        a="About 2,500 otters live in Arden.",
        b="About 2500 otters live in Arden.",
        c="Bears sleep all winter.",
    )
    assert sorted(given.agreeing) == ["a.txt", "b.txt"]
    assert not given.differ


def test_a_copy_of_a_document_is_no_second_witness(tmp_path: Path) -> None:
    report = " ".join(f"Otter {number} lives in brook {number}." for number in range(200))
    report += " About 2,500 otters live in Arden."
    given = ask(
        tmp_path,
        "How many otters live in Arden?",
        a=report,
        b=f"From our reporter. {report.replace('2,500', '2500')}",
    )
    assert given.quotes[0].text.startswith("About 2")
    assert len(given.agreeing) == 1


def test_documents_that_state_other_dates_are_both_quoted(tmp_path: Path) -> None:
    given = ask(
        tmp_path,
        "When did the mission in Arden end?",
        a="The mission in Arden did end in September 2025.",
        b="The mission in Arden did end in May 2026.",
        c="Bears sleep all winter.",
    )
    assert given.differ
    assert {shown.document.name for shown in given.quotes} == {"a.txt", "b.txt"}


def test_one_document_does_not_differ_from_itself(tmp_path: Path) -> None:
    text = "The mission did end in May 2025. Bears sleep. The mission did end in June 2026."
    given = ask(tmp_path, "When did the mission end?", a=text)
    assert not given.differ
    assert given.agreeing == ("a.txt",)


def test_a_refusal_quotes_nothing_and_keeps_what_was_ranked(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.txt").write_text("Bears sleep all winter.")
    encoder = WordEncoder()
    build_index(tmp_path / "c", tmp_path / "i", encoder, Settings())
    generation = open_generation(tmp_path / "i")
    given = answer("Why do otters swim?", generation, encoder, Settings(threshold=1))
    assert (given.quotes, given.agreeing, given.differ) == ((), (), False)
    assert [shown.text for shown in given.further] == ["Bears sleep all winter."]
