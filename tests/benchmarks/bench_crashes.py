"""What is lost by rebuilds killed at random moments while questions are asked.

Run as: python -m tests.benchmarks.bench_crashes [--rounds N] [--seed N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from tests.crashes import Kills, kill_rebuilds

_ROUNDS = 20  # of one index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for number, first in enumerate(range(0, options.rounds, _ROUNDS)):
        with tempfile.TemporaryDirectory() as folder:
            rounds = min(_ROUNDS, options.rounds - first)
            _tell(kill_rebuilds(Path(folder), rounds, options.seed + number))


def _tell(kills: Kills) -> None:
    Console().print(
        f"{kills.rounds} rebuilds killed, {kills.finished} of them done before; "
        f"{kills.questions:,} questions asked; {len(kills.errors)} errors"
    )
    for error in kills.errors:
        Console().print(f"  {error}", markup=False)


if __name__ == "__main__":
    main()
