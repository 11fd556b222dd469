"""Run app.py, and write every address that it seeks into the file named first."""

from __future__ import annotations

import runpy
import socket
import sys
from contextlib import suppress
from pathlib import Path

_SEEKING = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}


def watch(log: Path) -> None:
    def note(event: str, details: tuple[object, ...]) -> None:
        if event in _SEEKING:
            with log.open("a") as file:
                file.write(f"{event} {details[1] if event == 'socket.connect' else details[0]}\n")

    sys.addaudithook(note)


if __name__ == "__main__":
    watch(Path(sys.argv.pop(1)))
    with suppress(OSError):
        socket.getaddrinfo("watched", None, flags=socket.AI_NUMERICHOST)  # a first line, to be sure
    runpy.run_path("app.py", run_name="__main__")
