"""How sure it is that the documents answer a question: a logistic model on seven named signals.

Its weights stand in confidence.json, with the command that made them.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from rag.encoder import Encoder
from rag.lexical import Word, read_words
from rag.question import asks_whether
from rag.rerank import Ranking

MODEL = Path(__file__).with_name("confidence.json")
_OPPOSITES = Path(__file__).with_name("opposites.txt")
_DENIALS = frozenset("not never no neither nor without cannot".split())
_COMMON = 1.0  # added to a word's rarity, lest a common one count nothing among few documents
SIGNALS = (
    "around", "passage", "alone", "said", "unsaid_names", "unsaid_numbers", "contradicted",
)  # fmt: skip


def read_signals(ranking: Ranking, encoder: Encoder) -> dict[str, float]:
    """The signals of one question.

    around: weighted MaxSim of the passage around the best sentence; passage: cosine of the nearest
    passage; alone: cosine of the best sentence, read without its passage; said: the share of the
    question's words, by rarity, that stand in the best sentence or beside it; unsaid_names: the
    share of names among them that do not; unsaid_numbers: the share of numbers that the sentence
    itself lacks; contradicted: the share in the best sentence, where it says the opposite of
    another word. A question that leans on its thread and has no such word, as "Why?", has them all
    said.
    """
    question, hits = ranking.question, ranking.reading.hits
    if not np.isfinite(ranking.scores).any():
        return dict.fromkeys(SIGNALS, 0.0)
    best = int(ranking.scores.argmax())
    sentence = ranking.texts[best]
    here = _stems(read_words(sentence))
    near = _stems(read_words(_surroundings(best, ranking)))
    rarity = dict(zip(question.words, (question.rarity + _COMMON).tolist(), strict=True))
    content = [word for word in rarity if not word.is_stop]
    counted = content if content or question.carried else list(rarity)
    whole = sum(rarity[word] for word in counted) or 1.0

    def share(words: Iterable[Word]) -> float:
        return float(sum(rarity[word] for word in words) / whole)

    unsaid = [word for word in counted if word.stem not in near]
    lacking = [word for word in counted if word.stem not in here]
    said = [word for word in counted if word.stem in here]
    return {
        "around": float(ranking.similarity[ranking.reading.owner[best]]),
        "passage": max(hit.vector for hit in hits),
        "alone": float(encoder.encode([sentence])[0].vector @ question.encoding.vector),
        "said": 1 - share(unsaid) if rarity else 0.0,
        "unsaid_names": share(word for word in unsaid if _is_name(word, question.text)),
        "unsaid_numbers": share(word for word in lacking if word.text[0].isdigit()),
        "contradicted": contradicts(question.text, sentence) * share(said),
    }


def contradicts(question: str, sentence: str) -> bool:
    """Whether a sentence says the opposite of what is asked, as vectors of words do not tell.

    It lacks the question's "not", or it lacks a word and has its opposite: "What is not …?", "the
    first …" and "the second …". Where yes or no is asked for, the opposite answers.
    """
    asking, saying = read_words(question), read_words(sentence)
    if asks_whether(question):
        return False
    if any(map(_denies, asking)) and not any(map(_denies, saying)):
        return True
    asked, said = _stems(asking), _stems(saying)
    return any(_opposites().get(stem, set()) & said - asked for stem in asked - said)


def judge(signals: Mapping[str, float], model: Any = None) -> float:
    """The probability, 0..1, that the documents answer a question with these signals."""
    model = model or _model()
    score = model["bias"] + sum(model["weights"][name] * signals[name] for name in SIGNALS)
    return 1 / (1 + math.exp(-score))


def _stems(words: Iterable[Word]) -> set[str]:
    return {word.stem for word in words}


def _denies(word: Word) -> bool:
    text = word.text.lower().replace("’", "'")
    return text in _DENIALS or text.endswith("n't")


def _surroundings(index: int, ranking: Ranking) -> str:
    """A sentence with its neighbours in the passage."""
    owner = ranking.reading.owner
    near = range(max(index - 1, 0), min(index + 2, len(owner)))
    return "\n".join(ranking.texts[i] for i in near if owner[i] == owner[index])


def _is_name(word: Word, question: str) -> bool:
    """A word with a capital that neither begins the question nor is one of many."""
    return word.text[0].isupper() and word.start > 0 and not question.isupper()


@lru_cache(1)
def _model() -> Any:
    return json.loads(MODEL.read_text("utf-8"))


@lru_cache(1)
def _opposites() -> Mapping[str, set[str]]:
    """The stems that exclude each: of those of a line one is true of a thing."""
    opposites: defaultdict[str, set[str]] = defaultdict(set)
    for line in _OPPOSITES.read_text("utf-8").splitlines():
        for one, other in permutations(_stems(read_words(line)), 2):
            opposites[one].add(other)
    return dict(opposites)
