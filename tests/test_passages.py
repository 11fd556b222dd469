"""What is true of all passages, then where a reader would cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import ceil
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.passages import CountTokens, cut_passages
from rag.sentences import split_sentences
from rag.types import Document, Layout, Passage, Sentence


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_quarters(texts: Sequence[str]) -> list[int]:
    return [ceil(len(text) / 4) for text in texts]


def count_generously(texts: Sequence[str]) -> list[int]:
    """More tokens than characters, as a model has for some scripts."""
    return [3 * len(text.encode()) for text in texts]


def document(text: str, title: str = "A title", layout: Layout = "prose") -> Document:
    return Document("a.txt", text, title, "", layout=layout)


def cut(
    text: str, budget: int, title: str = "A title", count: CountTokens = count_words
) -> list[Passage]:
    whole = document(text, title)
    return cut_passages(whole, split_sentences(whole), count, budget)


def texts_of(text: str, passages: list[Passage]) -> list[str]:
    return [text[passage.start : passage.end] for passage in passages]


LINES = st.lists(
    st.sampled_from(
        [
            *(
                "# Ropes",
                "## Hemp",
                "#### Old hemp",
                "= Wiki =",
                "Care",
                "What is tar?",
                "---",
                "```",
            ),
            *("A rope is long. It holds.", "It rots.", "- hemp", "| a | b |", "1", "e\u0301" * 30),
            *(
                "word " * 40,
                "x" * 90,
                "clause, and clause; " * 9,
                "👩\u200d🚀" * 12,
                "“",
                "",
                "",
                "",
            ),
        ]
    )
    | st.text(max_size=30),
    max_size=25,
)


@pytest.mark.parametrize("count", [count_words, count_quarters, count_generously])
@given(lines=LINES, budget=st.integers(1, 40), layout=st.sampled_from(get_args(Layout)))
@example(lines=[], budget=1, layout="prose")
def test_passages_hold_every_sentence_once_within_the_budget(
    count: CountTokens, lines: list[str], budget: int, layout: Layout
) -> None:
    text = "\n".join(lines)
    sentences = split_sentences(document(text, layout=layout))
    passages = cut_passages(document(text, layout=layout), sentences, count, budget)

    last = 0
    for passage in passages:
        tokens = sum(count([text[s.start : s.end] for s in passage.sentences]))
        assert tokens <= budget or passage.end - passage.start == 1
        for part in passage.sentences:
            assert last <= part.start < part.end
            assert not text[last : part.start].strip()
            assert text[part.start : part.end] == text[part.start : part.end].strip()
            last = part.end
    assert not text[last:].strip()

    parts = [part for passage in passages for part in passage.sentences]
    for sentence in sentences:
        within = [p for p in parts if sentence.start <= p.start and p.end <= sentence.end]
        assert within[0].start == sentence.start
        assert within[-1].end == sentence.end
        assert {p.heading for p in within} == {sentence.heading}


def test_no_sentence_and_no_count_takes_much_memory() -> None:
    """A word of any length is one token to a model, and a tokenizer keeps much of each text."""
    text = f"{'x' * 50_000} {'a ' * 30_000}. " + "It ends.\n\n" * 500
    asked: list[int] = []

    def count(texts: Sequence[str]) -> list[int]:
        asked.append(sum(map(len, texts)))
        return count_words(texts)

    passages = cut(text, 200, count=count)
    sentences = [sentence for passage in passages for sentence in passage.sentences]
    assert max(s.end - s.start for s in sentences) <= 20_000
    whole = "".join(text[s.start : s.end] for s in sentences)
    assert "".join(whole.split()) == "".join(text.split())
    assert max(asked) < 128 * 20_000
    assert len(asked) > 4


def test_tokens_are_counted_in_one_call() -> None:
    calls: list[int] = []

    def count(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return count_words(texts)

    cut("One rope. Two ropes. Three ropes.", 4, count=count)
    assert calls == [3]


def test_no_sentences_make_no_passages() -> None:
    assert cut("  \n ", 10) == []


SECTIONS = textwrap.dedent("""\
    # Ropes

    A rope is long and a rope is strong.

    ## Hemp

    Hemp rots where it is wet. It is cheap. It is light. It smells of barns and of summer.

    ### Old hemp

    Old hemp is grey and weak, so nobody climbs on it. It burns well, and it makes good paper.

    ## Steel

    Steel does not rot. It rusts. It is heavy. It sings in the wind, and it cuts the hands.
    """)


def test_a_heading_begins_a_passage_and_is_in_force_until_the_next() -> None:
    passages = cut(SECTIONS, 22)
    assert [(p.heading, SECTIONS[p.start : p.start + 8]) for p in passages] == [
        ("Ropes", "# Ropes\n"),
        ("Ropes › Hemp", "## Hemp\n"),
        ("Ropes › Hemp › Old hemp", "### Old "),
        ("Ropes › Steel", "## Steel"),
    ]


def test_small_sections_share_a_passage() -> None:
    text = "# Ropes\n\n## Hemp\n\nIt rots.\n\n## Steel\n\nIt rusts.\n\n## Wire\n\nIt kinks."
    (passage,) = cut(text, 20)
    assert (passage.heading, texts_of(text, [passage])) == ("Ropes", [text])


def test_a_heading_is_never_left_behind() -> None:
    for budget in range(19, 60):
        for passage in texts_of(SECTIONS, cut(SECTIONS, budget)):
            assert not passage.splitlines()[-1].startswith("#"), budget


def test_the_last_passage_is_no_small_rest() -> None:
    sentences = [f"Sentence {i} has five words." for i in range(7)]
    lengths = [len(p.sentences) for p in cut(" ".join(sentences), 30)]
    assert sorted(lengths) == [3, 4]


def test_a_paragraph_is_kept_together_where_that_fits() -> None:
    first = "One two three four five. " * 4
    second = "Six seven eight nine ten. " * 4
    text = f"{first}\n\n{second}"
    assert texts_of(text, cut(text, 30)) == [first.strip(), second.strip()]


def test_a_list_is_not_cut_from_what_leads_to_it() -> None:
    text = (
        "A rope is long. It is also strong.\nThere are three kinds of it:\n- hemp\n- steel\n- wire"
    )
    assert texts_of(text, cut(text, 14))[-1].startswith("There are three")


def test_a_long_sentence_is_cut_at_a_clause_then_at_a_space_then_between_characters() -> None:
    clauses = "The rope was old and grey; the man was old and grey; nobody said a word."
    assert texts_of(clauses, cut(clauses, 8)) == [
        "The rope was old and grey;",
        "the man was old and grey;",
        "nobody said a word.",
    ]
    words = "rope tar wind rain salt mast"
    assert texts_of(words, cut(words, 3)) == ["rope tar wind", "rain salt mast"]
    letters = "e\u0301" * 10
    pieces = texts_of(letters, cut(letters, 2, count=count_quarters))
    assert "".join(pieces) == letters
    assert all(piece.startswith("e") for piece in pieces)


def test_the_title_of_the_document_is_no_heading_of_a_passage() -> None:
    assert [p.heading for p in cut(SECTIONS, 22, title="ropes")][:2] == ["", "Hemp"]


def test_a_long_heading_is_shortened() -> None:
    text = f"# {'A rope and a tale ' * 9}\n\nIt rots."
    (passage,) = cut(text, 60)
    assert passage.heading.startswith("A rope and a tale")
    assert passage.heading.endswith("…")
    assert len(passage.heading) <= 80


def test_headings_without_marks() -> None:
    text = textwrap.dedent("""\
        The ropes of Port Alder

        A rope is long. It is also strong.

        Rope care

        In winter

        They hang in the loft. Nobody wets them.

        Home

        Prices

        Contact

        About us

        They are sold by the yard. They cost little.
        """)
    assert [(p.heading, texts_of(text, [p])[0].split("\n")[0]) for p in cut(text, 14)] == [
        ("The ropes of Port Alder", "The ropes of Port Alder"),
        ("Rope care", "Rope care"),
        ("Rope care › In winter", "Prices"),  # a menu heads nothing
    ]


def test_the_names_of_the_columns_are_in_force_for_every_row() -> None:
    text = "name,year\nRuddock,1204\nAlder,1310\nAnselm,1400\n"
    whole = document(text, layout="rows")
    passages = cut_passages(whole, split_sentences(whole), count_words, 2)
    assert [p.heading for p in passages] == ["name,year"] * 2
    assert passages[0].sentences[0] == Sentence(0, 9, heading=True)
