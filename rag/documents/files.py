"""The files of a corpus: listed, hashed, read. Nothing outside its folder is ever opened."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from rag.errors import CorpusError, DocumentError


def find_documents(corpus: Path) -> list[str]:
    """The names of all files in the corpus and its sub-folders, sorted, whatever their kind.

    Hidden files and editors' backups are passed over. A link that leads out of the corpus and a
    folder that cannot be opened are listed too, so that reading them says so; a name that is not
    UTF-8 is spelled with escapes. Raises CorpusError where the corpus is not a folder that can be
    opened.
    """
    names: list[str] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(corpus / folder))
        except OSError as error:
            if not folder:
                raise CorpusError(_not_a_corpus(corpus, error)) from None
            names.append(folder)
            continue
        shown = [entry for entry in entries if not _is_passed_over(entry.name)]
        folders += [_join(folder, entry) for entry in shown if entry.is_dir(follow_symlinks=False)]
        names += [_join(folder, entry) for entry in shown if _is_listed(entry, corpus)]
    return sorted(set(map(_spell, names)))


def file_digest(corpus: Path, name: str) -> str:
    """The SHA-256 of a file's bytes, hex. Raises DocumentError where it cannot be read."""
    with open_file(corpus, name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(file: BufferedReader, max_bytes: int) -> bytes:
    """The bytes of an open file. Raises DocumentError where there are too many."""
    size = os.fstat(file.fileno()).st_size
    data = b"" if size > max_bytes else file.read(max_bytes + 1)
    if max(size, len(data)) > max_bytes:
        limit = f"over the limit of {max_bytes / 2**20:.4g} MB (max_file_mb)"
        raise DocumentError(f"is {max(size, len(data)) / 2**20:.4g} MB, {limit}")
    return data


@contextmanager
def open_file(corpus: Path, name: str) -> Iterator[BufferedReader]:
    """A file of the corpus, open. Raises DocumentError where it cannot be opened, or not read."""
    path = _locate(corpus, name)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DocumentError("is a folder that cannot be opened: let it be read")
        if not stat.S_ISREG(mode):
            raise DocumentError("is no regular file")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DocumentError(_not_found(name)) from None
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}") from None


def _locate(corpus: Path, name: str) -> Path:
    """Where a file really is. Raises DocumentError where that is not in the corpus."""
    try:
        path = Path(os.path.realpath(corpus / name))
    except ValueError:  # as for a NUL
        raise DocumentError("has a name that no file can have") from None
    if not _is_inside(path, corpus):
        raise DocumentError("leads out of the corpus: put the file itself there")
    return path


def _is_inside(path: Path, corpus: Path) -> bool:
    return path.is_relative_to(os.path.realpath(corpus))


def _is_listed(entry: os.DirEntry[str], corpus: Path) -> bool:
    """Whether an entry is a file, or a link that is to be read or reported.

    A link to a folder of the corpus is neither: its files are listed where they are.
    """
    if not entry.is_symlink():
        return entry.is_file()
    target = Path(os.path.realpath(entry.path))
    try:
        return not _is_inside(target, corpus) or stat.S_ISREG(target.stat().st_mode)
    except OSError:
        return True


def _is_passed_over(name: str) -> bool:
    """Whether a file or folder is hidden, or an editor's lock or backup."""
    autosaved = name.startswith("#") and name.endswith("#")
    return autosaved or name.startswith((".", "~$")) or name.endswith(("~", ".bak", ".swp"))


def _join(folder: str, entry: os.DirEntry[str]) -> str:
    return f"{folder}/{entry.name}" if folder else entry.name


def _spell(name: str) -> str:
    r"""A name that can be stored and printed: what is not UTF-8 in it as "\xe9".

    No file is found under it, and the reason says why.
    """
    return os.fsencode(name).decode(errors="backslashreplace")


def _not_found(name: str) -> str:
    if "\\x" in name:
        return "has a name that is not valid Unicode: rename it"
    return "is missing, or a link to what is missing"


def _not_a_corpus(corpus: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {corpus}: create it, or name another one with --corpus"
    if isinstance(error, NotADirectoryError):
        return f"{corpus} is not a folder: name one with --corpus"
    return f"the folder {corpus} cannot be opened: {error.strerror}"
