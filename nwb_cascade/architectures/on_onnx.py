"""The operations that networks are written in, as nodes of an ONNX graph: a network that is evaluated here is exported.

Names and meanings are those of ``on_tensorflow``, as far as networks use them to infer. Symbols of three axes are held
channels first, as ONNX convolves; whoever writes a network counts frames second and channels last, as everywhere.
Only ``take`` gives its parts as the table has them, since those are kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int | None, ...]
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "int32": TensorProto.INT32, "bool": TensorProto.BOOL}
CHANNELS_FIRST = (0, 2, 1)
CHANNELS_LAST_KERNEL = (2, 1, 0)  # (width, in, out) to (out, in, width)


@dataclass(eq=False)
class Graph:
    """Nodes and constants of a graph while it grows."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def node(
        self, kind: str, *inputs: Symbol | NDArray[Any], shape: Shape, dtype: str = "float32", **facts: Any
    ) -> Symbol:
        """Add a node of one output; arrays among its inputs become constants of the graph."""
        names = [one.name if isinstance(one, Symbol) else self._constant(one) for one in inputs]
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], **facts))
        return Symbol(self, name, shape, dtype)

    def _constant(self, array: NDArray[Any]) -> str:
        """Name of a constant; weights that were stored as float16 are so here too, in half the bytes."""
        half = array.astype(np.float16) if array.dtype == np.float32 and array.size > 64 else array
        key = f"c{len(self.constants)}"
        if half.dtype != array.dtype and np.array_equal(half.astype(np.float32), array):
            self.constants[key] = numpy_helper.from_array(np.array(half, order="C"), key)
            self.nodes.append(helper.make_node("Cast", [key], [f"{key}_single"], to=TensorProto.FLOAT))
            return f"{key}_single"
        self.constants[key] = numpy_helper.from_array(np.array(array, order="C"), key)
        return key


@dataclass(frozen=True, eq=False)
class Symbol:
    """What a node gives: its name, its shape as networks count it (None: any length) and its type."""

    graph: Graph
    name: str
    shape: Shape
    dtype: str

    def __add__(self, other: Any) -> Symbol:
        return _elementwise("Add", self, other)

    def __mul__(self, other: Any) -> Symbol:
        return _elementwise("Mul", self, other)

    def __truediv__(self, other: Any) -> Symbol:
        return _elementwise("Div", self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, place: Any) -> Symbol:
        """``[:, a:b]`` of two axes, and ``[..., 0]``."""
        if isinstance(place, tuple) and place[0] is Ellipsis:
            held = _held_axis(self, -1)
            shape = self.shape[:-1]
            return self.graph.node(
                "Gather", self, np.array(place[1], np.int64), shape=shape, dtype=self.dtype, axis=held
            )
        columns = place[1]
        low, high = columns.start or 0, columns.stop if columns.stop is not None else np.iinfo(np.int64).max
        ends = [np.array([bound], np.int64) for bound in (low, high, 1)]
        known = self.shape[1]
        width = None if known is None else len(range(*columns.indices(known)))
        return self.graph.node("Slice", self, *ends, shape=(self.shape[0], width), dtype=self.dtype)


def convert_to_tensor(x: Any) -> Any:
    """An array, which becomes a constant of the graph where it meets a symbol."""
    return np.asarray(x)


def cast(x: Any, dtype: Any) -> Any:
    """A symbol as another type."""
    name = np.dtype(dtype).name
    if name == _type_name(x):
        return x
    if not isinstance(x, Symbol):
        return x.astype(name)
    return x.graph.node("Cast", x, shape=x.shape, dtype=name, to=TYPES[name])


def take(x: Any, indices: Any, axis: int) -> Symbol:
    """Parts of a table at places that are known when the graph runs: (len(indices), ...), or one part."""
    rest = tuple(size for at, size in enumerate(x.shape) if at != axis)
    return indices.graph.node("Gather", x, indices, shape=(*indices.shape, *rest), axis=axis)  # type: ignore[no-any-return]


def concatenate(parts: Sequence[Any], axis: int) -> Any:
    """Parts side by side."""
    if not any(isinstance(part, Symbol) for part in parts):
        return np.concatenate(parts, axis)
    first = next(part for part in parts if isinstance(part, Symbol))
    at = axis % len(first.shape)
    sizes = [part.shape[at] for part in parts]
    total = None if None in sizes else sum(sizes)
    shape = tuple(total if place == at else size for place, size in enumerate(first.shape))
    return first.graph.node("Concat", *parts, shape=shape, dtype=first.dtype, axis=_held_axis(first, axis))


def stack(parts: Sequence[Symbol], axis: int) -> Symbol:
    """Symbols of two axes as channels of one."""
    return concatenate([expand_dims(part, axis) for part in parts], axis)  # type: ignore[no-any-return]


def expand_dims(x: Symbol, axis: int) -> Symbol:
    """A symbol of two axes with a third of length one."""
    at = axis % (len(x.shape) + 1)
    shape = (*x.shape[:at], 1, *x.shape[at:])
    held = CHANNELS_FIRST[at] if len(shape) == 3 else at
    return x.graph.node("Unsqueeze", x, np.array([held], np.int64), shape=shape, dtype=x.dtype)


def squeeze(x: Symbol, axis: int) -> Symbol:
    """A symbol without an axis of length one."""
    at = axis % len(x.shape)
    shape = x.shape[:at] + x.shape[at + 1 :]
    return x.graph.node("Squeeze", x, np.array([_held_axis(x, axis)], np.int64), shape=shape, dtype=x.dtype)


def shape(x: Symbol) -> tuple[int, ...]:
    """Lengths of the axes; 0 where it is open, by which ``reshape`` keeps the axis of that place."""
    return tuple(0 if size is None else size for size in x.shape)


def reshape(x: Symbol, sizes: Sequence[int]) -> Symbol:
    """The same numbers in other axes."""
    flat = _transposed(x) if len(x.shape) == 3 else x
    known = tuple(None if size < 1 else size for size in sizes)
    reshaped = x.graph.node("Reshape", flat, np.array(sizes, np.int64), shape=known, dtype=x.dtype)
    return _transposed(reshaped) if len(known) == 3 else reshaped


def split(x: Symbol, ends: Sequence[int], axis: int) -> list[Symbol]:
    """Parts of a symbol between these positions of its last axis."""
    bounds, held = [0, *ends, x.shape[-1]], _held_axis(x, axis)
    return [
        x.graph.node(
            "Slice",
            x,
            *(np.array([bound], np.int64) for bound in (low, high, held)),
            shape=(*x.shape[:-1], high - low),  # type: ignore[operator]
            dtype=x.dtype,
        )
        for low, high in pairwise(bounds)
    ]


def doubled(x: Symbol) -> Symbol:
    """Every frame twice."""
    pairs = x.graph.node("Unsqueeze", x, np.array([3], np.int64), shape=x.shape)
    pairs = x.graph.node("Concat", pairs, pairs, shape=x.shape, axis=3)
    return x.graph.node("Reshape", pairs, np.array([0, 0, -1], np.int64), shape=(x.shape[0], None, x.shape[2]))


def matmul(x: Symbol, kernel: Any) -> Symbol:
    """Product with a matrix along the last axis."""
    if len(x.shape) == 3:
        return conv(x, kernel[None])
    return x.graph.node("MatMul", x, kernel, shape=(*x.shape[:-1], kernel.shape[1]))


def conv(x: Symbol, kernel: Any, strides: int = 1, padding: str = "valid", dilation_rate: int = 1) -> Symbol:
    """Convolution with (width, in, out), an array or a part that ``take`` gave."""
    width, _, n_out = kernel.shape
    reach = dilation_rate * (width - 1) if padding == "same" else 0
    if reach and strides > 1:
        raise ValueError("Expected no stride with padding 'same', which no network here uses.")
    if isinstance(kernel, Symbol):
        turned: Any = x.graph.node("Transpose", kernel, shape=kernel.shape[::-1], perm=CHANNELS_LAST_KERNEL)
    else:
        turned = np.transpose(kernel, CHANNELS_LAST_KERNEL)
    facts: dict[str, Any] = {"kernel_shape": [width], "strides": [strides], "dilations": [dilation_rate]}
    frames = x.shape[1] if padding == "same" else None
    pads = [reach // 2, reach - reach // 2]
    return x.graph.node("Conv", x, turned, shape=(x.shape[0], frames, n_out), pads=pads, **facts)


def max_pool(x: Symbol, pool_size: int, strides: int, padding: str = "valid") -> Symbol:
    """Largest of neighbouring frames."""
    reach = pool_size - 1 if padding == "same" and strides == 1 else 0
    facts: dict[str, Any] = {
        "kernel_shape": [pool_size],
        "strides": [strides],
        "pads": [reach // 2, reach - reach // 2],
    }
    return x.graph.node("MaxPool", x, shape=(x.shape[0], None, x.shape[2]), **facts)


def biased(x: Symbol, bias: Any) -> Symbol:
    """A bias added to every channel."""
    if len(x.shape) < 3:
        return x.graph.node("Add", x, bias, shape=x.shape)
    if isinstance(bias, Symbol):
        column: Any = bias.graph.node("Unsqueeze", bias, np.array([1], np.int64), shape=(*bias.shape, 1))
    else:
        column = bias[:, None]
    return x.graph.node("Add", x, column, shape=x.shape)


def pad(x: Symbol, widths: Sequence[Sequence[int]]) -> Symbol:
    """A symbol with zeros before and behind each axis."""
    held = [widths[at] for at in CHANNELS_FIRST] if len(x.shape) == 3 else widths
    pads = np.array([before for before, _ in held] + [behind for _, behind in held], np.int64)
    grown = zip(x.shape, widths, strict=True)
    shape = tuple(None if size is None else size + sum(width) for size, width in grown)
    return x.graph.node("Pad", x, pads, np.zeros((), np.float32), shape=shape, dtype=x.dtype)


def relu(x: Symbol) -> Symbol:
    """The positive part."""
    return x.graph.node("Relu", x, shape=x.shape)


def softplus(x: Symbol) -> Symbol:
    """log(1 + exp(x))."""
    return x.graph.node("Softplus", x, shape=x.shape)


def exp(x: Symbol) -> Symbol:
    """The exponential."""
    return x.graph.node("Exp", x, shape=x.shape)


def arcsinh(x: Symbol) -> Symbol:
    """The inverse of the hyperbolic sine."""
    return x.graph.node("Asinh", x, shape=x.shape)


def argument(graph: Graph, name: str, dtype: str, shape: Shape) -> tuple[Symbol, Any]:
    """An input of the graph, of up to two axes, and its description."""
    axes = [size if size is not None else ("batch", "frames")[at] for at, size in enumerate(shape)]
    return Symbol(graph, name, shape, dtype), helper.make_tensor_value_info(name, TYPES[dtype], axes)


def present_and_filled(trace: Symbol) -> tuple[Symbol, Symbol]:
    """Which frames (batch, n) are no NaN, as 0 or 1, and the trace with 0 for those that are."""
    absent = trace.graph.node("IsNaN", trace, shape=trace.shape, dtype="bool")
    zeros = np.zeros((), np.float32)
    filled = trace.graph.node("Where", absent, zeros, trace, shape=trace.shape)
    return trace.graph.node("Where", absent, zeros, np.ones((), np.float32), shape=trace.shape), filled


def lengthened(x: Symbol, at_least: int, multiple: int, filler: float) -> Symbol:
    """Rows (batch, n) with so many more frames of one value, and then up to the next multiple."""
    node = x.graph.node
    n_frames = node("Shape", x, shape=(1,), dtype="int64", start=1)
    longer = node("Add", n_frames, np.array([at_least], np.int64), shape=(1,), dtype="int64")
    left_over = node("Mod", longer, np.array([multiple], np.int64), shape=(1,), dtype="int64")
    short = node("Sub", np.array([multiple], np.int64), left_over, shape=(1,), dtype="int64")
    short = node("Mod", short, np.array([multiple], np.int64), shape=(1,), dtype="int64")
    more = node("Add", short, np.array([at_least], np.int64), shape=(1,), dtype="int64")
    pads = node("Concat", np.zeros(3, np.int64), more, shape=(4,), dtype="int64", axis=0)
    return node("Pad", x, pads, np.array(filler, np.float32), shape=(x.shape[0], None))


def shortened(x: Symbol, rows: Symbol, by: int) -> Symbol:
    """As many frames of (batch, n) as rows have, less so many at the end."""
    node = x.graph.node
    n_frames = node("Shape", rows, shape=(1,), dtype="int64", start=1)
    stop = node("Sub", n_frames, np.array([by], np.int64), shape=(1,), dtype="int64")
    return node("Slice", x, np.array([0], np.int64), stop, np.array([1], np.int64), shape=(x.shape[0], None))


def members(outputs: Sequence[Symbol], name: str) -> Any:
    """Outputs (batch, n) of all members as the output (members, batch, n) of their graph, and its description."""
    graph = outputs[0].graph
    at_first = np.array([0], np.int64)
    rows = [graph.node("Unsqueeze", one, at_first, shape=(1, *one.shape)) for one in outputs]
    graph.nodes.append(helper.make_node("Concat", [one.name for one in rows], [name], axis=0))
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [len(outputs), "batch", "frames_out"])


def _elementwise(kind: str, x: Symbol, other: Any) -> Symbol:
    """Arithmetic with another symbol, an array of its channels or a number."""
    if not isinstance(other, Symbol):
        other = np.asarray(other, np.float32)
        if other.ndim and len(x.shape) == 3:
            raise ValueError("Expected a number or a symbol to calculate with three axes; biases go by `biased`.")
        return x.graph.node(kind, x, other, shape=x.shape)
    both = zip(x.shape, other.shape, strict=True)
    return x.graph.node(kind, x, other, shape=tuple(b if a == 1 else a for a, b in both))


def _transposed(x: Symbol) -> Symbol:
    """A symbol of three axes as it is written, or back as it is held; its shape stays as networks count it."""
    return x.graph.node("Transpose", x, shape=x.shape, dtype=x.dtype, perm=CHANNELS_FIRST)


def _held_axis(x: Symbol, axis: int) -> int:
    """Where an axis lies in what is held."""
    at = axis % len(x.shape)
    return CHANNELS_FIRST[at] if len(x.shape) == 3 else at


def _type_name(x: Any) -> str:
    return x.dtype if isinstance(x, Symbol) else np.dtype(x.dtype).name


def model(graph: Graph, inputs: Sequence[Any], output: Any, told: dict[str, str]) -> bytes:
    """The file of a graph, checked by ONNX itself, with what it tells about itself."""
    made = helper.make_model(
        helper.make_graph(graph.nodes, "network", list(inputs), [output], list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="nwb-cascade",
    )
    helper.set_model_props(made, told)
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())
