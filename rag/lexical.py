"""Words, and BM25 over passages; the only importer of tantivy."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexDamaged

Field = Literal["text", "near"]  # a passage's own words; those of its neighbours too

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
STOP_WORDS = frozenset(
    "a an the of in on at to for from by with as is are was were be been being am do does did "
    "doing done have has had having will would shall should can could may might must i me my we "
    "our you your he him his she her it its they them their this that these those and or but if "
    "then than so such not no nor into about over under up down out off again there here what "
    "which who whom whose when where why how many much s t".split()
)
_IRREGULAR = Path(__file__).with_name("irregular.txt")
_IDS = "ids.i32"  # the ids of passages in the order in which they were added, -1 where it is gone
_MOST_GONE = 0.05  # of them: what is gone counts in BM25's mean length until all is written anew
_HEAP_BYTES = 64 << 20
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, and the form under which it is found."""

    start: int  # characters into the text
    text: str
    stem: str  # lower case, without accents, Porter 2; a number without its commas
    is_stop: bool  # too common to be searched for


def read_words(text: str) -> list[Word]:
    """All words and numbers of a text, in order."""
    return [
        Word(found.start(), found[0], _stem(found[0].lower()), _is_stop(found[0]))
        for found in _WORD.finditer(text)
    ]


def stems_to_find(words: Iterable[Word]) -> list[str]:
    """The stems that a search is made for: stop words are left out unless there are no others."""
    known = list(words)
    return list(dict.fromkeys([w.stem for w in known if not w.is_stop] or [w.stem for w in known]))


def weigh_stems(words: Iterable[Word], carried: Mapping[str, float]) -> dict[str, float]:
    """What each stem counts in a search: 1, and what is ``carried`` in addition."""
    own = dict.fromkeys(stems_to_find(words), 1.0)
    return {stem: own.get(stem, 0.0) + carried.get(stem, 0.0) for stem in {**own, **carried}}


def plain(word: str) -> str:
    """A word in lower case, without accents and without a possessive ending."""
    words: list[str] = _folding().analyze(word.replace("’", "'").removesuffix("'s"))
    return words[0] if words else word


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """A lexical index of earlier passages, and what became of them."""

    folder: Path
    ids: NDArray[np.int32]  # (passages,), what each is called now, -1 where it is gone
    gone: Sequence[str]  # the names of the documents whose passages are gone

    @classmethod
    def read(
        cls, folder: Path, moves: NDArray[np.signedinteger], gone: Sequence[str]
    ) -> Words | None:
        """``moves`` are the new ids by the old. None where too much of it is gone."""
        before = np.fromfile(folder / _IDS, np.int32)
        ids = np.where(before < 0, -1, moves[before])
        return cls(folder, ids, gone) if (ids < 0).mean() <= _MOST_GONE else None


def write_lexical(
    folder: Path, passages: Iterable[tuple[int, str, str]], last: Words | None = None
) -> None:
    """Index (id, document name, text) triples in ``folder``, and what is left of ``last``.

    The passages of a document follow one another. Only the ``passages`` are read.
    """
    import tantivy

    ids = last.ids.tolist() if last else []
    if last:
        shutil.copytree(last.folder, folder, ignore=shutil.ignore_patterns("*.lock"))
    else:
        folder.mkdir()
    writer = tantivy.Index(_schema(), path=str(folder)).writer(_HEAP_BYTES, num_threads=1)
    for name in last.gone if last else ():
        writer.delete_documents_by_term("document", name)
    for number, fields in read_fields(passages):
        writer.add_document(tantivy.Document(place=len(ids), **fields))
        ids.append(number)
    writer.commit()
    writer.wait_merging_threads()
    np.array(ids, np.int32).tofile(folder / _IDS)


class Lexical:
    """A lexical index opened for search. Raises IndexDamaged when it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        try:
            index = tantivy.Index.open(str(folder))
            self._searcher = index.searcher()
            self._ids = np.fromfile(folder / _IDS, np.int32)
            segments = json.loads((folder / "meta.json").read_bytes())["segments"]
        except (ValueError, OSError):
            raise IndexDamaged(f"{folder} cannot be read: run rag index --full") from None
        self._schema = index.schema
        self._counted = sum(segment["max_doc"] for segment in segments)  # with what is gone

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def search(
        self,
        words: Iterable[Word],
        k: int,
        field: Field = "text",
        documents: Sequence[str] = (),
        carried: Mapping[str, float] = _NONE,
    ) -> list[tuple[int, float]]:
        """Return up to ``k`` (id, BM25 score), best first, of all ``documents`` or of those named.

        Words are data, never query syntax: one term query for each of their stems, which counts 1,
        and for each ``carried`` stem, which counts what is given, in addition.
        """
        stems = weigh_stems(words, carried)
        if not stems:
            return []
        query = self._any(field, {s: n * self._correction(field, s) for s, n in stems.items()})
        if documents:
            query = self._within(query, documents)
        hits = self._searcher.search(query, k, count=False).hits
        places = self._searcher.fast_field_values("place", [address for _, address in hits])
        ids = self._ids[np.array(places, np.int64)].tolist()
        found = [(number, score) for number, (score, _) in zip(ids, hits, strict=True)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def rarity(self, words: Sequence[Word]) -> list[float]:
        """The inverse document frequency of each word, as BM25 has it; at least 0."""
        return [inverse_frequency(len(self), self._count("text", word.stem)) for word in words]

    def holds(self, words: Sequence[Word]) -> list[bool]:
        """Tell of each word whether it, or another of the same stem, stands in any passage."""
        forms = self.count([plain(word.text) for word in words])
        pairs = zip(words, forms, strict=True)
        return [bool(count or self._count("text", word.stem)) for word, count in pairs]

    def count(self, forms: Sequence[str]) -> list[int]:
        """In how many passages each ``plain`` word stands, in this form."""
        return [self._count("words", form) for form in forms]

    def _count(self, field: str, term: str) -> int:
        """In how many passages a term stands; those that are gone are not counted."""
        from tantivy import Query

        count = int(self._searcher.doc_freq(field, term))
        if count and self._counted > len(self):
            found: Any = self._searcher.search(Query.term_query(self._schema, field, term), 1)
            count = int(found.count)
        return count

    def _correction(self, field: str, term: str) -> float:
        """By how much the engine's weight of a term is too small: it counts what is gone, too."""
        if self._counted == len(self):
            return 1.0
        weight = inverse_frequency(self._counted, self._searcher.doc_freq(field, term))
        return inverse_frequency(len(self), self._count(field, term)) / weight

    def _any(self, field: str, terms: Mapping[str, float]) -> Any:
        """Match any of the terms, which count what is given."""
        from tantivy import Occur, Query

        queries = [
            Query.boost_query(Query.term_query(self._schema, field, term), share)
            for term, share in terms.items()
        ]
        return Query.boolean_query([(Occur.Should, query) for query in queries])

    def _within(self, query: Any, documents: Sequence[str]) -> Any:
        from tantivy import Occur, Query

        named = Query.const_score_query(self._any("document", dict.fromkeys(documents, 1.0)), 0.0)
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, named)])


def inverse_frequency(passages: int, having: int) -> float:
    """The inverse document frequency of BM25."""
    return math.log1p((passages - having + 0.5) / (having + 0.5))


def _schema() -> Any:
    """Text fields hold stems, or words, with spaces between: tantivy cuts at these, no more."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("place", fast=True)  # among the ids
    builder.add_text_field("document", tokenizer_name="raw", index_option="basic")
    for field in ("text", "near"):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="basic")
    return builder.build()


def read_fields(
    passages: Iterable[tuple[int, str, str]],
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield of each passage its id, document, stems, those with its neighbours', and words."""
    for document, group in groupby(passages, itemgetter(1)):
        read = ((number, *_stems_and_words(text)) for number, _, text in group)
        before, (number, here, words) = "", next(read)
        for following, after, next_words in chain(read, [(-1, "", "")]):
            near = f"{before} {here} {after}"
            yield number, {"document": document, "text": here, "near": near, "words": words}
            before, number, here, words = here, following, after, next_words


def _stems_and_words(text: str) -> tuple[str, str]:
    forms = [_forms(word) for word in _WORD.findall(text)]
    return " ".join(stem for stem, _ in forms), " ".join({word: None for _, word in forms})


def _is_stop(word: str) -> bool:
    return re.split("['’]", word.lower())[0] in STOP_WORDS


@lru_cache(100_000)
def _forms(word: str) -> tuple[str, str]:
    return _stem(word.lower()), plain(word)


@lru_cache(100_000)
def _stem(word: str) -> str:
    word = word.replace("’", "'").removesuffix("'s")
    if word[:1].isdigit():
        return word.replace(",", "")
    stems: list[str] = _stemmer().analyze(_irregular().get(word, word))
    return stems[0] if stems else word


@lru_cache(1)
def _irregular() -> dict[str, str]:
    """Irregular forms, which no rule of a stemmer reaches, with the form they are of."""
    lines = _IRREGULAR.read_text("utf-8").splitlines()
    return {form: base for base, *forms in map(str.split, lines) for form in forms}


@lru_cache(1)
def _folding() -> Any:
    return _fold_case_and_accents().build()


@lru_cache(1)
def _stemmer() -> Any:
    from tantivy import Filter

    return _fold_case_and_accents().filter(Filter.stemmer("english")).build()


def _fold_case_and_accents() -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.raw())
    return builder.filter(Filter.lowercase()).filter(Filter.ascii_fold())
