"""A child process that parses, within bounds of time and memory.

Libraries in C can hang, crash or take all memory over a hostile file. So they run in a process that
can be ended, started when the first file needs it and used for all that follow. What comes back is
JSON, checked here: nothing of a process that a file may have taken over is unpickled.

    to the child:   {"suffix": …, "size": …, "limit": …} on a line, then the file's bytes
    from the child: {"content": {…}} or {"error": …} on a line
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, get_args

from rag.documents.content import Content, File
from rag.errors import DocumentError
from rag.types import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 30  # for any file
SECONDS_PER_MB = 2
MEMORY = 3 << 30  # bytes of address space, libraries included
_LONGEST_REPLY = 6  # bytes a character, written as JSON
_OVERHEAD = 1 << 20  # bytes of a reply beside its text


class Child:
    """The process; one file at a time, whatever the threads that ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def parse(self, suffix: str, file: File) -> Content:
        """What the reader of ``suffix`` finds in a file.

        Raises DocumentError also where it takes too long or the process dies of it.
        """
        with self._lock:
            try:
                reply = self._ask(suffix, file)
            except BaseException:
                self._end()
                raise
        return _content(reply)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, suffix: str, file: File) -> Any:
        process = self._started()
        seconds = allowed_seconds(file)
        started = time.monotonic()
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            return _exchange(process, suffix, file)
        except (OSError, ValueError, EOFError):
            late = time.monotonic() - started >= seconds
            raise DocumentError(_why(seconds if late else None)) from None
        finally:
            timer.cancel()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rag.documents.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError), process:
                pass


def allowed_seconds(file: File) -> int:
    return SECONDS + SECONDS_PER_MB * (len(file.data) >> 20)


def _exchange(process: subprocess.Popen[bytes], suffix: str, file: File) -> Any:
    assert process.stdin
    assert process.stdout
    head = {"suffix": suffix, "size": len(file.data), "limit": file.limit}
    process.stdin.write(json.dumps(head).encode() + b"\n")
    process.stdin.write(file.data)
    process.stdin.flush()
    line = process.stdout.readline(_LONGEST_REPLY * file.limit + _OVERHEAD)
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


def _why(seconds: int | None) -> str:
    if seconds is None:
        return "makes its reader crash or run out of memory: save it anew, or split it"
    return f"takes its reader more than {seconds} seconds: save it anew, or split it"


def _content(reply: Any) -> Content:
    """Raises DocumentError for a reply that says so, and for one that no reader makes."""
    if isinstance(reply, dict) and isinstance(reply.get("error"), str):
        raise DocumentError(reply["error"])
    try:
        values = reply["content"]
        content = Content(**values | {"pages": tuple(values["pages"])})
    except (KeyError, TypeError):
        raise DocumentError(_why(None)) from None
    numbers, texts = (content.body, *content.pages), (content.title, content.date, content.source)
    fine = isinstance(content.text, str) and content.layout in get_args(Layout)
    fine = fine and all(type(number) is int for number in numbers)
    if not fine or not all(text is None or isinstance(text, str) for text in texts):
        raise DocumentError(_why(None))
    return content


# In the child


def main() -> None:
    from rag.documents import parse

    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that what a library prints is no reply
    limit_memory()
    while line := sys.stdin.buffer.readline():
        head = json.loads(line)
        file = File(sys.stdin.buffer.read(head["size"]), head["limit"])
        limit_time(allowed_seconds(file) + 1)
        _reply(replies, _outcome(parse, head["suffix"], file))


def _outcome(parse: Callable[[str, File], Content], suffix: str, file: File) -> dict[str, Any]:
    try:
        return {"content": asdict(parse(suffix, file))}
    except DocumentError as error:
        return {"error": str(error)}


def _reply(replies: IO[bytes], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply, ensure_ascii=False).encode(errors="replace") + b"\n")
    replies.flush()


def limit_memory() -> None:
    """Bound this process, where the system has such limits: Linux; elsewhere time alone is."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def limit_time(seconds: int) -> None:
    """End this process even if its parent is gone, on POSIX; the signal needs no Python to act."""
    with suppress(ImportError, AttributeError):
        import signal

        signal.alarm(seconds)


CHILD = Child()
atexit.register(CHILD.close)

if __name__ == "__main__":
    main()
