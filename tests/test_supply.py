"""What is said of safety: packages pinned alike wherever they are named, tests that exist."""

from __future__ import annotations

import re
import tomllib

from tests.conftest import ROOT


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE)
    return {_canonical(name): version for name, version in found}


LOCK = (ROOT / "requirements.lock").read_text()
PINS = _pins((ROOT / "constraints.txt").read_text())


def test_the_lock_has_the_versions_that_are_tested() -> None:
    locked = _pins(LOCK)
    assert len(locked) > 80
    assert {name: PINS[name] for name in locked if name in PINS} == {
        name: version for name, version in locked.items() if name in PINS
    }


def test_every_dependency_is_pinned_and_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name = _canonical(re.split("[<>=]", requirement)[0])
        assert name in PINS
        assert name in _pins(LOCK) or name == "torch"  # its CPU build has other hashes


def test_every_test_that_the_walk_through_security_names_is_there() -> None:
    walk = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", walk))
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(named) > 40
    assert named <= set(re.findall(r"^def (test_\w+)", "\n".join(texts), re.MULTILINE))
    for path in re.findall(r"`((?:tests|rag)/[\w/]+\.py)`", walk):
        assert (ROOT / path).exists()


def test_every_locked_package_has_a_hash() -> None:
    for entry in re.split(r"\n(?=\S)", LOCK.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
