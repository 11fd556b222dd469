from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import THRESHOLDS, Settings, load_settings


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "threshold = 1\npassage_tokens = 50"))
    assert settings == Settings(threshold=1, passage_tokens=50)


def test_rag_toml_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings() == Settings()
    (tmp_path / "rag.toml").write_text("max_quotes = 7")
    assert load_settings() == Settings(max_quotes=7)


def test_the_threshold_has_named_positions(tmp_path: Path) -> None:
    named = [load_settings(write(tmp_path, f"threshold = '{name}'")) for name in THRESHOLDS]
    values = [settings.threshold for settings in named]
    assert list(THRESHOLDS) == ["eager", "balanced", "cautious"]
    assert values == sorted(THRESHOLDS.values())
    assert Settings().threshold == THRESHOLDS["balanced"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour = 1", "no setting is called 'colour'"),
        ("max_quotes = 'many'", "is not of type int"),
        ("max_quotes = true", "is not of type int"),
        ("max_quotes = 0", "must be between 1 and 20"),
        ("threshold = 'bold'", "is not of type float, nor one of eager, balanced, cautious"),
        ("threshold = ['eager']", "is not of type float"),
        ("fusion = 'votes'", "must be one of scores, ranks"),
        ("threshold = nan", "must be between 0 and 1"),
        ("= 3", "is not valid TOML"),
        ("max_quotes = '\udcff'", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_the_cure(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=complaint) as caught:
        load_settings(path)
    assert "own.toml" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        load_settings(tmp_path / "none.toml")


def test_settings_survive_being_written() -> None:
    settings = Settings(passage_tokens=60, threshold=0.25)
    assert Settings.from_dict(settings.to_dict(), "manifest.json") == settings
