"""Corpus → documents → passages → vectors → generation: the day's work of an index."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from rag.codes import Coded, code
from rag.documents import NO_READER, file_digest, find_documents, read_document
from rag.encoder import Encoder, Encoding
from rag.errors import BadIndex, CorpusError, DocumentError, IndexMissing
from rag.generation import (
    Generation,
    GenerationWriter,
    find_unfinished,
    open_generation,
    remove_generation,
    roll_back,
    write_generation,
)
from rag.manifest import Manifest
from rag.passages import cut_passages
from rag.sentences import split_sentences
from rag.settings import Settings
from rag.store import Store
from rag.types import Document, Passage, Skipped

if TYPE_CHECKING:
    from rag.workers import Workers

Skip = Callable[[Skipped], None]
Progress = Callable[[float, str], None]  # share of the work done, 0..1, and the document at hand

_BATCH = 128  # passages encoded at a time
_TASK = 64 << 10  # bytes of files that a worker reads at a time, or one larger file
_HOLDER = ".builder"  # says who is building


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build would do, document by document, and why."""

    anew: str  # why every document is read anew; "" where those that did not change are reused
    added: tuple[str, ...]
    changed: tuple[str, ...]
    moved: tuple[tuple[str, str], ...]  # from, to
    removed: tuple[str, ...]
    same: int  # documents


class _Piece(NamedTuple):
    document: Document
    passage: Passage | None  # None: the document has none
    is_first: bool  # of its document

    @property
    def text(self) -> str:
        passage = self.passage
        return self.document.text[passage.start : passage.end] if passage else ""

    @property
    def share(self) -> float:
        """Of its document, what is done with this passage."""
        return self.passage.end / len(self.document.text) if self.passage else 1


_Batch = tuple[list[_Piece], list[Coded]]  # one for each passage
_Batches = Generator[_Batch, None, None]


class _Made(NamedTuple):
    """What a worker makes of documents."""

    batches: list[_Batch]
    skipped: list[Skipped]


def build_index(
    corpus: Path,
    index: Path,
    encoder: Encoder,
    settings: Settings,
    *,
    full: bool = False,
    progress: Progress = lambda _done, _name: None,
    workers: Workers | None = None,
) -> Report:
    """Bring the index up to date with the corpus, reading anew only what changed.

    With ``full`` nothing of the last generation is reused; with ``workers`` it is they that read
    and encode. Raises CorpusError when there is nothing to read, BadIndex when another build is
    running or the disk is full, ClusterError when the workers are no use; the last generation then
    stays in use. A build that was stopped goes on where it stopped.
    """
    started = time.perf_counter()
    files = _survey(corpus)
    with _only_builder(index):
        last = None if full else _reusable(index, encoder, settings)[0]
        if last is not None and _is_up_to_date(last, files, settings):
            return _report(last, 0, started, changed=False)
        stopped = [] if full else find_unfinished(index, encoder, settings)
        with write_generation(index, encoder, settings, last) as new:
            fresh = _reuse([*([last] if last else []), *stopped], files, new)
            for store in stopped:
                store.close()
                remove_generation(store.folder)
            made = (
                _share_out(workers, corpus, fresh, encoder, settings, new.skip)
                if workers and fresh
                else _make(corpus, fresh, encoder, settings, new.skip)
            )
            with closing(made) as batches:
                encoded = _store(batches, fresh, new, progress)
            if new.is_empty:
                raise CorpusError(_nothing_to_read(corpus, new.skipped))
        return _report(open_generation(index), encoded, started, changed=True)


def plan_index(
    corpus: Path, index: Path, encoder: Encoder, settings: Settings, *, full: bool = False
) -> Plan:
    """Say what ``build_index`` would do. Raises CorpusError when there is nothing to read."""
    files = _survey(corpus)
    last, anew = _reusable(index, encoder, settings)
    before = _listed(last) if last else {}
    if full and last:
        anew = "--full was asked for"
    new = [name for name in files if name not in before]
    gone = [name for name in before if name not in files]
    moved = _pair_moved(new, gone, files, before)
    came, went = set(moved.values()), set(moved)
    return Plan(
        anew=anew,
        added=tuple(name for name in new if name not in came),
        changed=tuple(name for name in files if before.get(name, files[name]) != files[name]),
        moved=tuple(moved.items()),
        removed=tuple(name for name in gone if name not in went),
        same=sum(before.get(name) == digest for name, digest in files.items()),
    )


def return_to_last(index: Path) -> Manifest:
    """Put the generation before the one in use in its place.

    Raises BadIndex when there is none, it is not whole, or a build is running.
    """
    with _only_builder(index):
        return roll_back(index)


def _pair_moved(
    new: Iterable[str], gone: Iterable[str], files: Mapping[str, str], before: Mapping[str, str]
) -> dict[str, str]:
    """Old name → new name of the files that have another name now and the same bytes."""
    came: dict[tuple[str, str], list[str]] = {}
    for name in new:
        came.setdefault(_content(name, files[name]), []).append(name)
    pairs = {}
    for name in gone:
        if names := came.get(_content(name, before[name])):
            pairs[name] = names.pop(0)
    return pairs


def _content(name: str, digest: str) -> tuple[str, str]:
    """What two files must share to be read alike: their bytes and their kind."""
    return digest, Path(name).suffix.lower()


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


def _is_up_to_date(last: Generation, files: Mapping[str, str], settings: Settings) -> bool:
    return _listed(last) == files and last.settings.exact_passages == settings.exact_passages


def _reusable(index: Path, encoder: Encoder, settings: Settings) -> tuple[Generation | None, str]:
    """The last generation, if the same model and settings shaped it; else why it is no use."""
    try:
        last = open_generation(index)
    except IndexMissing:
        return None, "there is no index yet"
    except BadIndex as error:
        return None, str(error)
    was = {"weights": last.manifest.model_digest[:12], **last.settings.shape()}
    now = {"weights": encoder.digest[:12], **settings.shape()}
    reasons = [f"{name} was {was[name]}, is {now[name]}" for name in was if was[name] != now[name]]
    return (None if reasons else last), "; ".join(reasons)


def _reuse(stores: Sequence[Store], files: Mapping[str, str], new: GenerationWriter) -> list[str]:
    """Copy what did not change, under its present name; return the names that must be read."""
    known: dict[tuple[str, str], tuple[Store, str]] = {}
    for store in stores:
        for name, digest in _whole(store).items():
            known.setdefault(_content(name, digest), (store, name))
            known[name, digest] = store, name
    fresh = []
    for name, digest in files.items():
        found = known.get((name, digest)) or known.get(_content(name, digest))
        if found is None:
            fresh.append(name)
        else:
            store, old_name = found
            new.copy_document(store.stored(old_name), name)
    new.checkpoint()
    return fresh


def _whole(store: Store) -> dict[str, str]:
    """The documents that a store holds with all their passages, with their digests."""
    digests = store.digests()
    if digests and not isinstance(store, Generation):
        digests.popitem()  # a rebuild may have been stopped in the middle of its last document
    return digests


def _share_out(
    workers: Workers,
    corpus: Path,
    names: Sequence[str],
    encoder: Encoder,
    settings: Settings,
    skip: Skip,
) -> _Batches:
    """As ``_make``, by workers."""
    from rag.workers import Lost

    corpus = corpus.absolute()
    job = partial(_make_all, corpus, settings)
    for made in workers.run(job, _tasks(corpus, names), encoder, corpus / names[0]):
        if isinstance(made, Lost):
            skip(Skipped(made.name, made.reason))  # without a digest: it is tried again next time
            continue
        yield from made.batches
        for skipped in made.skipped:
            skip(skipped)


def _make_all(corpus: Path, settings: Settings, encoder: Encoder, names: Sequence[str]) -> _Made:
    """What a worker does."""
    skipped: list[Skipped] = []
    return _Made(list(_make(corpus, names, encoder, settings, skipped.append)), skipped)


def _tasks(corpus: Path, names: Iterable[str]) -> Iterator[list[str]]:
    """Names of files that are read together."""
    task, size = list[str](), 0
    for name in names:
        task.append(name)
        with suppress(OSError, ValueError):
            size += (corpus / name).stat().st_size
        if size >= _TASK:
            yield task
            task, size = [], 0
    if task:
        yield task


def _make(
    corpus: Path, names: Sequence[str], encoder: Encoder, settings: Settings, skip: Skip
) -> _Batches:
    """Read documents and yield their passages in batches, encoded."""
    return _encode(_cut(corpus, names, encoder, settings, skip), encoder)


def _cut(
    corpus: Path, names: Sequence[str], encoder: Encoder, settings: Settings, skip: Skip
) -> Iterator[_Piece]:
    """Read each document and yield its passages; report what cannot be read."""
    budget = min(settings.passage_tokens, encoder.window)
    for name in names:
        try:
            document = read_document(corpus, name, settings.max_file_mb << 20)
            sentences = split_sentences(document)
        except DocumentError as error:
            skip(Skipped(name, str(error), _digest(corpus, name)))
            continue
        passages = cut_passages(document, sentences, encoder.count_tokens, budget)
        for place, passage in enumerate(passages or [None]):
            yield _Piece(document, passage, place == 0)


def _encode(pieces: Iterator[_Piece], encoder: Encoder) -> _Batches:
    """Yield the pieces in batches, encoded; meanwhile the model reads the next batch."""

    def run(batch: list[_Piece]) -> list[Encoding]:
        headings = [
            piece.document.context(piece.passage.heading) for piece in batch if piece.passage
        ]
        return encoder.encode([piece.text for piece in batch if piece.passage], headings)

    with ThreadPoolExecutor(1) as pool:
        last: tuple[list[_Piece], Future[list[Encoding]]] | None = None
        for batch in _batches(pieces):
            following = batch, pool.submit(run, batch)
            if last:
                yield last[0], _code(last[0], last[1].result())
            last = following
        if last:
            yield last[0], _code(last[0], last[1].result())


def _code(batch: Iterable[_Piece], encodings: Iterable[Encoding]) -> list[Coded]:
    """What is stored of the encodings."""
    texts = (piece.text for piece in batch if piece.passage)
    return [
        code(encoding.without_punctuation(text))
        for text, encoding in zip(texts, encodings, strict=True)
    ]


def _store(
    batches: Iterable[_Batch], names: Sequence[str], new: GenerationWriter, progress: Progress
) -> int:
    """Store documents with their passages; return how many passages that were."""
    places = {name: place for place, name in enumerate(names)}
    before, row = new.passages, 0
    for batch, coded in batches:
        coming = iter(coded)
        for piece in batch:
            if piece.is_first:
                row = new.add_document(piece.document)
            if piece.passage:
                new.add_passage(row, piece.passage, next(coming))
        new.checkpoint()
        last = batch[-1]
        progress((places[last.document.name] + last.share) / len(names), last.document.name)
    return new.passages - before


def _batches(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    while batch := list(islice(pieces, _BATCH)):
        yield batch


@contextmanager
def _only_builder(index: Path) -> Iterator[None]:
    """Raise BadIndex, naming who holds it, when the index is being changed by another."""
    index.mkdir(parents=True, exist_ok=True)
    holder = index / _HOLDER
    try:
        with FileLock(index / ".lock", timeout=0):
            now = datetime.now().astimezone().isoformat(" ", "seconds")
            with suppress(OSError):  # a full disk is told when the index is written
                holder.write_text(f"process {os.getpid()} on {platform.node()}, since {now}")
            try:
                yield
            finally:
                holder.unlink(missing_ok=True)
    except Timeout:
        raise BadIndex(
            f"another rebuild of {index} is running ({_read_holder(holder)}): wait until it ends"
        ) from None


def _read_holder(holder: Path) -> str:
    try:
        return "".join(c for c in holder.read_text("utf-8")[:200] if c.isprintable())
    except (OSError, UnicodeDecodeError):
        return "just begun"


def list_skipped(skipped: Iterable[Skipped]) -> Iterator[str]:
    """A line for each file and why; one for all of a kind that has no reader, these first."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    single: list[str] = []
    for file in skipped:
        if file.reason.startswith(NO_READER):
            kinds[file.reason].append(file.name)
        else:
            single.append(f"{file.name}: {file.reason}")
    for reason, names in kinds.items():
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        yield f"{names[0]}{more}: {reason}"
    yield from single


def _nothing_to_read(corpus: Path, skipped: Iterable[Skipped]) -> str:
    reasons = "".join(f"\n  {line}" for line in list_skipped(skipped))
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
