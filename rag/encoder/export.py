"""A sentence-transformers model → an ONNX graph whose linear layers multiply in 8 bits.

Weights are quantised by output channel, activations by token: each row of a layer's input gets its
own step and zero point when it is read. No data is needed to calibrate, and nothing is shared among
tokens. Vectors of all-MiniLM-L6-v2 have a cosine of 0.999 to the exact ones; one step for a whole
text, as in ONNX Runtime's own dynamic quantisation, leaves 0.994.

A processor without exact 8-bit products (x86 before VNNI: its sums of two saturate) gives other
vectors; there, and for a model that bears no rounding, the graph multiplies in 32-bit floats.
"""

from __future__ import annotations

import copy
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rag.encoder.exported import Exported
from rag.encoder.reference import Reference
from rag.errors import ModelError

_UINT8 = 2  # ONNX's number of the type
_LEAST_COSINE = 0.995  # of exported and exact vectors
_PROBES = (
    "Bees dance.",
    "When did the river flood the lower town, and how many people had to leave their homes?",
    "The committee met in March 1998 (see table 4) and found 17 % fewer cases than a year before; "
    "its chair, Dr. Ángela Núñez, wrote that “nothing in the data explains the fall”, while the "
    "minister told reporters that vaccination, cleaner water and a mild winter had each played "
    "their part.",
)


def export(folder: Path, name: str) -> dict[str, bytes]:
    """Return the files of an export, by name.

    Raises ModelError when the model cannot be loaded or exported, or when the exported one gives
    other vectors.
    """
    exact = Reference(folder, name)
    shape = {"reads": exact.reads, "dimensions": exact.dimensions}
    files = {"tokenizer.json": exact.tokenizer.encode(), "shape.json": json.dumps(shape).encode()}
    rows = _probe_rows(exact)
    wanted = [vector for _, vector in exact.run(rows)]
    try:
        for model in (_quantise(copy.deepcopy(exact.model)), exact.model):
            files["model.onnx"] = _graph(model, rows[0])
            found = [vector for _, vector in Exported(files).run(rows)]
            least = min(map(_cosine, wanted, found))
            if least >= _LEAST_COSINE:
                return files
    except Exception as error:  # any model may come here, and fail in its own way
        raise ModelError(f"{_refusal(name)}: {error}") from None
    raise ModelError(f"{_refusal(name)}: its vectors have a cosine of {least:.3f} to the exact")


def _refusal(name: str) -> str:
    return f'the model {name} cannot be exported to ONNX, set engine = "sentence-transformers"'


def _probe_rows(engine: Reference) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(engine.tokenizer)
    tokenizer.enable_truncation(engine.reads)
    return [layout.ids for layout in tokenizer.encode_batch(list(_PROBES))]


def _cosine(one: Any, other: Any) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def _graph(model: nn.Module, probe: list[int]) -> bytes:
    """Export a SentenceTransformer: (1, n) token ids → token vectors, vector."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own: deprecations, constants of a trace
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _OneText(model),
            (torch.tensor([probe]),),
            path,
            input_names=["ids"],
            output_names=["tokens", "vector"],
            dynamic_axes={"ids": {1: "n"}, "tokens": {1: "n"}},
            opset_version=17,
            dynamo=False,  # the newer exporter needs onnxscript, and has no such symbols
        )
        return path.read_bytes()


class _OneText(nn.Module):
    """Without padding there is nothing to mask."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model({"input_ids": ids})
        return output["token_embeddings"], output["sentence_embedding"]


def _quantise(module: nn.Module) -> nn.Module:
    """Replace every linear layer, in place, by one that multiplies in 8 bits."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, _Linear8(child))
        else:
            _quantise(child)
    return module


class _Linear8(nn.Module):
    """A linear layer as ``_Product`` computes it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().T  # (inputs, outputs)
        step = weight.abs().amax(0).clamp(min=torch.finfo().tiny) / 127
        codes = torch.round(weight / step).to(torch.int8)
        bias = layer.bias.detach() if layer.bias is not None else torch.zeros(len(step))
        self.register_buffer("codes", codes.contiguous())
        self.register_buffer("step", step)
        self.register_buffer("sums", codes.float().sum(0) * step)
        self.register_buffer("bias", bias)

    def forward(self, rows: Tensor) -> Tensor:
        output: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            rows, self.codes, self.step, self.sums, self.bias
        )
        return output


class _Product(torch.autograd.Function):
    """rows · weights + bias, as nodes of a graph.

    A row x is stored as codes q of 0..255 with x ≈ s (q - z). Hence x · W ≈ s (q · W - z ΣW),
    where q · W is an integer product and ΣW, the column sums, are known beforehand.
    """

    @staticmethod
    def forward(_context: Any, rows: Tensor, codes: Tensor, *_: Tensor) -> Tensor:
        """Only the shape is needed: this runs while the graph is traced."""
        return rows.new_zeros(*rows.shape[:-1], codes.shape[1])

    @staticmethod
    def symbolic(graph: Any, rows: Any, codes: Any, step: Any, sums: Any, bias: Any) -> Any:
        def number(value: float) -> Any:
            return graph.op("Constant", value_t=torch.tensor(value, dtype=torch.float32))

        def counts(*values: int) -> Any:
            return graph.op("Constant", value_t=torch.tensor(values, dtype=torch.int64))

        inputs, outputs = codes.type().sizes()
        flat = graph.op("Reshape", rows, counts(-1, inputs))
        low = graph.op("Min", graph.op("ReduceMin", flat, axes_i=[1]), number(0))
        high = graph.op("Max", graph.op("ReduceMax", flat, axes_i=[1]), number(0))
        span = graph.op("Div", graph.op("Sub", high, low), number(255))
        s = graph.op("Max", span, number(1e-20))  # a row of zeros
        z = graph.op("Round", graph.op("Div", graph.op("Neg", low), s))
        zero = graph.op("Cast", graph.op("Reshape", z, counts(-1)), to_i=_UINT8)
        q = graph.op("QuantizeLinear", flat, graph.op("Reshape", s, counts(-1)), zero, axis_i=0)
        product = graph.op("com.microsoft::MatMulIntegerToFloat", q, codes, number(1), step)
        centred = graph.op("Sub", product, graph.op("Mul", z, sums))
        scaled = graph.op("Add", graph.op("Mul", centred, s), bias)
        lead = graph.op("Slice", graph.op("Shape", rows), counts(0), counts(-1))
        return graph.op("Reshape", scaled, graph.op("Concat", lead, counts(outputs), axis_i=0))
