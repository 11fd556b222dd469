from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from rag.encoder import SentenceEncoder
from rag.errors import ModelError

TEXTS = ["The Danube is long.", "Bees — “dance”, in the U.S.\r\n👩‍🚀 ok", "x"]


def test_vectors_are_those_of_sentence_transformers(encoder: SentenceEncoder) -> None:
    model = SentenceTransformer(str(encoder._folder), device="cpu")
    ours = np.stack([encoding.vector for encoding in encoder.encode(TEXTS)])
    assert ours == pytest.approx(model.encode(TEXTS), abs=1e-5)


def test_tokens_point_at_their_characters(encoder: SentenceEncoder) -> None:
    for text, encoding in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        assert len(encoding.starts) == len(encoding.tokens) == encoder.count_tokens([text])[0]
        assert all(not text[start].isspace() for start in encoding.starts)
        assert (np.diff(encoding.starts) >= 0).all()
        assert np.linalg.norm(encoding.tokens, axis=1) == pytest.approx(1, abs=1e-5)


def test_context_moves_the_vectors_and_not_the_offsets(encoder: SentenceEncoder) -> None:
    [bare] = encoder.encode(["It rises here."])
    [read] = encoder.encode(["It rises here."], ["The Danube"])
    assert read.starts.tolist() == bare.starts.tolist()
    assert read.ids.tolist() == bare.ids.tolist()
    assert read.vector @ bare.vector < 0.95


def test_a_long_context_leaves_the_whole_text_in_the_window(encoder: SentenceEncoder) -> None:
    text = "word " * encoder.window
    [encoding] = encoder.encode([text], ["title " * 1000])
    assert len(encoding.ids) == encoder.window


def test_a_text_does_not_depend_on_what_is_encoded_beside_it(encoder: SentenceEncoder) -> None:
    [alone] = encoder.encode(["Bees dance."])
    [beside, _] = encoder.encode(["Bees dance.", "A much longer sentence about rivers. " * 9])
    assert beside.vector == pytest.approx(alone.vector, abs=1e-5)
    assert beside.tokens == pytest.approx(alone.tokens, abs=1e-4)


def test_nothing_to_encode(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]) == []


def test_a_model_in_a_folder_of_the_users(encoder: SentenceEncoder, tmp_path: Path) -> None:
    SentenceTransformer(str(encoder._folder), device="cpu").save(str(tmp_path / "model"))
    own = SentenceEncoder(str(tmp_path / "model"))
    assert own.encode(["x"])[0].vector == pytest.approx(encoder.encode(["x"])[0].vector, abs=1e-5)
    assert own.dimensions == encoder.dimensions


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        SentenceEncoder(str(tmp_path)).encode(["x"])


def test_a_folder_with_broken_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 64)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        SentenceEncoder(str(tmp_path)).encode(["x"])


def test_a_model_that_cannot_be_had() -> None:
    with pytest.raises(ModelError, match="no model is found as 'not a model'"):
        SentenceEncoder("not a model").encode(["x"])
