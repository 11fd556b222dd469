"""Corpus → documents → passages → vectors → generation: the day's work of an index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from rag.documents import file_digest, find_documents, read_document
from rag.encoder import Encoder
from rag.errors import BadIndex, CorpusError, DocumentError
from rag.generation import Generation, GenerationWriter, open_generation, write_generation
from rag.passages import cut_passages
from rag.sentences import split_sentences
from rag.settings import Settings
from rag.types import Document, Passage, Skipped

Progress = Callable[[float, str], None]  # share of the work done, 0..1, and the document at hand

_BATCH = 128  # passages encoded at a time


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did."""

    generation: str
    documents: int
    passages: int
    encoded: int  # passages that the model read in this build
    skipped: tuple[Skipped, ...]
    seconds: float
    changed: bool  # False: the last generation was up to date and stays in use


class _Piece(NamedTuple):
    row: int  # of the document, in the generation being written
    document: Document
    passage: Passage
    done: float  # share of the work that is done with this passage


def build_index(
    corpus: Path,
    index: Path,
    encoder: Encoder,
    settings: Settings,
    *,
    full: bool = False,
    progress: Progress = lambda _done, _name: None,
) -> Report:
    """Bring the index up to date with the corpus, reading anew only what changed.

    With ``full`` nothing of the last generation is reused. Raises CorpusError when there is
    nothing to read, BadIndex when another build is running; the last generation then stays in use.
    """
    started = time.perf_counter()
    files = _survey(corpus)
    with _only_builder(index):
        last = None if full else _reusable(index, encoder, settings)
        if last is not None and _listed(last) == files:
            return _report(last, 0, started, changed=False)
        with write_generation(index, encoder, settings) as new:
            fresh = _reuse(last, files, new)
            pieces = _cut(corpus, fresh, new, encoder, settings)
            encoded = sum(_encode(batch, new, encoder, progress) for batch in _batches(pieces))
            if new.is_empty:
                raise CorpusError(_nothing_to_read(corpus, new.skipped))
        return _report(open_generation(index), encoded, started, changed=True)


def _survey(corpus: Path) -> dict[str, str]:
    """Every file of the corpus with the digest of its bytes, "" where it cannot be opened."""
    files = {name: _digest(corpus, name) for name in find_documents(corpus)}
    if not files:
        raise CorpusError(_nothing_to_read(corpus, ()))
    return files


def _digest(corpus: Path, name: str) -> str:
    try:
        return file_digest(corpus, name)
    except DocumentError:
        return ""


def _listed(last: Generation) -> dict[str, str]:
    """Every file that the last generation saw, those it skipped included, as in ``_survey``."""
    documents, skipped = last.manifest.documents, last.manifest.skipped
    return {d.name: d.digest for d in documents} | {s.name: s.digest for s in skipped}


def _reusable(index: Path, encoder: Encoder, settings: Settings) -> Generation | None:
    """The last generation, if it can be opened and the same model and settings shaped it."""
    try:
        last = open_generation(index)
    except BadIndex:
        return None
    same = (
        last.manifest.model_digest == encoder.digest and last.settings.shape() == settings.shape()
    )
    return last if same else None


def _reuse(last: Generation | None, files: Mapping[str, str], new: GenerationWriter) -> list[str]:
    """Copy what did not change, under its present name; return the names that must be read."""
    if last is None:
        return list(files)
    known = {entry.digest: entry.name for entry in last.manifest.documents}
    known_names = {entry.name: entry.digest for entry in last.manifest.documents}
    fresh = []
    for name, digest in files.items():
        old_name = name if known_names.get(name) == digest else known.get(digest)
        if old_name is None or Path(old_name).suffix != Path(name).suffix:
            fresh.append(name)
        else:
            new.copy_document(last, old_name, _renamed(last.document(old_name), name))
    return fresh


def _renamed(document: Document, name: str) -> Document:
    title = document.title
    if title == Path(document.name).stem:
        title = Path(name).stem
    return replace(document, name=name, title=title)


def _cut(
    corpus: Path,
    names: Iterable[str],
    new: GenerationWriter,
    encoder: Encoder,
    settings: Settings,
) -> Iterator[_Piece]:
    """Read each document, store it, and yield its passages; report what cannot be read."""
    names = list(names)
    budget = min(settings.passage_tokens, encoder.window)
    for number, name in enumerate(names):
        try:
            document = read_document(corpus, name, settings.max_file_mb << 20)
        except DocumentError as error:
            new.skip(Skipped(name, str(error), _digest(corpus, name)))
            continue
        sentences = split_sentences(document)
        row = new.add_document(document)
        for passage in cut_passages(document, sentences, encoder.count_tokens, budget):
            share = passage.end / len(document.text)
            yield _Piece(row, document, passage, (number + share) / len(names))


def _encode(
    batch: list[_Piece], new: GenerationWriter, encoder: Encoder, progress: Progress
) -> int:
    texts = [piece.document.text[piece.passage.start : piece.passage.end] for piece in batch]
    contexts = [piece.document.context(piece.passage.heading) for piece in batch]
    for piece, encoding in zip(batch, encoder.encode(texts, contexts), strict=True):
        new.add_passage(piece.row, piece.passage, encoding)
    progress(batch[-1].done, batch[-1].document.name)
    return len(batch)


def _batches(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    while batch := list(islice(pieces, _BATCH)):
        yield batch


@contextmanager
def _only_builder(index: Path) -> Iterator[None]:
    index.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(index / ".lock", timeout=0):
            yield
    except Timeout:
        raise BadIndex(f"another rebuild of {index} is running: wait until it ends") from None


def _nothing_to_read(corpus: Path, skipped: Iterable[Skipped]) -> str:
    reasons = "".join(f"\n  {file.name}: {file.reason}" for file in skipped)
    kinds = ".txt, .md, .html, .pdf, .docx or .csv"
    return f"there is nothing to read in {corpus}: put {kinds} files there{reasons}"


def _report(generation: Generation, encoded: int, started: float, *, changed: bool) -> Report:
    manifest = generation.manifest
    return Report(
        generation=manifest.generation,
        documents=len(manifest.documents),
        passages=manifest.passages,
        encoded=encoded,
        skipped=manifest.skipped,
        seconds=time.perf_counter() - started,
        changed=changed,
    )
