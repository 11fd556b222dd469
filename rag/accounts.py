"""The accounts that may sign in: a file of names and hashed passwords, a line each."""

from __future__ import annotations

import os
import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.errors import AccountError

SHORTEST_PASSWORD = 12  # characters
_LONGEST_PASSWORD = 1_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def add_account(path: Path, name: str, password: str) -> bool:
    """Store an account, or another password for it; whether it is a new one.

    Raises AccountError for a name or password that cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"{name!r} cannot be a name: use up to 64 letters, digits and . _ @ - of ASCII"
        )
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise AccountError(f"a password has {SHORTEST_PASSWORD} characters or more")
    accounts = read_accounts(path) if path.exists() else {}
    is_new = name not in accounts
    accounts[name] = _hasher().hash(password)
    _write(path, accounts)
    return is_new


def read_accounts(path: Path) -> dict[str, str]:
    """The hash of each account's password, by name. Raises AccountError with the cure."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise AccountError(f"there is no file {path}: {_cure(path)}") from None
    except (OSError, UnicodeDecodeError):
        raise AccountError(f"the accounts in {path} cannot be read") from None
    accounts = {}
    for number, line in enumerate(lines, 1):
        name, _, digest = line.partition(":")
        if not _NAME.fullmatch(name) or not digest.startswith("$argon2"):
            raise AccountError(f"{path}, line {number} is no account: delete it, {_cure(path)}")
        accounts[name] = digest
    if not accounts:
        raise AccountError(f"there are no accounts in {path}: {_cure(path)}")
    return accounts


class Accounts:
    """The accounts of a file, read again when it changes. Raises AccountError as it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = 0
        self._accounts: dict[str, str] = {}
        self.current()

    def current(self) -> dict[str, str]:
        stamp = self._path.stat().st_mtime_ns if self._path.exists() else 0
        if stamp != self._stamp or not self._accounts:
            self._accounts = read_accounts(self._path)
            self._stamp = stamp
        return self._accounts

    def check(self, name: str, password: str) -> bool:
        """Whether the password is that of the account; an unknown name takes as long.

        One at a time: each takes 64 MB, and so many callers take no more.
        """
        from argon2.exceptions import VerificationError

        digest = self.current().get(name)
        with self._lock:
            try:
                _hasher().verify(digest or _nobody(), password[:_LONGEST_PASSWORD])
            except VerificationError:
                return False
        return digest is not None


def _write(path: Path, accounts: dict[str, str]) -> None:
    written = path.with_name(f"{path.name}.new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}:{digest}\n" for name, digest in accounts.items())
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)


def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()  # Argon2id as RFC 9106 recommends where memory is scarce


@lru_cache(1)
def _nobody() -> str:
    """A hash to compare with for a name that no account has."""
    return str(_hasher().hash(""))


def _cure(path: Path) -> str:
    return f"run rag user add NAME --auth-file {path}"
