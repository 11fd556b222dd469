"""Words, and BM25 over passages; the only importer of tantivy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from rag.errors import IndexDamaged

Field = Literal["text", "near"]  # a passage's own words; those of its neighbours too

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
STOP_WORDS = frozenset(
    "a an the of in on at to for from by with as is are was were be been being am do does did "
    "doing done have has had having will would shall should can could may might must i me my we "
    "our you your he him his she her it its they them their this that these those and or but if "
    "then than so such not no nor into about over under up down out off again there here what "
    "which who whom whose when where why how s t".split()
)
_IRREGULAR = Path(__file__).with_name("irregular.txt")
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


def plain(word: str) -> str:
    """A word in lower case, without accents and without a possessive ending."""
    words: list[str] = _folding().analyze(word.replace("’", "'").removesuffix("'s"))
    return words[0] if words else word


def write_lexical(folder: Path, passages: Iterable[tuple[str, str]]) -> None:
    """Index (document name, text) pairs in ``folder``; a passage's id is its place, from 0."""
    import tantivy

    folder.mkdir()
    index = tantivy.Index(_schema(), path=str(folder))
    writer = index.writer(_HEAP_BYTES, num_threads=1)  # one thread, so that ids keep their order
    for number, fields in enumerate(_read_fields(passages)):
        writer.add_document(tantivy.Document(id=number, **fields))
    writer.commit()
    writer.wait_merging_threads()


class Lexical:
    """A lexical index opened for search. Raises IndexDamaged when it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        try:
            index = tantivy.Index.open(str(folder))
            self._searcher = index.searcher()
        except (ValueError, OSError):
            raise IndexDamaged(f"{folder} cannot be read: run rag index --full") from None
        self._schema = index.schema

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
        own = dict.fromkeys(stems_to_find(words), 1.0)
        stems = {stem: own.get(stem, 0.0) + carried.get(stem, 0.0) for stem in {**own, **carried}}
        if not stems:
            return []
        query = self._any(field, stems)
        if documents:
            query = self._within(query, documents)
        hits = self._searcher.search(query, k, count=False).hits
        found = [(self._searcher.doc(address)["id"][0], score) for score, address in hits]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def rarity(self, word: Word) -> float:
        """The inverse document frequency of a word, as BM25 has it; at least 0."""
        passages = len(self)
        having = self._searcher.doc_freq("text", word.stem)
        return math.log1p((passages - having + 0.5) / (having + 0.5))

    def holds(self, word: Word) -> bool:
        """Tell whether a word, or another of the same stem, stands in any passage."""
        return bool(self._searcher.doc_freq("text", word.stem) or self.count(plain(word.text)))

    def count(self, word: str) -> int:
        """In how many passages a ``plain`` word stands, in this form."""
        return int(self._searcher.doc_freq("words", word))

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


def _schema() -> Any:
    """Text fields hold stems, or words, with spaces between: tantivy cuts at these, no more."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("id", stored=True)
    builder.add_text_field("document", tokenizer_name="raw")
    for field in ("text", "near"):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="basic")
    return builder.build()


def _read_fields(passages: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Yield of each passage its document, its stems, its neighbours' with them, and its words."""
    for document, group in groupby(passages, itemgetter(0)):
        read = (_stems_and_words(text) for _, text in group)
        before, (here, words) = "", next(read)
        for after, following in chain(read, [("", "")]):
            near = f"{before} {here} {after}"
            yield {"document": document, "text": here, "near": near, "words": words}
            before, here, words = here, after, following


def _stems_and_words(text: str) -> tuple[str, str]:
    words = read_words(text)
    return " ".join(word.stem for word in words), " ".join(
        dict.fromkeys(plain(word.text) for word in words)
    )


def _is_stop(word: str) -> bool:
    return re.split("['’]", word.lower())[0] in STOP_WORDS


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
