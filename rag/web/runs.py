"""Evals of the index in use: one at a time, in the background, the last ones kept beside it.

    index/evals/000007.json     the results, as ``rag eval --json`` prints them
    index/evals/000007.html     the report, as ``rag eval --report`` writes it

A name from the browser is compared with those that are offered, and never made into a path.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from rag.encoder import Encoder
from rag.errors import EvalError, RagError
from rag.evals.compare import Comparison, compare
from rag.evals.feedback import FEEDBACK, write_feedback_set
from rag.evals.report import render_report
from rag.evals.results import Results, read_results
from rag.evals.run import evaluate, open_set
from rag.home import find_home
from rag.settings import Settings

FEEDBACK_SET = "feedback"  # its name; that of every other set is its file's, with the suffix
_KEPT = 20  # runs

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run at hand is, or why the last one failed."""

    running: bool = False
    done: float = 0.0  # share of the questions
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is kept."""

    name: str  # its number, six digits
    results: Results


class Runs:
    """Runs a set of questions, and keeps what came out."""

    def __init__(
        self, index: Path | str, encoder: Encoder, settings: Settings, sets: Path | None
    ) -> None:
        self.state = Progress()
        self._index = index
        self._encoder = encoder
        self._settings = settings
        self._sets = sets
        self._home = find_home(index)
        self._folder = self._home.folder / "evals"
        self._lock = threading.Lock()
        self._read = lru_cache(_KEPT)(read_results)
        self._compare = lru_cache(_KEPT)(self._compare_runs)

    def sets(self) -> list[str]:
        """The sets that can be run: what readers said, and the files of the folder of sets."""
        said = [FEEDBACK_SET] if (self._home.folder / FEEDBACK).exists() else []
        files = self._sets.glob("*.jsonl") if self._sets else ()
        return said + sorted(path.name for path in files if path.is_file())

    def begin(self, name: str) -> None:
        """Run a set in the background. Raises EvalError where that cannot be done now."""
        if name not in self.sets():
            raise EvalError(f"no set of questions is called {name}")
        with self._lock:
            if self.state.running:
                raise EvalError("another run is under way: wait until it has ended")
            self.state = Progress(running=True)
        threading.Thread(target=self._work, args=[name], name="run an eval", daemon=True).start()

    def runs(self) -> list[Run]:
        """The runs that are kept, the last one first; one that cannot be read is left out."""
        found = []
        for name in reversed(self._names()):
            with suppress(EvalError):
                found.append(Run(name, self._read(self._folder / f"{name}.json")))
        return found

    def compare(self, before: Run, after: Run) -> Comparison:
        """As ``rag.evals.compare.compare``, each pair of runs once."""
        return self._compare(before.name, after.name)

    def report(self, name: str) -> str | None:
        """The report of a run as HTML; None where there is no such run."""
        if name not in self._names():
            return None
        try:
            return (self._folder / f"{name}.html").read_text("utf-8")
        except OSError:
            return None

    def _names(self) -> Sequence[str]:
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def _compare_runs(self, before: str, after: str) -> Comparison:
        return compare(*(self._read(self._folder / f"{name}.json") for name in (before, after)))

    def _work(self, name: str) -> None:
        try:
            self._run(name)
        except (RagError, OSError) as error:
            self.state = Progress(problem=str(error))
        except Exception:
            _log.exception("an eval failed")
            self.state = Progress(problem="something went wrong: the server's log says what")
        else:
            self.state = Progress(done=1.0)

    def _run(self, name: str) -> None:
        opened = open_set(self._path(name), self._index, self._encoder, self._settings)
        results = replace(evaluate(opened, self._encoder, self._note), set=name)
        self._keep(results, render_report(results, opened))

    def _path(self, name: str) -> Path:
        if name == FEEDBACK_SET:
            return write_feedback_set(self._home.folder, self._home.open())
        assert self._sets
        return self._sets / name

    def _note(self, done: float, _question: str) -> None:
        self.state = Progress(running=True, done=done)

    def _keep(self, results: Results, report: str) -> None:
        """Write a run, the results last and by a rename: with them it is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        names = self._names()
        name = f"{int(names[-1]) + 1 if names else 1:06}"
        (self._folder / f"{name}.html").write_text(report, "utf-8")
        written = self._folder / f"{name}.new"
        written.write_text(results.to_json(), "utf-8")
        written.replace(self._folder / f"{name}.json")
        for old in self._names()[:-_KEPT]:
            (self._folder / f"{old}.json").unlink()
            (self._folder / f"{old}.html").unlink(missing_ok=True)
