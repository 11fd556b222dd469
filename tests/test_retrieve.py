from __future__ import annotations

import pytest

from rag.generation import Generation
from rag.question import read_question
from rag.retrieve import retrieve
from rag.settings import Settings
from rag.types import Hit, Scope
from tests.encoders import WordEncoder


def ask(
    question: str, generation: Generation, words: WordEncoder, **settings: float | str
) -> list[Hit]:
    asked = read_question(question, words, generation)
    return retrieve(asked, generation, Settings(**settings))  # type: ignore[arg-type]


def test_the_passage_with_the_words_comes_first(generation: Generation, words: WordEncoder) -> None:
    hits = ask("Where does the Danube rise?", generation, words)
    best = hits[0].passage
    text = generation.document(best.document).text
    assert "Black Forest" in text[best.start : best.end]


def test_hits_are_distinct_and_fall(generation: Generation, words: WordEncoder) -> None:
    hits = ask("honey bees", generation, words)
    assert len({hit.id for hit in hits}) == len(hits) == len(generation)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 <= hit.score <= 1 for hit in hits)


def test_each_side_can_have_all_the_weight(generation: Generation, words: WordEncoder) -> None:
    by_vector = ask("honey bees", generation, words, vector_weight=1)
    assert [h.vector for h in by_vector] == sorted((h.vector for h in by_vector), reverse=True)
    by_words = ask("honey bees", generation, words, vector_weight=0)
    assert [h.lexical for h in by_words] == sorted((h.lexical for h in by_words), reverse=True)


def test_documents_restrict_the_hits(generation: Generation, words: WordEncoder) -> None:
    asked = read_question("honey", words, generation)
    hits = retrieve(asked, generation, Settings(), Scope(("rivers.md", "bees.txt")))
    assert {hit.passage.document for hit in hits} == {"rivers.md", "bees.txt"}


@pytest.mark.parametrize("question", ["zzz qqq", "?", "日本語"])
def test_a_question_without_a_known_word_still_has_nearest_passages(
    generation: Generation, words: WordEncoder, question: str
) -> None:
    assert len(ask(question, generation, words)) == len(generation)


def test_fusion_by_ranks_is_by_hand(generation: Generation, words: WordEncoder) -> None:
    hits = ask("honey bees", generation, words, fusion="ranks", vector_weight=0.5)
    asked = read_question("honey bees", words, generation)
    kinds = [
        (0.5, {hit.id: hit.vector for hit in hits}),
        (0.25, dict(generation.lexical.search(asked.words, 100))),
        (0.25, dict(generation.lexical.search(asked.words, 100, "near"))),
    ]
    for hit in hits:
        wanted = 0.0
        for share, scores in kinds:
            ranked = sorted(scores, key=lambda number: (-scores[number], number))
            if hit.id in scores:
                wanted += share * 61 / (61 + ranked.index(hit.id))
        assert hit.score == pytest.approx(wanted)
