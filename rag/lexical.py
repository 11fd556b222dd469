"""BM25 over passages; the only importer of tantivy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rag.errors import IndexDamaged

_ANALYZER = "english"
_HEAP_BYTES = 64 << 20


def write_lexical(folder: Path, passages: Iterable[tuple[str, str]]) -> None:
    """Index (document name, text) pairs in ``folder``; a passage's id is its place, from 0."""
    import tantivy

    folder.mkdir()
    index = tantivy.Index(_schema(), path=str(folder))
    index.register_tokenizer(_ANALYZER, _analyzer())
    writer = index.writer(_HEAP_BYTES, num_threads=1)  # one thread, so that ids keep their order
    for number, (document, text) in enumerate(passages):
        writer.add_document(tantivy.Document(id=number, document=document, text=text))
    writer.commit()
    writer.wait_merging_threads()


class Lexical:
    """A lexical index opened for search. Raises IndexDamaged when it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        try:
            index = tantivy.Index.open(str(folder))
            index.register_tokenizer(_ANALYZER, _analyzer())
            self._searcher = index.searcher()
        except (ValueError, OSError):
            raise IndexDamaged(f"{folder} cannot be read: run rag index --full") from None
        self._schema = index.schema
        self._words = _analyzer()

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def search(
        self, question: str, k: int, documents: Sequence[str] = ()
    ) -> list[tuple[int, float]]:
        """Return up to ``k`` (id, BM25 score), best first, of all ``documents`` or of those named.

        The question is data, never query syntax: one term query for each of its words.
        """
        words = dict.fromkeys(self._words.analyze(question))
        if not words:
            return []
        query = self._any("text", words)
        if documents:
            query = self._within(query, documents)
        hits = self._searcher.search(query, k, count=False).hits
        found = [(self._searcher.doc(address)["id"][0], score) for score, address in hits]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _any(self, field: str, terms: Iterable[str]) -> Any:
        from tantivy import Occur, Query

        queries = [Query.term_query(self._schema, field, term) for term in terms]
        return Query.boolean_query([(Occur.Should, query) for query in queries])

    def _within(self, query: Any, documents: Sequence[str]) -> Any:
        from tantivy import Occur, Query

        named = Query.const_score_query(self._any("document", documents), 0.0)
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, named)])


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("id", stored=True)
    builder.add_text_field("document", tokenizer_name="raw")
    builder.add_text_field("text", tokenizer_name=_ANALYZER, index_option="freq")
    return builder.build()


def _analyzer() -> Any:
    """Words in lower case, without accents or stop words, stemmed (Porter 2)."""
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in (
        Filter.remove_long(80),
        Filter.lowercase(),
        Filter.ascii_fold(),
        Filter.stopword("english"),
        Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()
