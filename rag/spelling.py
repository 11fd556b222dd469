"""Typing errors of a question, corrected by the words of the documents."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from rag.encoder import Encoder
from rag.index import Vocabulary
from rag.lexical import STOP_WORDS, Word, plain, read_words

_LEAST = 4  # letters of a word that is corrected
_STOP_WORDS = {word for word in STOP_WORDS if len(word) >= _LEAST - 1}  # a letter may be doubled


def correct_spelling(question: str, encoder: Encoder, lexical: Vocabulary) -> str:
    """Replace each word that looks mistyped by a word of the documents, or by a stop word.

    A word is taken for mistyped when it has four letters or more, not all of them capitals, when
    neither it nor its stem is in the documents, and when the model knows it only in pieces. A word
    at Damerau-Levenshtein distance 1 replaces it: one of the same letters before others, then one
    with the same first letter, then a stop word, then the one that most passages hold.
    """
    doubtful = [word for word in read_words(question) if _may_be_mistyped(word)]
    held = lexical.holds(doubtful)
    unknown = [word for word, known in zip(doubtful, held, strict=True) if not known]
    pieces = encoder.count_tokens([_core(word) for word in unknown])
    corrected, done = "", 0
    for word, count in zip(unknown, pieces, strict=True):
        better = _find_better(plain(_core(word)), lexical) if count > 1 else None
        if better:
            corrected += question[done : word.start] + _like(_core(word), better)
            done = word.start + len(_core(word))
    return corrected + question[done:]


def _core(word: Word) -> str:
    """A word without what follows its apostrophe."""
    return word.text.replace("’", "'").split("'")[0]


def _may_be_mistyped(word: Word) -> bool:
    core = _core(word)
    if len(core) < _LEAST or core.isupper() or word.is_stop or not plain(core).isascii():
        return False
    return core.isalpha()


def _find_better(word: str, lexical: Vocabulary) -> str | None:
    """The likeliest word that one typing error turns into ``word``."""
    edits = list(_edits(word))
    counts = dict(zip(edits, lexical.count(edits), strict=True))

    def likelihood(edit: str) -> tuple[bool, bool, bool, int, str]:
        swapped = sorted(edit) == sorted(word)
        return swapped, edit[0] == word[0], edit in _STOP_WORDS, counts[edit], edit

    known = (edit for edit in edits if counts[edit] or edit in _STOP_WORDS)
    return max(known, key=likelihood, default=None)


def _edits(word: str) -> Iterator[str]:
    """All strings at Damerau-Levenshtein distance 1, in the letters of English.

    Norvig, "How to Write a Spelling Corrector" (2007).
    """
    for cut in range(len(word) + 1):
        head, tail = word[:cut], word[cut:]
        yield from (head + letter + tail for letter in ascii_lowercase)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in ascii_lowercase)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]


def _like(model: str, word: str) -> str:
    return word.capitalize() if model[0].isupper() else word
