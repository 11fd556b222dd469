"""A ranking of sentences → the quotes that answer, as many as are needed and no more."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

import numpy as np

from rag.agreement import agree, wanted_values
from rag.lexical import read_words
from rag.rerank import Ranking
from rag.sentences import is_fence, is_item
from rag.types import Quote

_WIDEN = 0.94  # a neighbour that scores this share of a sentence joins its quote
_MORE = 0.985  # a further quote is shown when it scores this share of the first
_MORE_OF_SEVERAL = 0.95  # the same, where the question asks for several things
_RIVAL = 0.85  # of the closest: from there, what other documents state of the date or figure counts
_SAME_THING = 0.5  # of the rarity of the words that the first quote takes up from the question

_SEVERAL = re.compile(
    r"\bwhy\b|\breasons\b|\bwhich (?:\w+ )?(?!(?:is|was|does|has|this|his|its)\b)\w+[^\Ws]s\b",
    re.IGNORECASE,
)
_LOWEST = float(np.finfo(np.float64).min)  # of a sentence that may be quoted
_LEANING = re.compile(r"(it|they|this|these|he|she)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """The quotes chosen from a ranking, best first."""

    quotes: tuple[Quote, ...]
    further: tuple[Quote, ...]  # the next best: not thought to be needed
    agreeing: tuple[str, ...]  # documents that state what the first quote does
    differ: bool  # whether another document states another date or figure

    def refuse(self) -> Choice:
        """Nothing quoted, all of it further."""
        return Choice((), (*self.quotes, *self.further), (), differ=False)


def choose_quotes(ranking: Ranking, most: int) -> Choice:
    """Choose as many of the best sentences as answer, at most ``most`` quotes.

    A sentence takes in a neighbour that scores nearly as high, the one before where it leans on it,
    and the one after, the list or the code where it ends in a colon. Quotes that adjoin are joined,
    and the same words in several places are one quote. Where the documents state different dates or
    figures, the first quote of each side is chosen.
    """
    ranked = list(islice(_rank_quotes(ranking), most))
    if not ranked:
        return Choice((), (), (), differ=False)
    share = _MORE_OF_SEVERAL if _SEVERAL.search(ranking.question.text) else _MORE
    needed = sum(quote.score >= share * ranked[0].score for quote in ranked)
    agreeing, rival = _compare(ranked[0], ranking)
    quotes, further = ranked[:needed], ranked[needed:]
    if rival and not any(_overlap(rival, quote) for quote in quotes):
        quotes = [*quotes[: max(most - 1, 1)], rival]
        further = [quote for quote in further if not _overlap(rival, quote)]
    return Choice(_join_adjoining(quotes), tuple(further), agreeing, differ=rival is not None)


def join_choices(choices: Sequence[Choice], most: int) -> Choice:
    """The choices for the questions asked in one: the first quote of each, then the others."""
    rounds = zip_longest(*(choice.quotes for choice in choices))
    chosen = _without_overlap(quote for quotes in rounds for quote in quotes if quote)
    rest = [quote for choice in choices for quote in choice.further]
    ranked = _without_overlap([*chosen, *sorted(rest, key=lambda quote: -quote.score)])
    shown = min(len(chosen), most)
    return Choice(
        tuple(ranked[:shown]),
        tuple(ranked[shown:]),
        min((choice.agreeing for choice in choices if choice.quotes), key=len, default=()),
        differ=any(choice.differ for choice in choices),
    )


def _without_overlap(quotes: Iterable[Quote]) -> list[Quote]:
    kept: list[Quote] = []
    for quote in quotes:
        if not any(_overlap(quote, other) for other in kept):
            kept.append(quote)
    return kept


def _rank_quotes(ranking: Ranking) -> Iterator[Quote]:
    """Quotes of different words without overlap, best first."""
    taken: set[int] = set()
    said: set[tuple[str, ...]] = set()
    for index in np.argsort(-ranking.scores, kind="stable").tolist():
        if not np.isfinite(ranking.scores[index]):
            return
        run = _widen(index, ranking, taken)
        key = _key(run, ranking)
        if key not in said and index not in taken:
            taken.update(run)
            said.add(key)
            yield _quote(run, ranking, float(ranking.scores[index]))


def _widen(index: int, ranking: Ranking, taken: Container[int] = ()) -> range:
    """The sentence with its neighbours in the passage that belong to it, unless taken."""
    scores, owner, texts = ranking.scores, ranking.reading.owner, ranking.texts
    near = _WIDEN * scores[index]
    leans = _LEANING.match(texts[index]) is not None
    leads = texts[index].endswith(":")

    def joins(other: int, least: float) -> bool:
        within = 0 <= other < len(scores) and owner[other] == owner[index]
        return bool(within and other not in taken and scores[other] >= least)

    first = index - 1 if joins(index - 1, _LOWEST if leans else near) else index
    after = index + 1
    if leads and after < len(texts) and is_fence(texts[after]):
        after += 1
    last = after if joins(after, _LOWEST if leads else near) else index
    while leads and joins(last + 1, _LOWEST) and all(map(is_item, texts[last : last + 2])):
        last += 1
    return range(first, last + 1)


def _compare(first: Quote, ranking: Ranking) -> tuple[tuple[str, ...], Quote | None]:
    """The documents that state what a quote does, and the best quote that states otherwise.

    Of documents that are nearly the same one is heard.
    """
    agreeing: list[str] = []
    heard: set[str] = set()

    def hear(name: str) -> None:
        heard.update([name, *ranking.generation.also_in(name)])

    for quote in (first, *first.also_in):
        if quote.document.name not in heard:
            agreeing.append(quote.document.name)
            hear(quote.document.name)
    question, rival = ranking.question.text, None
    hits = ranking.reading.hits
    stated = wanted_values(question, first.text)
    closeness = ranking.closeness
    least = _RIVAL * closeness.max()
    for index in np.argsort(-closeness, kind="stable").tolist() if stated else ():
        if closeness[index] < least:
            break
        name = hits[ranking.reading.owner[index]].passage.document
        same = agree(stated, wanted_values(question, ranking.texts[index]))
        if name in heard or same is None or not _same_thing(first.text, index, ranking):
            continue
        hear(name)
        if same:
            agreeing.append(name)
        else:
            score = float(ranking.scores[index])
            rival = rival or _quote(_widen(index, ranking), ranking, score)
    return tuple(agreeing), rival


def _same_thing(text: str, index: int, ranking: Ranking) -> bool:
    """Whether a sentence says most of those words of the question that a text says, by rarity."""
    stems = {word.stem for word in read_words(text)}
    others = {word.stem for word in read_words(ranking.texts[index])}
    rarity = zip(ranking.question.words, ranking.question.rarity, strict=True)
    said = {word.stem: rare for word, rare in rarity if word.stem in stems and not word.is_stop}
    return bool(
        sum(said[stem] for stem in said.keys() & others) >= _SAME_THING * sum(said.values())
    )


def _overlap(one: Quote, other: Quote) -> bool:
    same = one.document.name == other.document.name
    return same and one.start < other.end and other.start < one.end


def _quote(run: range, ranking: Ranking, score: float) -> Quote:
    """The run as a quote, with the other places among the hits where the same words stand."""
    first = _slice(run, ranking, score)
    others = [_slice(other, ranking, score) for other in _same_words(run, ranking)]
    return replace(first, also_in=tuple(others))


def _slice(run: range, ranking: Ranking, score: float) -> Quote:
    (number, first), (_, last) = (ranking.reading.sentences[i] for i in (run[0], run[-1]))
    return Quote(ranking.document(number), first.start, last.end, score)


def _same_words(run: range, ranking: Ranking) -> list[range]:
    """Other runs of one passage each with the same words, one for each document, in order."""
    wanted, owner = _key(run, ranking), ranking.reading.owner
    found: dict[str, range] = {}
    for start in range(len(owner) - len(run) + 1):
        other = range(start, start + len(run))
        name = ranking.reading.hits[owner[start]].passage.document
        if other == run or owner[other[-1]] != owner[start] or name in found:
            continue
        if ranking.keys[start] == wanted[0] and _key(other, ranking) == wanted:
            found[name] = other
    return list(found.values())


def _key(run: range, ranking: Ranking) -> tuple[str, ...]:
    return tuple(ranking.keys[index] for index in run)


def _join_adjoining(quotes: Sequence[Quote]) -> tuple[Quote, ...]:
    """Join quotes of one document with nothing but white space between them; best first."""
    joined: list[Quote] = []
    for quote in sorted(quotes, key=lambda q: (q.document.name, q.start)):
        if joined and _adjoin(joined[-1], quote):
            score = max(joined[-1].score, quote.score)
            joined[-1] = replace(joined[-1], end=quote.end, score=score)
        else:
            joined.append(quote)
    return tuple(sorted(joined, key=lambda quote: -quote.score))


def _adjoin(first: Quote, second: Quote) -> bool:
    if first.document.name != second.document.name or first.also_in or second.also_in:
        return False
    return not first.document.text[first.end : second.start].strip()
