"""The README says what holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rag.answer import answer
from rag.encoder import SentenceEncoder
from rag.generation import open_generation
from rag.render import answer_lines
from rag.settings import THRESHOLDS, Settings
from tests.benchmarks.plan_scale import tables
from tests.conftest import ROOT

SCALE = (ROOT / "docs/scale.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def test_every_setting_is_listed_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", README, re.MULTILINE))
    assert {name: json.loads(value) for name, value in rows.items()} == Settings().to_dict()


def test_every_named_threshold_is_listed() -> None:
    rows = dict(re.findall(r'^\| `"(\w+)"` \| ([\d.]+) \|', README, re.MULTILINE))
    assert {name: float(value) for name, value in rows.items()} == THRESHOLDS


def test_the_first_example_is_what_is_answered(
    shipped_index: Path, encoder: SentenceEncoder
) -> None:
    shown = re.search(r'\$ rag ask "([^"]+)"\n(.+?)```', README, re.DOTALL)
    assert shown
    given = answer(shown[1], open_generation(shipped_index), encoder, Settings())
    printed = "\n".join(answer_lines(given, []))
    assert shown[2].split() == printed.split()


def test_the_plan_is_what_the_arithmetic_gives() -> None:
    given = [part for part in tables().strip().split("\n\n") if part.startswith("|")]
    assert len(given) == 2
    assert all(table in SCALE for table in given)
