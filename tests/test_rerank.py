from __future__ import annotations

from pathlib import Path

import pytest

from rag.build import build_index
from rag.generation import open_generation
from rag.question import read_question
from rag.rerank import Ranking, read_hits
from rag.retrieve import retrieve
from rag.settings import Settings
from rag.types import Hit
from tests.encoders import WordEncoder


def rank(folder: Path, question: str, texts: dict[str, str]) -> tuple[Ranking, list[Hit]]:
    (folder / "corpus").mkdir()
    for name, text in texts.items():
        (folder / "corpus" / name).write_text(text)
    encoder = WordEncoder()
    build_index(folder / "corpus", folder / "index", encoder, Settings())
    generation = open_generation(folder / "index")
    asked = read_question(question, encoder, generation)
    hits = retrieve(asked, generation, Settings())
    return Ranking(asked, read_hits(asked, hits, generation), generation), hits


def names(hits: list[Hit]) -> list[str]:
    return [hit.passage.document for hit in hits]


def test_one_sentence_with_all_words_beats_several_with_one_each(tmp_path: Path) -> None:
    ranking, hits = rank(
        tmp_path,
        "copper lamps shine",
        {
            "apart.txt": "Copper was dear. Lamps were few. Stars shine.",
            "together.txt": "Winters were long. Copper lamps shine. Snow fell.",
        },
    )
    assert ranking.similarity[0] == pytest.approx(ranking.similarity[1])
    assert names(ranking.rerank(hits, 0.5))[0] == "together.txt"


def test_what_is_like_the_best_passage_rises(tmp_path: Path) -> None:
    ranking, hits = rank(
        tmp_path,
        "zinc roofs",
        {
            "best.txt": "Zinc roofs last for decades in harbour towns.",
            "like.txt": "Roofs in harbour towns last for decades.",
            "other.txt": "Roofs burn.",
        },
    )
    before = {hit.passage.document: hit.score for hit in hits}
    after = {hit.passage.document: hit.score for hit in ranking.rerank(hits, 0.5)}
    rise = {name: after[name] - before[name] for name in before}
    assert rise["best.txt"] > rise["like.txt"] > rise["other.txt"]


def test_without_weight_the_order_stays(tmp_path: Path) -> None:
    ranking, hits = rank(tmp_path, "zinc", {"a.txt": "Zinc is grey.", "b.txt": "Tin melts."})
    assert ranking.rerank(hits, 0) == hits


def test_a_passage_of_a_heading_alone_has_no_best_sentence(tmp_path: Path) -> None:
    ranking, hits = rank(tmp_path, "zinc roofs", {"a.md": "# Zinc roofs\n"})
    (hit,) = ranking.rerank(hits, 0.5)
    assert hit.score < hits[0].score + 1
