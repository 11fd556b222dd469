"""A generation of this machine → collections in Milvus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np

from rag.build import Progress
from rag.errors import BadIndex
from rag.generation import Generation
from rag.lexical import read_fields
from rag.manifest import Entry, Manifest
from rag.milvus import layout
from rag.milvus.client import Client, Row
from rag.milvus.words import WordCounts
from rag.store import Stored, row_of
from rag.types import Document

_BATCH = 500  # rows sent at a time: of passages about six megabytes


def collection_name(alias: str, manifest: Manifest) -> str:
    """Another one for each generation that was built, and for each layout."""
    said = f"{layout.VERSION} {manifest.to_json()}"
    return f"{alias}_{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def publish(generation: Generation, client: Client, collection: str, progress: Progress) -> None:
    """Copy a generation to a collection and those beside it.

    What an earlier attempt has copied is not copied again. Raises BadIndex where Milvus has other
    numbers of rows in the end.
    """
    words = _count_words(generation)
    begun = _create(client, collection, generation)
    documents, texts, known = layout.parts(collection)
    rows = {
        known: _word_rows(words),
        texts: _text_rows(generation),
        documents: _document_rows(generation),
        collection: _watched(_passage_rows(generation, words), len(generation), progress),
    }
    sent = {name: _send(client, name, rows[name], begun=name in begun) for name in rows}
    for name, count in sent.items():
        client.load(name)
        if (there := client.count(name)) != count:
            raise BadIndex(f"{name} has {there:,} rows, not {count:,}: run rag index --full")


def _create(client: Client, collection: str, generation: Generation) -> set[str]:
    """Make the collections; return the names of those that were there."""
    exact = len(generation) <= generation.settings.exact_passages
    documents, texts, words = layout.parts(collection)
    shapes = {
        collection: layout.passage_layout(generation.vectors.dimensions, exact=exact),
        documents: layout.document_layout(),
        texts: layout.text_layout(),
        words: layout.word_layout(),
    }
    begun = shapes.keys() & set(client.collections())
    with ThreadPoolExecutor(len(shapes)) as pool:  # pymilvus waits half a second for each index
        list(pool.map(lambda name: client.create(name, *shapes[name]), shapes.keys() - begun))
    return begun


def _send(client: Client, collection: str, rows: Iterator[Row], *, begun: bool) -> int:
    """Insert the rows that are not there yet, for they always come in the same order."""
    sent = 0
    if begun:
        client.load(collection)
        sent = client.count(collection) // _BATCH * _BATCH
        for _ in islice(rows, sent):
            pass
    while batch := list(islice(rows, _BATCH)):
        client.insert(collection, batch)
        sent += len(batch)
    return sent


def _watched(rows: Iterable[Row], count: int, progress: Progress) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number % _BATCH == 0:
            progress(number / count, row["name"])
        yield row


def _documents(generation: Generation) -> Iterator[Document]:
    """In the order in which their passages are numbered."""
    return map(generation.document, generation.digests())


def _searchable(generation: Generation) -> Iterator[tuple[int, str, str]]:
    for document in _documents(generation):
        ids = generation.passage_ids([document.name])
        for number, passage in zip(ids, generation.passages(ids), strict=True):
            words = document.searchable(passage.heading, passage.start, passage.end)
            yield number, document.name, words


def _count_words(generation: Generation) -> WordCounts:
    words = WordCounts()
    for _, fields in read_fields(_searchable(generation)):
        words.add(fields)
    return words


def _stored_texts(generation: Generation) -> Iterator[tuple[str, str]]:
    """The manifest, then each document: its name, and all that is stored of it as one text."""
    yield "", replace(generation.manifest, documents=(), files={}).to_json()
    for document in _documents(generation):
        text, *others = row_of(document)
        yield document.name, text + json.dumps(others)


def _text_rows(generation: Generation) -> Iterator[Row]:
    pieces = (piece for _, text in _stored_texts(generation) for piece in layout.pieces_of(text))
    for number, piece in enumerate(pieces):
        yield layout.beside({"id": number, "text": piece})


def _document_rows(generation: Generation) -> Iterator[Row]:
    entries = {entry.name: entry for entry in generation.manifest.documents}
    groups: dict[str, int] = {}
    for group, (name, others) in enumerate(generation.alike().items(), start=1):
        groups.setdefault(name, group)
        groups.update(dict.fromkeys(others, groups[name]))
    first = 0
    for name, text in _stored_texts(generation):
        pieces = len(layout.pieces_of(text))
        known = _known_of(entries[name], generation) if name else layout.OF_MANIFEST
        place = {"first_piece": first, "pieces": pieces, "alike": groups.get(name, 0)}
        yield layout.beside({**known, **place})
        first += pieces


def _known_of(entry: Entry, generation: Generation) -> Row:
    document = generation.document(entry.name)
    ids = generation.passage_ids([entry.name])
    earliest, latest = layout.days(document.date)
    return {
        "id": layout.key_of(entry.name),
        "name": entry.name,
        "title": document.title[: layout.PIECE],
        "date": document.date or "",
        "digest": entry.digest,
        "seal": entry.seal,
        "characters": entry.characters,
        "pages": len(document.pages),
        "first_passage": ids[0] if ids else 0,
        "passages": entry.passages,
        "earliest": earliest,
        "latest": latest,
    }


def _passage_rows(generation: Generation, words: WordCounts) -> Iterator[Row]:
    fields = read_fields(_searchable(generation))
    for name in generation.digests():
        for row in _rows_of(generation.stored(name)):
            number, found = next(fields)
            sparse = {kind: words.weigh(kind, found[kind]) for kind in ("text", "near")}
            yield {"id": number, **row, **sparse}


def _rows_of(stored: Stored) -> Iterator[Row]:
    document = stored.document
    earliest, latest = layout.days(document.date)
    of_document = {"document": layout.key_of(document.name), "name": document.name}
    end = 0
    for (heading, sentences, count), vector in zip(stored.passages, stored.vectors, strict=True):
        start, end = end, end + count
        yield {
            **of_document,
            "earliest": earliest,
            "latest": latest,
            "heading": heading,
            "sentences": sentences,
            "tokens": layout.pack(stored.tokens[start:end], document.name),
            "vector": vector.astype(np.float32),
        }


def _word_rows(words: WordCounts) -> Iterator[Row]:
    for word, number in words.dimensions.items():
        text, near, form = (counts[word] for counts in words.standing.values())
        row = {"id": layout.key_of(word), "dimension": number}
        yield layout.beside({**row, "text": text, "near": near, "form": form})
