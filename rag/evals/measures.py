"""What is measured of one question; the measures of a whole set are in figures.py.

Every function returns the worst value where nothing was found, so that no question is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.evals.spans import (
    Place,
    TextOf,
    WordsOf,
    merge,
    overlap_characters,
    overlap_words,
)

PASSAGE_DEPTHS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50)  # at which recall is measured
DOCUMENT_DEPTHS = (*PASSAGE_DEPTHS, 100)
_HITS = (1, 5, 10)
_RANKED = 10  # places of the ranking that count for mrr
_SHARE = 5  # passages whose precision and IoU are measured

Shown = Sequence[Place]  # a quote's own place, then the same words in other documents


def measure_retrieval(
    gold: Sequence[Place], passages: Sequence[Place], text_of: TextOf
) -> dict[str, float]:
    """Measure the ranked passages by characters.

    ``recall@k`` is the share of the gold characters that the first k passages cover, precision and
    IoU as in Overlap (Chroma); ``hit@k`` is 1 when a gold span is wholly inside the first k,
    ``mrr@10`` one over the least such k, 0 beyond 10 (Voorhees, TREC-8, 1999).
    """
    useful = [(k, p) for k, p in enumerate(passages, start=1) if any(map(p.shared, gold))]
    values = {}
    for depth in PASSAGE_DEPTHS:
        first = [passage for k, passage in useful if k <= depth]
        values[f"recall@{depth}"] = overlap_characters(gold, first, text_of).recall
    top = overlap_characters(gold, passages[:_SHARE], text_of)
    values[f"precision@{_SHARE}"] = top.precision
    values[f"iou@{_SHARE}"] = top.iou
    rank = rank_of_gold(gold, passages, text_of)
    values |= {f"hit@{k}": float(rank is not None and rank <= k) for k in _HITS}
    values[f"mrr@{_RANKED}"] = 1 / rank if rank is not None and rank <= _RANKED else 0.0
    return values


def rank_of_gold(gold: Sequence[Place], passages: Sequence[Place], text_of: TextOf) -> int | None:
    """The least k for which a gold span is wholly inside the first k passages, None without one."""
    seen: list[Place] = []
    for k, passage in enumerate(passages, start=1):
        if not any(map(passage.shared, gold)):
            continue
        seen = merge([*seen, passage], text_of)
        if any(region.covers(place) for region in seen for place in gold):
            return k
    return None


def measure_quotes(
    gold: Sequence[Place], quotes: Sequence[Shown], text_of: TextOf, words_of: WordsOf
) -> dict[str, float]:
    """Measure the quotes, best first.

    ``quote_hit@k`` is 1 when one of the first k covers a gold span whole. ``quote_iou`` is by
    characters as in Overlap, of all quotes and of the first (``@1``). The counts of words are
    for the micro average over all questions: words shown, of them right ones, words of the gold.
    What stands in several places is shown once, and counted where the gold has it.
    """
    places = [place for quote in quotes for place in _counted(quote, gold)]
    first = _counted(quotes[0], gold) if quotes else ()
    words = overlap_words(gold, places, words_of)
    return {
        "quote_hit@1": quote_hit(gold, quotes[:1]),
        "quote_hit@3": quote_hit(gold, quotes[:3]),
        "quote_iou@1": overlap_characters(gold, first, text_of).iou,
        "quote_iou": overlap_characters(gold, places, text_of).iou,
        "words_shown": words.shown,
        "words_right": words.both,
        "words_gold": words.gold,
    }


def measure_documents(grades: Mapping[str, int], ranking: Sequence[str]) -> dict[str, float]:
    """Measure the ranked documents by ir-measures, which agrees with trec_eval.

    ``ndcg@10`` by Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques"
    (2002), gain linear in the grade; ``recall@k`` the share of the relevant documents in the
    first k.
    """
    import ir_measures
    from ir_measures import R, nDCG

    wanted = {nDCG @ 10: "ndcg@10"} | {R @ k: f"recall@{k}" for k in DOCUMENT_DEPTHS}
    values = dict.fromkeys(wanted.values(), 0.0)
    run = {"q": run_scores(ranking)}
    for figure in ir_measures.iter_calc(wanted, {"q": dict(grades)}, run):
        values[wanted[figure.measure]] = figure.value
    return values


def run_scores(ranking: Sequence[str]) -> dict[str, float]:
    """A score for each document that sorts as the ranking does: one over its rank."""
    return {name: 1 / rank for rank, name in enumerate(ranking, start=1)}


def quote_hit(gold: Sequence[Place], quotes: Sequence[Shown]) -> float:
    """1 when one of the quotes covers a gold span whole, else 0."""
    shown = [place for quote in quotes for place in quote]
    return float(any(place.covers(wanted) for place in shown for wanted in gold))


def _counted(quote: Shown, gold: Sequence[Place]) -> Shown:
    """The places of a quote that hold gold, else its own."""
    return [place for place in quote if any(map(place.shared, gold))] or quote[:1]
