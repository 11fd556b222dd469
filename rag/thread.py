"""What a question takes over from what was said before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from rag.errors import QuestionError
from rag.lexical import read_words

_TURNS = 2  # that are carried over: as a rule the last question and its answer
_FEW = 3  # content words; a question with no more leans on what was said
_POINTING = frozenset(
    "it its itself he him his she her hers they them their theirs this these those ones other "
    "others another else same such both former latter".split()
)
_JOINING = frozenset("and but or so then also".split())


def carry_over(question: str, thread: Sequence[str]) -> tuple[str, ...]:
    """The last turns of a thread, oldest first, if the question leans on them; else none.

    It leans when one of its words points back (it, they, those), when it begins by joining (and,
    but, so), or when it has few content words, as "Why?" and "In Syria too?" have.
    """
    said = [turn for turn in thread if turn.strip()]
    return tuple(said[-_TURNS:]) if _leans(question) else ()


class Said(TypedDict):
    """A turn of a thread, as question sets and programs write it."""

    role: str  # "user" or "assistant"
    text: str


def read_thread(turns: object) -> tuple[str, ...]:
    """The texts of a thread as question sets hold it: [{"role": …, "text": …}, …], oldest first.

    Raises QuestionError for anything else.
    """
    if not isinstance(turns, list) or not all(map(_is_turn, turns)):
        raise QuestionError('"thread" must be a list of {"role": …, "text": …}, oldest first')
    return tuple(turn["text"] for turn in turns)


def _is_turn(value: object) -> bool:
    return (
        isinstance(value, dict) and isinstance(value.get("text"), str) and is_whole(value["text"])
    )


def is_whole(text: str) -> bool:
    """Whether it is Unicode: a half of a surrogate pair, which JSON can hold, is no character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def points_back(text: str) -> bool:
    """Whether one of its words stands for something that was named before: it, they, those."""
    return any(word.text.lower() in _POINTING for word in read_words(text))


def _leans(question: str) -> bool:
    words = read_words(question)
    content = [word for word in words if not word.is_stop and word.text.lower() not in _POINTING]
    begins = words[0].text.lower() if words else ""
    return len(content) <= _FEW or begins in _JOINING or points_back(question)
