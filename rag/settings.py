"""One frozen Settings, written into each generation and read back from it."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rag.errors import SettingsError

SETTINGS_FILE = "rag.toml"
THRESHOLDS = {"eager": 0.4, "balanced": 0.7, "cautious": 0.85}
ENGINES = ("onnx", "sentence-transformers")  # what runs the model
FUSIONS = ("scores", "ranks")


@dataclass(frozen=True, slots=True)
class Settings:
    """What shapes the index, then what shapes an answer.

    Raises SettingsError for a value out of its range.
    """

    # The index: a change here means that documents are read or encoded anew.
    model: str = "all-MiniLM-L6-v2"  # the packaged model, or a sentence-transformers name or path
    engine: str = "onnx"  # or "sentence-transformers": the reference, slower, for any model
    passage_tokens: int = 200  # the most tokens of text in a passage
    max_file_mb: int = 50  # a larger file is skipped
    exact_passages: int = 200_000  # with more, vectors are searched through a graph (HNSW)

    # The answer: a change here takes effect at once.
    candidates: int = 100  # passages taken from the vectors and from BM25 each
    vector_weight: float = 0.5  # the vectors' share of a hit's score, BM25 has the rest
    fusion: str = "scores"  # what is weighed so: scores, or "ranks", their reciprocals
    rerank_weight: float = 0.5  # what late interaction adds to a hit's score; 0: nothing
    max_quotes: int = 3
    threshold: float = THRESHOLDS["balanced"]  # confidence below which the answer is a refusal

    # The page.
    add_documents: bool = True  # whether it may change the corpus, where it listens on loopback

    def __post_init__(self) -> None:
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(f"{name} = {value}: it must be between {least} and {most}")
        for name, choices in (("engine", ENGINES), ("fusion", FUSIONS)):
            value = getattr(self, name)
            if value not in choices:
                raise SettingsError(f"{name} = {value!r}: it must be one of {', '.join(choices)}")

    def shape(self) -> dict[str, Any]:
        """The settings that shape the index, by name."""
        return {name: getattr(self, name) for name in _SHAPE}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def with_shape_of(self, other: Settings) -> Settings:
        """These settings for answering, over an index that ``other`` shaped."""
        return replace(self, **other.shape())

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Settings:
        """Raise SettingsError, naming ``where``, for an unknown name or a value of a wrong type."""
        defaults = cls().to_dict()
        named = values.get("threshold")
        if isinstance(named, str) and named in THRESHOLDS:
            values = values | {"threshold": THRESHOLDS[named]}
        for name, value in values.items():
            if name not in defaults:
                known = ", ".join(defaults)
                raise SettingsError(f"{where}: no setting is called {name!r}; there are {known}")
            wanted = type(defaults[name])
            if type(value) is not wanted and not (wanted is float and type(value) is int):
                names = f", nor one of {', '.join(THRESHOLDS)}" if name == "threshold" else ""
                raise SettingsError(
                    f"{where}: {name} = {value!r} is not of type {wanted.__name__}{names}"
                )
        try:
            return cls(**values)
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from None


_SHAPE = ("model", "engine", "passage_tokens", "max_file_mb")
_RANGES = (
    ("passage_tokens", 16, 200),
    ("max_file_mb", 1, 10_000),
    ("exact_passages", 0, 1_000_000_000),
    ("candidates", 1, 1_000),
    ("vector_weight", 0, 1),
    ("rerank_weight", 0, 10),
    ("max_quotes", 1, 20),
    ("threshold", 0, 1),
)


def load_settings(path: Path | None = None) -> Settings:
    """The settings in ``path``, else those in ./rag.toml where there is one, else the defaults."""
    if path is None:
        path = Path(SETTINGS_FILE)
        if not path.exists():
            return Settings()
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    return Settings.from_dict(values, where=str(path))
