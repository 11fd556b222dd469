"""A copy of a question set in the spans layout, its questions as people type them.

Run as: python -m tests.benchmarks.perturb SET OUT [--how HOW] [--seed N]

HOW is typing (one typing error in each question), capitals, unmarked (no question mark) or keywords
(stop words left out). Then: rag eval OUT. The same seed gives the same copy.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from rag.lexical import read_words

_LETTERS = re.compile(r"[A-Za-z]{4,}")  # a word in which an error is made
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of the keyboard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--how", choices=HOW, default="typing")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shutil.copytree(options.set / "corpus", options.out / "corpus", dirs_exist_ok=True)
    lines = (options.set / "questions.jsonl").read_text("utf-8").splitlines()
    with (options.out / "questions.jsonl").open("w", encoding="utf-8") as out:
        for number, values in enumerate(map(json.loads, lines)):
            chance = random.Random(f"{options.seed} {number}")  # noqa: S311
            values["question"] = HOW[options.how](values["question"], chance)
            out.write(json.dumps(values, ensure_ascii=False) + "\n")


def mistype(question: str, chance: random.Random) -> str:
    """Make one typing error: two letters swapped, one left out, doubled, or its neighbour hit."""
    words = list(_LETTERS.finditer(question))
    if not words:
        return question
    word = chance.choice(words)
    places = range(word.start(), word.end() - 1)
    place = chance.choice([p for p in places if question[p] != question[p + 1]] or [places[0]])
    here, after = question[place], question[place + 1]
    written = chance.choice((after + here, after, here + here + after, _slip(here, chance) + after))
    return question[:place] + written + question[place + 2 :]


def _slip(letter: str, chance: random.Random) -> str:
    """The letter of a key beside that of the letter."""
    row = next(row for row in _ROWS if letter.lower() in row)
    place = row.index(letter.lower())
    return chance.choice(row[max(place - 1, 0) : place] + row[place + 1 : place + 2])


def _keep_keywords(question: str, _chance: random.Random) -> str:
    words = [word.text for word in read_words(question) if not word.is_stop]
    return " ".join(words) or question


HOW: dict[str, Callable[[str, random.Random], str]] = {
    "typing": mistype,
    "capitals": lambda question, _: question.upper(),
    "unmarked": lambda question, _: question.rstrip("? "),
    "keywords": _keep_keywords,
}

if __name__ == "__main__":
    main()
