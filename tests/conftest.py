from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright

from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.generation import Generation, open_generation
from rag.settings import Settings
from tests.encoders import WordEncoder

# No test depends on the clock, or on chance.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

ROOT = Path(__file__).parent.parent
CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def words() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three small documents, one in a sub-folder."""
    folder = tmp_path / "corpus"
    (folder / "sub").mkdir(parents=True)
    (folder / "bees.txt").write_text(
        "Bees dance to point at flowers. A hive holds forty thousand bees. Honey never spoils.\n"
    )
    (folder / "rivers.md").write_text(
        "---\ntitle: Rivers\ndate: 2020-05-01\n---\n\n# Lengths\n\nThe Danube is 2,850 kilometres "
        "long. It flows through ten countries.\n\n# Sources\n\nThe Danube rises in the Black "
        "Forest.\n"
    )
    (folder / "sub" / "honey.txt").write_text("Honey never spoils. Mead is made from honey.\n")
    return folder


@pytest.fixture
def index(corpus: Path, tmp_path: Path, words: WordEncoder) -> Path:
    folder = tmp_path / "index"
    build_index(corpus, folder, words, Settings())
    return folder


@pytest.fixture
def generation(index: Path) -> Generation:
    return open_generation(index)


@pytest.fixture(scope="session")
def encoder() -> SentenceEncoder:
    """The real model."""
    return SentenceEncoder()


@pytest.fixture(scope="session")
def shipped_index(tmp_path_factory: pytest.TempPathFactory, encoder: SentenceEncoder) -> Path:
    """An index of the shipped corpus by the real model."""
    folder = tmp_path_factory.mktemp("shipped") / "index"
    build_index(ROOT / "corpus", folder, encoder, Settings())
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()
