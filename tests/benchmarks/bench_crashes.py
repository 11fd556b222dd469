"""What is lost by rebuilds killed at random moments while questions are asked.

Run as: python -m tests.benchmarks.bench_crashes [--rounds N] [--seed N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from tests.crashes import kill_rebuilds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills = kill_rebuilds(Path(folder), options.rounds, options.seed)
    Console().print(
        f"{kills.rounds} rebuilds killed, {kills.finished} of them done before; "
        f"{kills.questions:,} questions asked; {len(kills.errors)} errors"
    )
    for error in kills.errors:
        Console().print(f"  {error}", markup=False)


if __name__ == "__main__":
    main()
