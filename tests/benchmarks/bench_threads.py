"""Following up: a question in the light of its thread, against the question alone.

Run as: python -m tests.benchmarks.bench_threads [SET...]

Without a set it asks tests/threads.jsonl of the index in use. Each question is asked in three ways:
as it stands, all of the user's turns as one question, and with its thread carried over.
Recall is the share of the gold in the first five passages, by characters, and by documents: the
share of the documents with gold among the first five documents. p is that of the paired permutation
test of the mean against the question as it stands, two-sided.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import permutation_test

from rag.answer import MAX_QUESTION, answer
from rag.encoder import SentenceEncoder
from rag.evals.measures import measure_quotes, measure_retrieval
from rag.evals.run import OpenSet, open_set
from rag.evals.sets import Question
from rag.evals.spans import Place, Words
from rag.settings import Settings
from rag.types import Answer, Quote

ROOT = Path(__file__).parents[2]
MEASURES = ("recall@5", "documents recall@5", "first quote right", "refused")
Ask = Callable[[Question], Answer]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", type=Path, default=[ROOT / "tests" / "threads.jsonl"])
    encoder = SentenceEncoder()
    for path in parser.parse_args().sets:
        opened = open_set(path, ROOT / "index", encoder, Settings())
        Console().print(_tabulate(path, opened, _ways(opened, encoder)))


def _ways(opened: OpenSet, encoder: SentenceEncoder) -> dict[str, Ask]:
    unrefused = Settings(threshold=0)

    def ask(text: str, thread: Sequence[str] = ()) -> Answer:
        return answer(text, opened.generation, encoder, unrefused, thread=thread)

    return {
        "as it stands": lambda question: ask(question.text),
        "all turns as one": lambda question: ask(_concatenate(question)),
        "carried over": lambda q: ask(q.text, [turn.text for turn in q.thread]),
    }


def _concatenate(question: Question) -> str:
    said = [turn.text for turn in question.thread if turn.role == "user"]
    return "\n".join([*said, question.text])[-MAX_QUESTION:]


def _tabulate(path: Path, opened: OpenSet, ways: Mapping[str, Ask]) -> Table:
    answerable = [question for question in opened.questions if question.answerable]
    silent = [question for question in opened.questions if not question.answerable]
    table = Table("", *MEASURES, "unanswerable refused", title=f"{path}: {len(answerable)}")
    base: NDArray[np.float64] | None = None
    for name, ask in ways.items():
        rows = np.array([_measure(question, ask(question), opened) for question in answerable])
        base = rows if base is None else base
        cells = [_cell(rows[:, n], base[:, n]) for n in range(len(MEASURES))]
        refused = [_refused(ask(question)) for question in silent]
        table.add_row(name, *cells, f"{np.mean(refused):.3f} of {len(silent)}" if silent else "")
    return table


def _measure(question: Question, given: Answer, opened: OpenSet) -> list[float]:
    def text_of(name: str) -> str:
        return opened.generation.document(name).text

    passages = [Place(h.passage.document, h.passage.start, h.passage.end) for h in given.hits]
    gold = {place.document for place in question.gold}
    first = list(dict.fromkeys(place.document for place in passages))[:5]
    shown = [[_place(quote), *map(_place, quote.also_in)] for quote in given.quotes]
    quoted = measure_quotes(question.gold, shown, text_of, lambda name: Words(text_of(name)))
    return [
        measure_retrieval(question.gold, passages, text_of)["recall@5"],
        len(gold.intersection(first)) / len(gold),
        quoted["quote_hit@1"],
        _refused(given),
    ]


def _place(quote: Quote) -> Place:
    return Place(quote.document.name, quote.start, quote.end)


def _refused(given: Answer) -> float:
    return float(given.confidence < Settings().threshold)


def _cell(values: NDArray[np.float64], base: NDArray[np.float64]) -> str:
    if np.array_equal(values, base):
        return f"{values.mean():.3f}"
    test = permutation_test(
        (values, base),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=9_999,
        rng=np.random.default_rng(0),
    )
    return f"{values.mean():.3f}  p {test.pvalue:.4f}"


if __name__ == "__main__":
    main()
