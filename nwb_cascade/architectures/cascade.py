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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet

if TYPE_CHECKING:
    import tensorflow as tf

FOLDS = (8, 2)  # frames computed at once by the first and second convolution; measured, docs/benchmarks.md
JOINED_FRAMES = 9_000  # longest row that short rows are joined to
Shapes = tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
LAYERS = ("conv1", "conv2", "conv3", "dense", "output")


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


def steps_after_pooling(window_size: int, filter_sizes: tuple[int, ...]) -> int:
    """Number of time steps that a window has left before the output layer."""
    first, second, third = filter_sizes
    return ((window_size - first - second + 2) // 2 - third + 1) // 2


class CascadeEnsemble:
    """The networks of one noise level as one function of fixed shape; see ``nwb_cascade.core.engine.Ensemble``."""

    fills_edges = False

    def __init__(self, config: ModelConfig, members: Sequence[Mapping[str, NDArray[np.float32]]]) -> None:
        sizes = tuple(config.network["filter_sizes"])
        self.before = config.before_frames
        self.after = config.after_frames
        self._window_size = config.window_size
        n_steps = steps_after_pooling(config.window_size, sizes)
        self._weights = [_folded(member, n_steps) for member in members]
        self._evaluate = compiled(
            tuple(tuple((name, tuple(array.shape)) for name, array in member.items()) for member in self._weights)
        )

    def __call__(
        self, traces: NDArray[np.float32], present: NDArray[np.bool_], noise_level: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, frames); returns (members, rows, frames - window_size + 1) float32."""
        import tensorflow as tf

        n_rows, n_frames = traces.shape
        n_out = n_frames - self._window_size + 1
        # Short rows run end to end as one: the windows across a joint are computed and dropped, still at less cost.
        n_joined = next(n for n in (16, 8, 4, 2, 1) if n_rows % n == 0 and (n == 1 or n * n_frames <= JOINED_FRAMES))
        length = n_joined * n_frames
        # A window more than asked for, and what the folds and the even-length poolings leave over at the end.
        padding = self._window_size + 2 * FOLDS[0]
        padding += -(length + padding) % FOLDS[0]
        rows = np.pad(traces.reshape(-1, length), ((0, 0), (0, padding)))
        values = np.asarray(self._evaluate(tf.constant(rows), self._weights)[:, :, :length])
        return values.reshape(-1, n_rows, n_frames)[:, :, :n_out]

    @property
    def n_compilations(self) -> int:
        """How often the function that this ensemble shares with its likes has been compiled."""
        return int(self._evaluate.experimental_get_tracing_count())


def cascade_networks(config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]) -> NetworkSet:
    """Arrange a bundle's weights as one ensemble per noise level, each made when it is first needed."""

    @cache
    def ensemble(level: float) -> CascadeEnsemble:
        members = [
            {
                f"{layer}/{part}": weights[f"{level:g}/{member}/{layer}/{part}"]
                for layer in LAYERS
                for part in ("kernel", "bias")
            }
            for member in range(config.ensemble_size)
        ]
        return CascadeEnsemble(config, members)

    return NetworkSet(config.noise_levels, config.ensemble_size, ensemble)


def _folded(member: Mapping[str, NDArray[np.float32]], n_steps: int) -> dict[str, tf.Tensor]:
    """Rearrange one network's weights for ``_network``."""
    import tensorflow as tf

    arrays = {f"{layer}/bias": member[f"{layer}/bias"] for layer in LAYERS}
    for layer, fold in zip(("conv1", "conv2"), FOLDS, strict=True):
        arrays[f"{layer}/kernel"] = fold_kernel(member[f"{layer}/kernel"], fold)
        arrays[f"{layer}/bias"] = np.tile(member[f"{layer}/bias"], fold)
    arrays["conv3/kernel"] = member["conv3/kernel"]
    arrays["dense/kernel"] = member["dense/kernel"][None]
    arrays["output/kernel"] = member["output/kernel"].reshape(n_steps, -1, 1)
    return {name: tf.constant(array) for name, array in arrays.items()}


@cache
def compiled(shapes: Shapes) -> Any:
    """One compiled function for all ensembles whose weights have these shapes.

    Weights are arguments and the rows' shape is open, so one compilation serves every noise level and recording.
    """
    import tensorflow as tf

    rows = tf.TensorSpec((None, None), tf.float32)
    members = [{name: tf.TensorSpec(shape, tf.float32) for name, shape in member} for member in shapes]
    return tf.function(_evaluate, input_signature=(rows, members), autograph=False)


def _evaluate(rows: tf.Tensor, members: list[dict[str, tf.Tensor]]) -> tf.Tensor:
    """All networks of an ensemble over rows (n, frames): (members, n, about frames - window_size + 1)."""
    import tensorflow as tf

    return tf.stack([_network(rows, member) for member in members])


def _network(rows: tf.Tensor, weights: dict[str, tf.Tensor]) -> tf.Tensor:
    """One network over rows (n, frames): (n, about frames - window_size + 1)."""
    import tensorflow as tf

    n_rows = tf.shape(rows)[0]
    hidden = tf.reshape(rows, (n_rows, -1, FOLDS[0]))
    hidden = _convolve(hidden, weights, "conv1")
    n_channels = weights["conv2/kernel"].shape[1]
    hidden = tf.reshape(hidden, (n_rows, -1, n_channels))
    hidden = _convolve(hidden, weights, "conv2")
    hidden = tf.reshape(hidden, (n_rows, -1, weights["conv3/kernel"].shape[1]))
    # "SAME" keeps the number of frames even, for the pairs below, without a copy; the frame it adds is never used.
    hidden = tf.nn.max_pool1d(hidden, 2, 1, "SAME")
    hidden = _convolve(hidden, weights, "conv3", dilation=2)
    # Frames t and t + 2 become neighbours when pairs of frames form one step: a running maximum dilated by two.
    n_channels = weights["conv3/kernel"].shape[2]
    hidden = tf.reshape(hidden, (n_rows, -1, 2 * n_channels))
    hidden = tf.nn.max_pool1d(hidden, 2, 1, "VALID")
    hidden = tf.reshape(hidden, (n_rows, -1, n_channels))
    hidden = _convolve(hidden, weights, "dense")
    output = tf.nn.conv1d(hidden, weights["output/kernel"], 1, "VALID", dilations=4)
    return output[..., 0] + weights["output/bias"]


def _convolve(hidden: tf.Tensor, weights: dict[str, tf.Tensor], layer: str, **options: Any) -> tf.Tensor:
    """Convolution without padding, bias and rectifier; TensorFlow fuses the three."""
    import tensorflow as tf

    dilation = options.get("dilation", 1)
    hidden = tf.nn.conv1d(hidden, weights[f"{layer}/kernel"], 1, "VALID", dilations=dilation)
    return tf.nn.relu(tf.nn.bias_add(hidden, weights[f"{layer}/bias"]))
