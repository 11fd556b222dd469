"""What is true of every text, then what a reader would call a sentence."""

from __future__ import annotations

import textwrap
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.errors import DocumentError
from rag.sentences import PLAIN_LEVEL, _mask, read_heading, split_sentences
from rag.types import Document, Layout

LAYOUTS = get_args(Layout)

# Pieces that rules look for, so that random texts meet them; and any character at all.
PIECES = st.sampled_from(
    [
        *(
            "word",
            "Word",
            "the",
            "The",
            "U.S.",
            "e.g.",
            "Dr.",
            "A.",
            "No.",
            "5",
            "3.5",
            "1.",
            "p.m.",
        ),
        *(".", "!", "?", "…", "...", ";", ":", ",", "。", "।", '"', "'", "''", "“", "”", "(", ")"),
        *("[1]", "[", "]", "{", "},", "|", "-", "#", "##", "=", "===", "---", "```", ">", "*", "•"),
        *(" ", "  ", "\n", "\n\n", "\r\n", "\r", "\t", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"),
        *(
            "\u200b",
            "\ufeff",
            "\xa0",
            "\u0301",
            "😀",
            "👩\u200d🔬",
            "é",
            "İ",
            "ſ",
            "ß",
            "中",
            "\\n",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=60).map("".join)


def document(text: str, layout: Layout = "prose", body: int = 0) -> Document:
    return Document("a.txt", text, "A", "", layout=layout, body=body)


def split(text: str, layout: Layout = "prose") -> list[str]:
    return [text[s.start : s.end] for s in split_sentences(document(text, layout))]


def headings(text: str, layout: Layout = "prose") -> list[str]:
    sentences = split_sentences(document(text, layout))
    return [text[s.start : s.end] for s in sentences if s.heading]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(text=TEXTS, body=st.integers(0, 20))
@example(text="", body=0)
@example(text="\ufeff One.\r\n\r\nTwo.", body=0)
def test_nothing_is_lost_but_white_space(layout: Layout, text: str, body: int) -> None:
    body = min(body, len(text))
    last = body
    for sentence in split_sentences(document(text, layout, body)):
        assert last <= sentence.start < sentence.end
        assert not text[last : sentence.start].strip()
        assert text[sentence.start : sentence.end] == text[sentence.start : sentence.end].strip()
        last = sentence.end
    assert not text[last:].strip()


@pytest.mark.parametrize("sentence", ["It ended in the U.S. of A. at 5 p.m. ", '" Go . " '])
def test_a_paragraph_of_any_length_comes_apart_in_the_same_way(sentence: str) -> None:
    few, many = split(sentence * 30), split(sentence * 9_000)
    assert set(few) == set(many)
    assert len(many) == 300 * len(few)


@pytest.mark.parametrize("sentence", ["It ended. ", "It ended.\n", "\u2028x", "\r\n\r\n x"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_document_of_too_many_sentences_is_refused(
    layout: Layout, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.sentences.MOST_SENTENCES", 10)
    assert split(sentence * 3, layout)
    rows_go_on = layout == "rows" and "\n" not in sentence and "\u2028" not in sentence
    if rows_go_on:
        assert len(split(sentence * 20, layout)) == 1
    else:
        with pytest.raises(DocumentError, match="more than 10 lines or sentences: split it"):
            split(sentence * 20, layout)


@given(TEXTS)
@example('i went to the u.s. we left. İ.ſ. K.a.b. 😀😀. . \'\' . " She said " No . " he')
def test_the_mask_is_as_long_as_the_text(text: str) -> None:
    assert len(_mask(text)) == len(text)


# Each line is one sentence; the lines, joined by spaces, must come apart again.
PROSE = {
    "abbreviations": """
        The U.S. Navy left the U.K. on Sept. 3 with Dr. A. Marsh aboard.
        Gen. Mills, Lt. Col. Reyes and Gov. Park met Sen. J. Ortiz at 5 p.m. Friday.
        John F. Alder and J. K. Brand spoke for Acme Inc. in court.
        See Fig. 3, Art. 5, Sec. IV and pp. 3-4 for more.
        It was ranked No. 1 by Brand et al. (1998) vs. the rest, i.e. all others.
        St. Anselm lies approx. nine miles away, e.g. by boat.
    """,
    "abbreviations that end a sentence": """
        The fleet stayed in the U.S.
        The crew did not.
        He came home at 6 a.m.
        She was up.
        They sold rope, tar, etc.
        Then they left.
        He has a Ph.D.
        He never says so.
    """,
    "numbers": """
        It rose 3.5 percent to $1.2 billion in 2019.
        14 men stayed.
        Was it worth it?
        No.
        I would say it was not!
    """,
    "names": """
        The anti-D-ISIS talks ended in May.
        Visit example.com.
        Then write to Media.Vision about version 2.0.
        World War I ended.
        It had been long.
    """,
    "quotation marks": """
        “We are not done,” said the mayor.
        “Come back.”
        He did.
        It was called a “phase”.
        Nobody laughed.
        She said “Stop.” and left.
        'Never.'
        They went.
    """,
    "quotations glued to the next word": """
        The bridge stays shut “until the end of spring 2031”announced the harbour on Monday.
        Both towns chose a “two-step repair plan”said an engineer.
        The first step is the “removal of the deck”.
        “Step two, from 2032 on, concerns the towers” themselves, the mayor said.
    """,
    "ellipses": """
        We left the coast behind.
        … And in the last year, we came back.
        Wait… and see.
        Well…
        So be it.
    """,
    "brackets and references": """
        (This stands in brackets.)
        The rest (see below) does not.
        The eel swims.[2][3]
        It does so at night.[citation needed]
        The heron waits.4
        It eats [5].
        Read [the notes](https://example.com/a.b/C).
        They are long.
    """,
    "marks": """
        Really?!
        Yes!
        It works 😀.
        Cafe\u0301s open at nine.
        E\u0301tienne runs one.
    """,
    "other scripts": """
        你好。
        我们走吧！
        नमस्ते।
        चलो।
    """,
    "tokenised text": """
        " Who goes ? " she asked .
        The guard , a Mr. Finch , said : " Nobody . "
        ` ` So be it , '' he wrote .
        It weighed 3 @.@ 5 pounds .
    """,
    "all in small letters": """
        as of june 30, 2019, acme inc. and its u.s. units owed $3.5 million.
        a deferred tax asset of $16 million was kept.
        14. debt is discussed in note 3 below.
        see no. 5 of the list by j. brand.
        it is short.
    """,
    "enumerations": """
        1. First comes the rope.
        2. Then comes the tar.
        Step 3. Wait for an hour.
    """,
}


@pytest.mark.parametrize("lines", PROSE.values(), ids=PROSE.keys())
@pytest.mark.parametrize("space", [" ", "  ", "\r\n"], ids=["space", "spaces", "CRLF"])
def test_prose_comes_apart_as_a_reader_would(lines: str, space: str) -> None:
    sentences = [line.strip() for line in lines.strip().splitlines()]
    assert split(space.join(sentences)) == sentences


def test_a_glued_sentence_is_cut_but_a_dotted_name_is_not() -> None:
    text = "He said “Go home.”Then he left.She stayed with Media.Vision.It closed."
    assert split(text) == [
        "He said “Go home.”",
        "Then he left.",
        "She stayed with Media.Vision.",
        "It closed.",
    ]


@pytest.mark.parametrize("width", [50, 72, 100])
def test_a_wrapped_line_goes_on(width: int) -> None:
    sentences = [
        "The harbour of Port Alder was built by the monks of St. Anselm in the year",
        "1204, and it has been dredged by President Marsh and by nobody else since then.",
        "Its two lighthouses, which the U.S. Coast Guard runs, are older than the town.",
        "On a clear day both can be seen from Mount Ruddock in the north of the island.",
    ]
    wrapped = textwrap.fill(" ".join(sentences), width)
    found = [" ".join(sentence.split()) for sentence in split(f"{wrapped}\n\n{wrapped}\n")]
    assert found == 2 * [" ".join(sentences[:2]), *sentences[2:]]


def test_a_line_ends_a_sentence_where_lines_are_not_wrapped() -> None:
    lines = [
        "The council met on Monday and again on Tuesday, for nine hours in all, without a result:",
        "“We are not done,” said the mayor",
        "Nobody else wished to speak to the press that evening, and the doors were closed at ten.",
    ]
    assert split("\n".join(lines)) == lines


def test_a_short_second_line_that_goes_on_is_joined() -> None:
    assert split("Open from 8 a.m.\n\tto\n\t4 p.m.\n\nThe office of\nMayor Park\n") == [
        "Open from 8 a.m.\n\tto\n\t4 p.m.",
        "The office of\nMayor Park",
    ]


def test_the_lines_of_an_address_are_one_sentence() -> None:
    address = "Harbour Office\n12 Quay Street, Room 4\nPort Alder"
    assert split(f"Write to us, or come by.\n{address}\n") == ["Write to us, or come by.", address]


def test_a_long_menu_is_several_sentences() -> None:
    menu = "\n".join(f"Rope number {i} of ninety" for i in range(90))
    assert len(split(menu)) > 1
    assert all(len(sentence) <= 600 for sentence in split(menu))


def test_the_parts_of_markdown() -> None:
    text = textwrap.dedent("""\
        # Ropes

        A rope is long. It is
        also strong.

        - Hemp. It rots.
        - [ ] Nylon,
          which does not
        1) Steel

        > Quoted once. Quoted
        > twice.

        | Kind | Load |
        |------|-----:|
        | hemp | 2 t. Wet: 1 t. |

        Care
        ----

        ```sh
        rope --wash. Then.
        dry

        fold
        ```

        ***
        ![A rope](rope.png)
        """)
    expected = [
        "# Ropes",
        "A rope is long.",
        "It is\nalso strong.",
        "- Hemp.",
        "It rots.",
        "- [ ] Nylon,\n  which does not",
        "1) Steel",
        "> Quoted once.",
        "Quoted\n> twice.",
        "| Kind | Load |",
        "|------|-----:|",
        "| hemp | 2 t. Wet: 1 t. |",
        "Care\n----",
        "```sh",
        "rope --wash. Then.\ndry",
        "fold",
        "```",
        "***",
        "![A rope](rope.png)",
    ]
    assert split(text, "markdown") == expected
    assert headings(text, "markdown") == [
        *("# Ropes", "|------|-----:|", "Care\n----", "```sh", "```", "***", "![A rope](rope.png)")
    ]


def test_a_rule_under_a_paragraph_makes_it_no_heading() -> None:
    text = "- Hemp rots\n---\nIt is cheap.\nIt is light, too.\n---\n"
    assert headings(text, "markdown") == ["---", "---"]


def test_a_fence_without_a_partner_opens_no_code() -> None:
    assert split("One. Two.\n\n```\nThree. Four.\n") == ["One.", "Two.", "```", "Three.", "Four."]


def test_what_is_no_sentence_in_an_article_is_a_heading() -> None:
    text = textwrap.dedent("""\
        The last ferry to the island of Ruddock will sail in 2031

        The service, which two towns pay for, has lost money for years.

        Published

        Reading time: 2 min

        Fishermen at the old pier of Port Alder, in May. (LENA BRAND / AFP)

        The towns announced it on Friday. A bridge will take its place.

        What happens to the crew?

        They will be offered work on the bridge.

        Chapter 4

        * * *

        17

        Nobody has been told how much.
        """)
    assert headings(text) == [
        "The last ferry to the island of Ruddock will sail in 2031",
        "Published",
        "Reading time: 2 min",
        "Fishermen at the old pier of Port Alder, in May. (LENA BRAND / AFP)",
        "What happens to the crew?",
        "Chapter 4",
        "* * *",
        "17",
    ]


def test_a_line_of_contents_is_no_sentence() -> None:
    text = "1 Care of ropes . . . . . . . 4\nPreface ...... iv\n\nDry it.... Then wait 5 days.\n"
    assert headings(text) == ["1 Care of ropes . . . . . . . 4", "Preface ...... iv"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("The meeting is at five on Monday", []),  # all there is
        (
            "Notes for the trip\n\nBring a coat for the boat\n\nBring a second hat\n",
            ["Notes for the trip"],
        ),
        ("It was so.\n\nPhone: 555 0100\n\nIt was so again.", []),
        ("It was so.\n\n“We are done” said the mayor\n\nIt was so again.", []),
        ("it was so.\n\nthe harbour in the morning\n\nit was so again.", []),
    ],
)
def test_a_line_that_may_be_an_answer_is_no_heading(text: str, title: list[str]) -> None:
    assert headings(text) == title


def test_headings_of_a_wiki_dump() -> None:
    text = (
        " = Port Alder = \n Port Alder is a town . It is old . \n = = History = = \n It burnt . \n"
    )
    assert split(text) == [
        *(
            "= Port Alder =",
            "Port Alder is a town .",
            "It is old .",
            "= = History = =",
            "It burnt .",
        )
    ]
    assert headings(text) == ["= Port Alder =", "= = History = ="]


def test_line_ends_that_a_dump_has_escaped() -> None:
    text = r"[{'content': 'Do this:\n\n1. Go in.\n2. Come out', 'role': 'a'}, {'content': 'Why?'}]"
    assert split(text) == [
        r"[{'content': 'Do this:\n\n",
        r"1. Go in.\n",
        r"2. Come out', 'role': 'a'},",
        r"{'content': 'Why?'}]",
    ]
    assert split(r"Save it in C:\new\notes. Then go.") == [r"Save it in C:\new\notes.", "Then go."]


def test_a_record_of_a_csv_file_is_a_sentence() -> None:
    rows = [
        "name,note,year",
        '"Marsh, A.","said ""no"", twice.\r\nThen yes.",1999',
        'Brand,a 5" nail, bent. So what?,2001',
        '"unclosed,2003',
    ]
    text = "\r\n".join(rows) + "\r\n\r\n"
    assert split(text, "rows") == rows
    assert headings(text, "rows") == rows[:1]


@pytest.mark.parametrize(
    "first", ["Ruddock,1204", "Ruddock,", "Ruddock", f"Ruddock,A town {'of old houses ' * 3}"]
)
def test_a_first_row_that_names_no_columns_is_no_heading(first: str) -> None:
    text = f"{first}\nAlder,1310"
    assert split(text, "rows") == [first.strip(), "Alder,1310"]
    assert headings(text, "rows") == []


def test_an_endless_paragraph_is_one_sentence() -> None:
    for text in ("rope and tar " * 50_000, "rope" * 100_000, "(“" * 100_000, "- " * 100_000):
        assert split(text) == [text.strip()]


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("## The *old* pier ##", (2, "The *old* pier")),
        ("= = = Music = = =", (3, "Music")),
        ("==History==", (2, "History")),
        ("Care\r\n====", (1, "Care")),
        ("Care\n---", (2, "Care")),
        ("**Care:**", (PLAIN_LEVEL, "Care")),
        ("What is a rope?", (PLAIN_LEVEL, "What is a rope?")),
        ("- What is a rope?", (PLAIN_LEVEL, "What is a rope?")),
        ("Steps:", (PLAIN_LEVEL, "Steps")),
        ("***", None),
        ("|---|---|", None),
        ("```python", None),
        ("![A rope](rope.png)", None),
        ("Reading time: 2 min", None),
        ("Fishermen in May. (LENA BRAND / AFP)", None),
        ("Care of ropes . . . . . 17", None),
        ("17", None),
    ],
)
def test_the_level_and_words_of_a_heading(text: str, heading: tuple[int, str] | None) -> None:
    assert read_heading(text) == heading
