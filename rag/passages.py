"""Document → passages: runs of whole sentences, up to a budget of tokens.

Where to cut is a shortest path. A passage costs something for the room it leaves, a cut for what it
parts, a heading for not being cut at; the cheapest way through the document is taken. So passages
begin at headings and paragraphs where they can, and no small rest is left at the end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby, pairwise
from math import ceil
from operator import itemgetter

from rag.sentences import PLAIN_LEVEL, read_heading
from rag.types import Document, Passage, Sentence

CountTokens = Callable[[Sequence[str]], list[int]]  # one count for each text
_Title = tuple[int, str]  # level and words


def cut_passages(
    document: Document, sentences: Sequence[Sentence], count_tokens: CountTokens, budget: int
) -> list[Passage]:
    """All of ``sentences``, in order, each in one passage of at most ``budget`` tokens.

    A sentence over the budget is cut into pieces first, each a sentence then, and so is one of many
    thousand characters, however few its tokens. Only a single character over the budget is a
    passage that is over it.
    """
    tokens = _fit_sentences(document.text, sentences, count_tokens, budget)
    fitting = list(tokens)
    titles = _read_titles(document.text, fitting)
    costs = _cost_cuts(document.text, fitting, titles)
    cuts = _choose_cuts(list(tokens.values()), costs, budget)
    headings = _list_headings(titles, document.title)
    return [
        Passage(document.name, tuple(fitting[start:end]), headings[start])
        for start, end in zip([0, *cuts], cuts, strict=False)
    ]


# Sentences over the budget are cut into pieces.


def _fit_sentences(
    text: str, sentences: Sequence[Sentence], count_tokens: CountTokens, budget: int
) -> dict[Sentence, int]:
    """The tokens of each sentence, in order; pieces stand for those over the budget."""

    def count(parts: Sequence[Sentence]) -> dict[Sentence, int]:
        batches = (parts[i : i + _COUNTED] for i in range(0, len(parts), _COUNTED))
        counts = (count_tokens([text[p.start : p.end] for p in batch]) for batch in batches)
        return dict(zip(parts, chain.from_iterable(counts), strict=True))

    tokens = count([part for s in sentences for part in _cut_long(text, s)])
    while long := [s for s, n in tokens.items() if n > budget and s.end - s.start > 1]:
        pieces = {s: list(_cut_sentence(text, s, ceil(tokens[s] / budget))) for s in long}
        counted = count(list(chain(*pieces.values())))
        tokens = {
            part: counted.get(part, n) for s, n in tokens.items() for part in pieces.get(s, [s])
        }
    return tokens


_COUNTED = 128  # sentences whose tokens are counted at a time: a tokenizer takes much memory
_LONGEST = 20_000  # characters of a sentence: 200 words of 100


def _cut_long(text: str, sentence: Sentence) -> Iterable[Sentence]:
    length = sentence.end - sentence.start
    return (
        _cut_sentence(text, sentence, ceil(length / _LONGEST)) if length > _LONGEST else [sentence]
    )


def _cut_sentence(text: str, sentence: Sentence, parts: int) -> Iterator[Sentence]:
    """About ``parts`` pieces of about one length; only white space between them is lost."""
    length = ceil((sentence.end - sentence.start) / parts)
    start = sentence.start
    while start < sentence.end:
        end = sentence.end
        if end - start > length:
            end = _find_cut(text, start + length // 2, start + length)
        piece = text[start:end]
        if words := piece.strip():
            first = end - len(piece.lstrip())
            yield Sentence(first, first + len(words), sentence.heading)
        start = end


def _find_cut(text: str, low: int, high: int) -> int:
    """The best place to cut after ``low`` and up to ``high``: the last of the best kind."""
    for kind in _PLACES:
        places = [place.end() for place in kind.finditer(text, low, high)]
        if places:
            return places[-1]
    cut = high
    while cut > low + 1 and _belongs_to_last(text, cut):
        cut -= 1
    return cut if cut > low + 1 else high


_PLACES = (re.compile(r"\n"), re.compile(r"[.!?;:,…–—)\]]['\"”’]?\s"), re.compile(r"\s"))


def _belongs_to_last(text: str, index: int) -> bool:
    """Whether the character at ``index`` is one sign with the one before it, as accents are."""
    joined = _JOINER in text[index - 1 : index + 1]
    return joined or unicodedata.category(text[index]) in ("Mn", "Mc", "Me", "Sk")


_JOINER = "\u200d"  # of emoji

# Headings: which are in force where.


def _read_titles(text: str, sentences: Sequence[Sentence]) -> list[_Title | None]:
    """The level and words of each sentence that heads what follows it.

    Headings without marks count where there are none with marks, but for a title. Two together are
    a heading and the one below it; more are a menu.
    """
    titles = [read_heading(text[s.start : s.end]) if s.heading else None for s in sentences]
    plain = [title is not None and title[0] == PLAIN_LEVEL for title in titles]
    longest_run = 0 if len(titles) - titles.count(None) - sum(plain) > 1 else 2
    chosen: list[_Title | None] = []
    for is_plain, group in groupby(zip(plain, titles, strict=True), itemgetter(0)):
        run = [title for _, title in group]
        if is_plain:
            head = len(run) <= longest_run
            run = [(PLAIN_LEVEL + i, t[1]) if head and t else None for i, t in enumerate(run)]
        chosen += run
    return chosen


def _list_headings(titles: Sequence[_Title | None], document_title: str) -> list[str]:
    """The headings in force at each sentence; a heading is in force from itself on."""
    path: list[_Title] = []
    headings = []
    for title in titles:
        if title:
            level, words = title
            path = [above for above in path if above[0] < level]
            if words.casefold() != document_title.casefold():
                path.append((level, _shorten(words)))
        headings.append(" › ".join(words for _, words in path))
    return headings


def _shorten(words: str) -> str:
    words = " ".join(words.split())
    if len(words) <= _LONGEST_HEADING:
        return words
    return words[: _LONGEST_HEADING - 1].rsplit(" ", 1)[0] + "…"


_LONGEST_HEADING = 80  # characters

# Where to cut. The costs are in units of an empty passage.

_NO_LINE_END, _LINE_END, _BLANK_LINE = 0.3, 0.2, 0.1  # for a cut there
_AFTER_COLON = 0.6  # for a cut between a list and what leads to it
_AFTER_HEADING = 3.0  # for a cut that leaves a heading behind
_INNER_HEADING = 0.6  # for a heading inside a passage
_OUTER_HEADING = 0.75  # for one of a higher level than the passage's last


def _cost_cuts(
    text: str, sentences: Sequence[Sentence], titles: Sequence[_Title | None]
) -> list[tuple[float, float]]:
    """What it costs to cut before each sentence, and what not to."""
    costs = [(0.0, 0.0)]
    level = titles[0][0] if titles and titles[0] else 0
    for (last, sentence), (above, title) in zip(pairwise(sentences), pairwise(titles), strict=True):
        if above:
            costs.append((_AFTER_HEADING, 0.0))
        elif title:
            costs.append((0.0, _OUTER_HEADING if title[0] < level else _INNER_HEADING))
        else:
            costs.append((_cost_cut(text, last.end, sentence.start), 0.0))
        level = title[0] if title else level
    return costs


def _cost_cut(text: str, end: int, start: int) -> float:
    """What a cut costs between sentences that are no headings."""
    if text[end - 1] == ":":
        return _AFTER_COLON
    line_ends = len(f"{text[end:start]}.".splitlines()) - 1
    return (_NO_LINE_END, _LINE_END, _BLANK_LINE)[min(line_ends, 2)]


def _choose_cuts(
    tokens: Sequence[int], costs: Sequence[tuple[float, float]], budget: int
) -> list[int]:
    """Where passages end, as indices of sentences; the last is their number."""
    cheapest = [0.0]  # to cut all before each sentence
    starts = [0]  # of the passage that ends there
    for end in range(1, len(tokens) + 1):
        best, start = min(_cost_passages(end, tokens, costs, budget, cheapest))
        cheapest.append(best)
        starts.append(start)
    cuts = []
    end = len(tokens)
    while end:
        cuts.append(end)
        end = starts[end]
    return cuts[::-1]


def _cost_passages(
    end: int,
    tokens: Sequence[int],
    costs: Sequence[tuple[float, float]],
    budget: int,
    cheapest: Sequence[float],
) -> Iterator[tuple[float, int]]:
    """The cost of all up to ``end`` for each start that the last passage can have."""
    filled, inner = 0, 0.0
    for start in range(end - 1, -1, -1):
        filled += max(1, tokens[start])  # so that empty ones end the search too
        if filled > budget and start < end - 1:
            return
        cut, uncut = costs[start]
        empty = max(0.0, 1 - filled / budget)
        yield cheapest[start] + cut + inner + empty**2, start
        inner += uncut
