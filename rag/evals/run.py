"""Question set → results: its index, then every question through the code that answers users."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import rag
from rag.answer import answer
from rag.build import Progress, build_index
from rag.cache import cache_folder
from rag.documents import find_documents, read_document
from rag.encoder import Encoder
from rag.errors import DocumentError, EvalError
from rag.evals.figures import summarise
from rag.evals.identity import identify
from rag.evals.measures import (
    DOCUMENT_DEPTHS,
    measure_documents,
    measure_quotes,
    measure_retrieval,
    quote_hit,
    rank_of_gold,
    run_scores,
)
from rag.evals.results import Outcome, Results, Shown
from rag.evals.sets import (
    Article,
    Question,
    find_layout,
    read_articles,
    read_judged_queries,
    read_questions,
)
from rag.evals.spans import Place, Words
from rag.generation import open_generation
from rag.home import find_home
from rag.index import Index
from rag.settings import Settings
from rag.types import Answer, Hit, Quote, Scope

_SHAPING = {  # modules and packages
    "types", "documents", "sentences", "passages", "encoder", "vectors", "lexical", "codes",
    "store", "generation", "build",
}  # fmt: skip
_DEEPEST = max(DOCUMENT_DEPTHS)  # documents of a BEIR ranking
_DEEPER = 2 * _DEEPEST  # candidates that give as many documents of one passage or two


@dataclass(frozen=True, slots=True)
class OpenSet:
    """A question set with the index of its documents, ready to be evaluated."""

    path: Path
    questions: tuple[Question, ...]
    generation: Index
    settings: Settings
    ids: Mapping[str, str] = field(default_factory=dict)  # BEIR: document's name → its id


def open_set(
    path: Path,
    index: Path | str,
    encoder: Encoder,
    settings: Settings,
    *,
    cache: Path | None = None,
    progress: Progress = lambda _done, _name: None,
) -> OpenSet:
    """Read a set and bring its index up to date: ``index`` for a file of questions about it.

    A set with documents of its own gets an index in the cache. Raises EvalError for a set with
    errors, all of them named, and what build_index and open_generation raise.
    """
    layout = find_layout(path)
    if layout == "questions":
        generation = find_home(index).open()
        generation.check_model(encoder)
        questions = read_questions(path, _texts_of_index(generation))
        shaped = settings.with_shape_of(generation.settings)
        return OpenSet(path, tuple(questions), generation, shaped)
    home = _home_of(path, encoder, settings, cache or cache_folder("evals"))
    ids: dict[str, str] = {}
    if layout == "spans":
        corpus = path / "corpus"
        questions = read_questions(path / "questions.jsonl", _texts_of_corpus(corpus, settings))
    else:
        corpus = home / "corpus"
        articles = read_articles(path)
        questions = read_judged_queries(path, {article.id for article in articles})
        ids = _write_articles(articles, corpus)
    built = _build(corpus, home, encoder, settings, progress)
    return OpenSet(path, tuple(questions), built, settings, ids)


def evaluate(
    opened: OpenSet, encoder: Encoder, progress: Progress = lambda _done, _name: None
) -> Results:
    """Ask every question of the set and measure the answers.

    A question that raises counts as zero and is listed with its error.
    """
    run = _Run(opened, encoder)
    with suppress(Exception):  # the first question warms up; if it fails, it is reported below
        run.answer(opened.questions[0])
    outcomes = []
    for number, question in enumerate(opened.questions, start=1):
        outcomes.append(run.ask(question))
        progress(number / len(opened.questions), question.id)
    identity = identify(opened.path, opened.generation, encoder, opened.settings)
    return Results(str(opened.path), identity, summarise(outcomes), tuple(outcomes))


def write_run(results: Results, file: Path) -> None:
    """Write the rankings of a BEIR set as a TREC run, for trec_eval and ir-measures.

    The score is one over the rank. Raises EvalError where documents are not what is ranked.
    """
    if not any(outcome.grades for outcome in results.questions):
        raise EvalError(f"{results.set} labels places, not documents: only a BEIR set gives a run")
    with file.open("w", encoding="utf-8") as lines:
        for outcome in results.questions:
            scores = run_scores(outcome.ranking)
            for rank, (document, score) in enumerate(scores.items(), start=1):
                lines.write(f"{outcome.id} Q0 {document} {rank} {score!r} chapter-and-verse\n")


class _Run:
    """Answers questions of one set and measures each answer."""

    def __init__(self, opened: OpenSet, encoder: Encoder) -> None:
        self._opened = opened
        self._generation = opened.generation
        self._encoder = encoder
        # With nothing refused one answer shows both: the quotes, and whether they are withheld.
        self._settings = replace(opened.settings, threshold=0.0)
        self._words_of = lru_cache(64)(self._read_words)

    def answer(self, question: Question, candidates: int = 0) -> Answer:
        settings = replace(self._settings, candidates=max(candidates, self._settings.candidates))
        thread = [turn.text for turn in question.thread]
        scope = Scope(question.documents)
        return answer(question.text, self._generation, self._encoder, settings, scope, thread)

    def ask(self, question: Question) -> Outcome:
        try:
            found = self.answer(question)
            ranking = self._rank_documents(question, found.hits) if question.grades else ()
        except Exception as error:
            failed = Answer(
                question.text, quotes=(), confidence=0.0, signals={}, hits=(), stages={}
            )
            outcome = self._measure(question, failed, ())
            return replace(outcome, error=str(error) or type(error).__name__)
        return self._measure(question, found, ranking)

    def _measure(self, question: Question, found: Answer, ranking: Sequence[str]) -> Outcome:
        quotes = tuple(_shown(quote) for quote in found.quotes)
        refused = not quotes or found.confidence < self._opened.settings.threshold
        if question.grades:
            values = measure_documents(question.grades, ranking)
            rank = _first_relevant(question.grades, ranking)
        else:
            values, rank = self._measure_places(question.gold, found, quotes, refused)
        return Outcome(
            id=question.id,
            question=question.text,
            answerable=question.answerable,
            gold=question.gold,
            quotes=quotes,
            refused=refused,
            confidence=found.confidence,
            values=values,
            stages=found.stages,
            rank=rank,
            kind=question.kind,
            grades=question.grades,
            ranking=tuple(ranking),
        )

    def _measure_places(
        self, gold: Sequence[Place], found: Answer, quotes: Sequence[Shown], refused: bool
    ) -> tuple[dict[str, float], int | None]:
        passages = [Place(h.passage.document, h.passage.start, h.passage.end) for h in found.hits]
        places = [quote.places for quote in quotes]
        further = [_shown(quote).places for quote in found.further]
        forced = measure_quotes(gold, places, self._text_of, self._words_of)
        shown = measure_quotes(gold, [], self._text_of, self._words_of) if refused else forced
        values = shown | {f"forced_{name}": forced[name] for name in forced if "quote" in name}
        values["ranked_quote_hit@3"] = quote_hit(gold, [*places, *further][:3])
        if gold:
            values |= measure_retrieval(gold, passages, self._text_of)
        return values, rank_of_gold(gold, passages, self._text_of)

    def _rank_documents(self, question: Question, hits: Sequence[Hit]) -> tuple[str, ...]:
        """The documents by their best passage: first the answer's own ranking.

        An answer ranks too few passages for 100 documents; what a search among more candidates
        adds comes after, so that the top is what a user gets.
        """
        deeper = self.answer(question, _DEEPER).hits
        names = dict.fromkeys(hit.passage.document for hit in (*hits, *deeper))
        return tuple(self._opened.ids[name] for name in names)[:_DEEPEST]

    def _text_of(self, name: str) -> str:
        return self._generation.document(name).text

    def _read_words(self, name: str) -> Words:
        return Words(self._text_of(name))


def _shown(quote: Quote) -> Shown:
    return Shown(
        _place(quote), quote.text, quote.score, tuple(_place(other) for other in quote.also_in)
    )


def _place(quote: Quote) -> Place:
    return Place(quote.document.name, quote.start, quote.end)


def _first_relevant(grades: Mapping[str, int], ranking: Sequence[str]) -> int | None:
    relevant = (rank for rank, name in enumerate(ranking, start=1) if grades.get(name, 0) > 0)
    return next(relevant, None)


def _texts_of_index(generation: Index) -> Callable[[str], str | None]:
    names = set(generation.names)
    return lambda name: generation.document(name).text if name in names else None


def _texts_of_corpus(corpus: Path, settings: Settings) -> Callable[[str], str | None]:
    names = set(find_documents(corpus))

    @lru_cache(64)
    def text_of(name: str) -> str | None:
        if name not in names:
            return None
        try:
            return read_document(corpus, name, settings.max_file_mb << 20).text
        except DocumentError:
            return None

    return text_of


def _home_of(path: Path, encoder: Encoder, settings: Settings, cache: Path) -> Path:
    """The set's folder in the cache, another one for each model and shape of the index."""
    shape = json.dumps([str(path.resolve()), encoder.digest, settings.shape()], sort_keys=True)
    return cache / f"{path.resolve().name}-{hashlib.sha256(shape.encode()).hexdigest()[:16]}"


def _build(
    corpus: Path, home: Path, encoder: Encoder, settings: Settings, progress: Progress
) -> Index:
    """Bring the index in the cache up to date; all of it where the code that makes it changed."""
    index, made_by = home / "index", home / "made-by"
    code = _digest_code()
    same = made_by.exists() and made_by.read_text("utf-8") == code
    build_index(corpus, index, encoder, settings, full=not same, progress=progress)
    made_by.write_text(code, "utf-8")
    return open_generation(index)


def _digest_code() -> str:
    """SHA-256 over the modules that shape an index, hex: an edit there must show in the figures."""
    package = Path(rag.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0].removesuffix(".py") in _SHAPING:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _write_articles(articles: Sequence[Article], corpus: Path) -> dict[str, str]:
    """Write each document of a BEIR set as a Markdown file; return the files' names with the ids.

    A file is named after its document's line, as an id need not be a file's name.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    named = {f"{number:07}.md": article for number, article in enumerate(articles, start=1)}
    for path in corpus.iterdir():
        if path.name not in named:
            path.unlink()
    for name, article in named.items():
        title = json.dumps(article.title, ensure_ascii=False)  # JSON's strings are YAML's too
        text = f"---\ntitle: {title}\n---\n{article.text.strip() or article.title}\n"
        _write_if_changed(corpus / name, text.encode())
    return {name: article.id for name, article in named.items()}


def _write_if_changed(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)
