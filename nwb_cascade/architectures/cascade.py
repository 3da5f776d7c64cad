"""The published Cascade network, evaluated densely: the same numbers as one window per frame, far cheaper.

The network looks at a window of frames: three convolutions with two poolings by two between them, a dense layer per
remaining step and a linear output. Slid over a trace, neighbouring windows share almost all of it. Here each layer
runs once over the whole row: a pooling by two becomes a running maximum, and every layer behind it is dilated by two,
so that output frame t is exactly the network's value for the window that starts at frame t.

Two rearrangements keep the matrix units busy without changing a single product: the first convolution is computed
for eight frames at once and the second for two (their kernels are repeated at shifted positions, ``fold_kernel``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Architecture, Portable, Shapes, Told, Weights
from nwb_cascade.architectures.backend import Argument
from nwb_cascade.core.bounds import Bounds, require
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.core.indicators import canonical_indicator
from nwb_cascade.errors import ModelFileError

N_CONVOLUTIONS = 3
POOL = 2
LAYERS = ("conv1", "conv2", "conv3", "dense", "output")
BOUNDS = {
    "filter_sizes": Bounds(int, 1, 10_000, (N_CONVOLUTIONS, N_CONVOLUTIONS)),
    "filter_numbers": Bounds(int, 1, 10_000, (N_CONVOLUTIONS, N_CONVOLUTIONS)),
    "dense_width": Bounds(int, 1, 10_000),
}
FOLDS = (8, 2)  # frames computed at once by the first and second convolution; measured, docs/benchmarks.md
JOINED_FRAMES = 9_000  # longest row that short rows are joined to


def n_time_steps(window_size: int, filter_sizes: Sequence[int]) -> int:
    """Count the time steps that are left of a window before the dense layer.

    Three "valid" convolutions; pooling by two, incomplete pairs dropped, after the second and the third
    (Rupprecht et al. 2021, Methods).

    Parameters
    ----------
    window_size : int
        Frames of the window.
    filter_sizes : sequence of int
        Frames spanned by the filters of the three convolutions.

    Returns
    -------
    int
        Time steps; zero or less where the window is too short for the filters.

    Examples
    --------
    >>> n_time_steps(64, [31, 19, 5])
    2
    """
    first, second, third = filter_sizes
    steps = (window_size - first + 1 - second + 1) // POOL
    return (steps - third + 1) // POOL


def network_shapes(window_size: int, network: Mapping[str, Any]) -> Shapes:
    """Give the shapes of one network's arrays.

    Parameters
    ----------
    window_size : int
        Frames of the window.
    network : mapping
        ``filter_sizes`` and ``filter_numbers`` (three each) and ``dense_width``.

    Returns
    -------
    dict of str to tuple of int
        ``conv1`` ... ``conv3`` kernels (width, in, out), ``dense`` (in, out), ``output``
        (time steps * dense width, 1) with time as the slower index, and the biases (out,).

    Raises
    ------
    ModelFileError
        If a size is missing or out of its bounds, or the filters do not fit into the window.
    """
    require(network, BOUNDS, "the network")
    sizes, numbers, dense_width = (network[key] for key in BOUNDS)
    steps = n_time_steps(window_size, sizes)
    if steps < 1:
        raise ModelFileError(
            f"Expected a window that is longer than its filters, received window_size {window_size} "
            f"and filter_sizes {sizes}."
        )
    shapes: Shapes = {}
    for index, (size, inputs, outputs) in enumerate(zip(sizes, [1, *numbers], numbers, strict=False), start=1):
        shapes[f"conv{index}/kernel"] = (size, inputs, outputs)
        shapes[f"conv{index}/bias"] = (outputs,)
    shapes["dense/kernel"] = (numbers[-1], dense_width)
    shapes["dense/bias"] = (dense_width,)
    shapes["output/kernel"] = (steps * dense_width, 1)
    shapes["output/bias"] = (1,)
    return shapes


def cascade_shapes(config: ModelConfig) -> Shapes:
    """Shapes of a model's arrays, by ``"{level:g}/{member}/{layer}/{kernel|bias}"``."""
    one = network_shapes(config.window_size, config.network)
    return {
        f"{level:g}/{member}/{layer}": shape
        for level in config.noise_levels
        for member in range(config.ensemble_size)
        for layer, shape in one.items()
    }


def fold_kernel(kernel: NDArray[np.float32], fold: int) -> NDArray[np.float32]:
    """Rewrite a convolution (width, in, out) so that it reads and yields ``fold`` frames as channels of one step.

    Returns an array of shape (ceil((width + fold - 1) / fold), fold * in, fold * out).
    """
    width, n_in, n_out = kernel.shape
    steps = -(-(width + fold - 1) // fold)
    folded = np.zeros((steps * fold, n_in, fold, n_out), np.float32)
    for phase in range(fold):
        folded[phase : phase + width, :, phase] = kernel
    return folded.reshape(steps, fold * n_in, fold * n_out)


class CascadeEnsemble:
    """The networks of one noise level as one function of fixed shape; see ``nwb_cascade.core.engine.Ensemble``."""

    fills_edges = False

    def __init__(self, config: ModelConfig, members: Sequence[Weights]) -> None:
        from nwb_cascade.architectures.backend import network_ops as ops

        self.before = config.before_frames
        self.after = config.after_frames
        self._window_size = config.window_size
        n_steps = n_time_steps(config.window_size, config.network["filter_sizes"])
        folded = [_folded(member, n_steps) for member in members]
        self._weights = [{name: ops.convert_to_tensor(array) for name, array in one.items()} for one in folded]
        self._evaluate = _compiled(tuple(tuple((name, array.shape) for name, array in one.items()) for one in folded))

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, frames); returns (members, rows, frames - window_size + 1) float32."""
        from nwb_cascade.architectures.backend import network_ops as ops

        n_rows, n_frames = traces.shape
        n_out = n_frames - self._window_size + 1
        # Short rows run end to end as one: the windows across a joint are computed and dropped, still at less cost.
        n_joined = next(n for n in (16, 8, 4, 2, 1) if n_rows % n == 0 and (n == 1 or n * n_frames <= JOINED_FRAMES))
        length = n_joined * n_frames
        # A window more than asked for, and what the folds and the even-length poolings leave over at the end.
        padding = _padding(self._window_size)
        padding += -(length + padding) % FOLDS[0]
        rows = np.pad(traces.reshape(-1, length), ((0, 0), (0, padding)))
        values = ops.convert_to_numpy(self._evaluate(ops.convert_to_tensor(rows), self._weights)[:, :, :length])
        return np.asarray(values, np.float32).reshape(-1, n_rows, n_frames)[:, :, :n_out]


def cascade_networks(
    config: ModelConfig, weights: Weights, *, imaging_rate: float = 0.0, indicator: str | None = None
) -> NetworkSet:
    """Arrange a bundle's weights as one ensemble per noise level, each made when it is first needed."""

    @cache
    def ensemble(level: float) -> CascadeEnsemble:
        prefixes = [f"{level:g}/{member}" for member in range(config.ensemble_size)]
        keys = [f"{layer}/{part}" for layer in LAYERS for part in ("kernel", "bias")]
        return CascadeEnsemble(config, [{key: weights[f"{prefix}/{key}"] for key in keys} for prefix in prefixes])

    return NetworkSet(config.noise_levels, config.ensemble_size, ensemble)


def cascade_portable(config: ModelConfig, weights: Weights) -> Portable:
    """Arrange a bundle's weights for other runtimes: each member has its networks of all noise levels, stacked."""
    from nwb_cascade.architectures.backend import network_ops as ops

    n_steps = n_time_steps(config.window_size, config.network["filter_sizes"])
    keys = [f"{layer}/{part}" for layer in LAYERS for part in ("kernel", "bias")]

    def stacked(member: int) -> dict[str, NDArray[np.float32]]:
        levels = [
            _folded({key: weights[f"{level:g}/{member}/{key}"] for key in keys}, n_steps)
            for level in config.noise_levels
        ]
        return {key: np.stack([one[key] for one in levels]) for key in levels[0]}

    def evaluate(member: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        level = {key: ops.take(array, inputs["level"], axis=0) for key, array in member.items()}
        return network(inputs["trace"], level)

    levels = ", ".join(f"{at} {level:g}" for at, level in enumerate(config.noise_levels))
    told = f"Position of the noise level (% Hz^-1/2) nearest to that of the rows, which share it: {levels}."
    return Portable(
        tuple(stacked(member) for member in range(config.ensemble_size)),
        evaluate,
        {"level": (Argument((), "int64"), told)},
        lambda levels, activity, rate, indicator: {
            "level": np.asarray(np.abs(np.subtract(config.noise_levels, levels[0])).argmin())
        },
        is_told_missing=False,
        stride=FOLDS[0],
        padding=_padding(config.window_size),
        window_size=config.window_size,
        before=config.before_frames,
    )


def network(rows: Any, weights: Mapping[str, Any]) -> Any:
    """One network with folded weights over rows (n, frames): (n, about frames - window_size + 1)."""
    from nwb_cascade.architectures.backend import network_ops as ops

    def convolved(hidden: Any, name: str, dilation: int = 1) -> Any:
        return ops.biased(ops.conv(hidden, weights[f"{name}/kernel"], dilation_rate=dilation), weights[f"{name}/bias"])

    def layer(hidden: Any, name: str, dilation: int = 1) -> Any:
        return ops.relu(convolved(hidden, name, dilation))

    n_rows = ops.shape(rows)[0]
    hidden = layer(ops.reshape(rows, (n_rows, -1, FOLDS[0])), "conv1")
    hidden = layer(ops.reshape(hidden, (n_rows, -1, weights["conv2/kernel"].shape[1])), "conv2")
    hidden = ops.reshape(hidden, (n_rows, -1, weights["conv3/kernel"].shape[1]))
    # "same" keeps the number of frames even, for the pairs below, without a copy; the frame it adds is never used.
    hidden = ops.max_pool(hidden, POOL, 1, "same")
    hidden = layer(hidden, "conv3", dilation=2)
    # Frames t and t + 2 become neighbours when pairs of frames form one step: a running maximum dilated by two.
    n_channels = weights["conv3/kernel"].shape[2]
    hidden = ops.max_pool(ops.reshape(hidden, (n_rows, -1, 2 * n_channels)), POOL, 1, "valid")
    hidden = layer(ops.reshape(hidden, (n_rows, -1, n_channels)), "dense")
    return convolved(hidden, "output", dilation=4)[..., 0]


def _told(indicator: str | None, config: ModelConfig, species: str | None) -> Told:
    """These networks are told nothing; the indicator's name decides which model is chosen, and is recorded."""
    return Told(canonical_indicator(indicator))


CASCADE = Architecture(
    name="cascade",
    shapes=cascade_shapes,
    build=cascade_networks,
    told=_told,
    is_told_rate=False,
    takes_any_kernel=False,
    network_per_level=True,
    portable=cascade_portable,
)


@cache
def _compiled(shapes: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]) -> Any:
    """One compiled function for all ensembles whose weights have these shapes.

    Weights are arguments and the rows' shape is open, so one compilation serves every noise level and recording.
    """

    from nwb_cascade.architectures.backend import network_ops as ops

    def evaluate(rows: Any, members: list[dict[str, Any]]) -> Any:
        return ops.stack([network(rows, member) for member in members])

    members = [{name: Argument(shape) for name, shape in member} for member in shapes]
    return ops.compiled(evaluate, (Argument((None, None)), members))


def _padding(window_size: int) -> int:
    """Frames behind a row that its last windows may read; what they give is never used."""
    return window_size + 2 * FOLDS[0]


def _folded(member: Weights, n_steps: int) -> dict[str, NDArray[np.float32]]:
    """Rearrange one network's weights for ``network``."""
    arrays = {f"{layer}/bias": member[f"{layer}/bias"] for layer in LAYERS}
    for layer, fold in zip(("conv1", "conv2"), FOLDS, strict=True):
        arrays[f"{layer}/kernel"] = fold_kernel(member[f"{layer}/kernel"], fold)
        arrays[f"{layer}/bias"] = np.tile(member[f"{layer}/bias"], fold)
    arrays["conv3/kernel"] = member["conv3/kernel"]
    arrays["dense/kernel"] = member["dense/kernel"][None]
    arrays["output/kernel"] = member["output/kernel"].reshape(n_steps, -1, 1)
    return arrays
