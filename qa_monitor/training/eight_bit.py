"""Writes an encoder as an ONNX graph that multiplies in eight-bit integers.

Each row of the activations (a token) gets its own scale when the graph runs, and each column of the
weights had one when it was written [after Dettmers et al. 2022, "LLM.int8()", vector-wise]. ONNX
Runtime's own dynamic quantization takes one scale for a whole batch: there, what is said later in
a call would change, a little, what was read before.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qa_monitor.scoring.network import ReadingEncoder

__all__ = ["write_encoder"]

_OPSET = 20
_MANY_ROWS = 20_000


def write_encoder(encoder: ReadingEncoder, path: Path) -> None:
    """``encoder`` as the graph at ``path``, for inputs of any size.

    Inputs ``ids``, ``sides``, ``turns`` (int64, windows by longest); output ``states`` (float32).
    """
    import onnx

    example = torch.ones((2, 16), dtype=torch.long)
    rows, length = torch.export.Dim("windows", min=1), torch.export.Dim("longest", min=2, max=512)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # The exporter warns of its own parts.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            encoder.eval(),
            (example, torch.zeros_like(example), torch.cumsum(example, 1) // 4),
            input_names=["ids", "sides", "turns"],
            output_names=["states"],
            dynamic_shapes=({0: rows, 1: length},) * 3,
            opset_version=_OPSET,
            dynamo=True,
        )
    assert program is not None
    model = program.model_proto
    _quantize(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _quantize(model: Any) -> None:
    """Every multiplication by fixed weights, and the table of words, in eight bits; in place."""
    from onnx import numpy_helper

    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    writer = _Writer(graph)
    nodes: list[Any] = []
    replaced: set[str] = set()
    for node in graph.node:
        table = node.input[0] if node.op_type == "Gather" else node.input[-1]
        tensor = tensors.get(table)
        if node.op_type == "MatMul" and tensor is not None:
            nodes += writer.product(node, numpy_helper.to_array(tensor))
            replaced.add(table)
        elif node.op_type == "Gather" and tensor is not None and tensor.dims[0] > _MANY_ROWS:
            nodes += writer.lookup(node, numpy_helper.to_array(tensor))
            replaced.add(table)
        else:
            nodes.append(node)
    kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


class _Writer:
    """Makes nodes, and adds to ``graph`` the numbers that they need."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._rows: set[str] = set()
        self._least = self._add("q.least", np.array(1e-8, np.float32))
        self._share = self._add("q.share", np.array(1 / 127, np.float32))
        self._middle = self._add("q.middle", np.array(128, np.float32))
        self._zero = self._add("q.zero", np.array(128, np.uint8))
        self._last = self._add("q.last", np.array([-1], np.int64))

    def product(self, node: Any, weights: Any) -> Iterator[Any]:
        """``node``, a multiplication by ``weights`` of shape (in, out), in integers."""
        from onnx import TensorProto

        source, name = node.input[0], node.output[0]
        row = f"q.{source}"
        if source not in self._rows:
            self._rows.add(source)
            yield self._node("Abs", [source], f"{row}.size")
            yield self._node("ReduceMax", [f"{row}.size", self._last], f"{row}.top", keepdims=1)
            yield self._node("Max", [f"{row}.top", self._least], f"{row}.most")
            yield self._node("Mul", [f"{row}.most", self._share], f"{row}.scale")
            yield self._node("Div", [source, f"{row}.scale"], f"{row}.steps")
            yield self._node("Round", [f"{row}.steps"], f"{row}.whole")
            yield self._node("Add", [f"{row}.whole", self._middle], f"{row}.above")
            yield self._node("Cast", [f"{row}.above"], f"{row}.bytes", to=TensorProto.UINT8)
        values, scales = _eight_bits(weights, axis=0)
        self._add(f"{name}.weights", values)
        self._add(f"{name}.scales", scales)
        yield self._node(
            "MatMulInteger", [f"{row}.bytes", f"{name}.weights", self._zero], f"{name}.sum"
        )
        yield self._node("Cast", [f"{name}.sum"], f"{name}.real", to=TensorProto.FLOAT)
        yield self._node("Mul", [f"{name}.real", f"{row}.scale"], f"{name}.rows")
        yield self._node("Mul", [f"{name}.rows", f"{name}.scales"], name)

    def lookup(self, node: Any, table: Any) -> Iterator[Any]:
        """``node``, a look-up in ``table``, which is kept in integers with a scale for each row."""
        from onnx import TensorProto

        where, name = node.input[1], node.output[0]
        values, scales = _eight_bits(table, axis=1)
        self._add(f"{name}.values", values)
        self._add(f"{name}.scales", scales[:, None])
        yield self._node("Gather", [f"{name}.values", where], f"{name}.bytes", axis=0)
        yield self._node("Gather", [f"{name}.scales", where], f"{name}.scale", axis=0)
        yield self._node("Cast", [f"{name}.bytes"], f"{name}.whole", to=TensorProto.FLOAT)
        yield self._node("Mul", [f"{name}.whole", f"{name}.scale"], name)

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        from onnx import helper

        return helper.make_node(kind, inputs, [output], **attributes)

    def _add(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name


def _eight_bits(values: Any, *, axis: int) -> tuple[Any, Any]:
    """``values`` in 255 steps, and the size of a step for each column (0) or row (1)."""
    scales = np.abs(values).max(axis=axis) / 127
    scales[scales == 0] = 1
    steps = values / (scales if axis == 0 else scales[:, None])
    return np.round(steps).astype(np.int8), scales.astype(np.float32)
