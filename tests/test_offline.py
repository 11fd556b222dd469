"""Index and ask where no network exists: a namespace of the kernel's with loopback only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALONE = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def cut_off(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ALONE, *map(str, command)], capture_output=True, text=True, cwd=ROOT, check=False
    )


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("unshare and ip are needed to cut off the network")
    if (refused := cut_off("true")).returncode:
        pytest.skip(f"the kernel forbids network namespaces: {refused.stderr.strip()}")


def test_the_network_is_really_cut_off() -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    assert "Network is unreachable" in cut_off(sys.executable, "-c", code).stderr


def test_index_and_ask_need_no_network(tmp_path: Path) -> None:
    rag = (sys.executable, "-m", "rag.cli")
    built = cut_off(*rag, "index", "--corpus", ROOT / "corpus", "--index", tmp_path / "i")
    assert built.returncode == 0, built.stderr
    asked = cut_off(
        *rag, "ask", "How many American soldiers are in Iraq?", "--index", tmp_path / "i"
    )
    assert "2,500" in asked.stdout
    assert asked.stderr == ""
