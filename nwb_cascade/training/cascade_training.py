"""The published Cascade network as something to train, in dense form: one loss per frame, no windows in memory.

The layers and sizes are Cascade's (Rupprecht et al. 2021, Methods): every output frame is what the published network
gives for its window, so the weights serve either form. Pooling by two becomes a running maximum, and what follows
is dilated by two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.training.batches import SegmentBank, TrainingBatch
from nwb_cascade.training.steps import Arrays, Trainee


def cascade_trainee(
    network: Mapping[str, Any], window_size: int, before_frames: int, kernel: NDArray[np.float64]
) -> Trainee:
    """Build a Cascade network whose targets are spikes smoothed by ``kernel``.

    Parameters
    ----------
    network : mapping
        ``filter_sizes`` and ``filter_numbers`` (three each) and ``dense_width``.
    window_size, before_frames : int
        Frames of the window, and how many of them come before the output frame.
    kernel : numpy.ndarray
        As made by ``nwb_cascade.core.kernels.smoothing_kernel``.
    """
    import keras
    from keras import layers, ops

    sizes, numbers, width = network["filter_sizes"], network["filter_numbers"], network["dense_width"]
    n_steps = ((window_size - sizes[0] - sizes[1] + 2) // 2 - sizes[2] + 1) // 2
    # A convolution in Keras is a correlation, hence the reversal.
    target_kernel = np.asarray(kernel[::-1, None, None], np.float32)
    after = window_size - 1 - before_frames

    class CascadeModel(keras.Model):  # type: ignore[misc]
        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            counts, present = ops.convert_to_tensor(y), ops.convert_to_tensor(x["present"])
            truth = ops.conv(ops.expand_dims(counts, -1), ops.convert_to_tensor(target_kernel), padding="same")[..., 0]
            usable = ops.cast(_all_in_window(present, window_size), "float32")
            # A network that computes in bfloat16 is still judged in float32.
            error = ops.square(ops.cast(y_pred, "float32") - truth[:, before_frames : truth.shape[1] - after]) * usable
            return ops.sum(error) / ops.maximum(ops.sum(usable), 1.0)

    trace = keras.Input((None,), name="trace")
    present = keras.Input((None,), name="present")
    x = ops.expand_dims(trace, -1)
    x = layers.Conv1D(numbers[0], sizes[0], activation="relu", name="conv1")(x)
    x = layers.Conv1D(numbers[1], sizes[1], activation="relu", name="conv2")(x)
    x = ops.maximum(x[:, :-1], x[:, 1:])
    x = layers.Conv1D(numbers[2], sizes[2], dilation_rate=2, activation="relu", name="conv3")(x)
    x = ops.maximum(x[:, :-2], x[:, 2:])
    x = layers.Dense(width, activation="relu", name="dense")(x)
    x = layers.Conv1D(1, n_steps, dilation_rate=4, name="output")(x)
    out = ops.squeeze(x, -1)
    # The network reads less than its window where the poolings leave an odd frame over at the window's end.
    unread = window_size - 1 - (sizes[0] - 1 + sizes[1] - 1 + 1 + 2 * (sizes[2] - 1) + 2 + 4 * (n_steps - 1))
    model = CascadeModel({"trace": trace, "present": present}, out[:, :-unread] if unread else out)
    record = {**network, "window_size": window_size, "before_frames": before_frames, "kernel": kernel.tolist()}
    return Trainee(model, cascade_arrays, record)


def cascade_arrays(batch: TrainingBatch) -> Arrays:
    """A batch as the Cascade network takes it; every recording counts alike, as published."""
    return {"trace": batch.trace, "present": batch.present}, batch.counts, np.ones_like(batch.weight)


def quiet_enough(bank: SegmentBank, noise_level: float) -> SegmentBank:
    """The part of a bank whose segments are no noisier than a level; a ValueError if nothing is left."""
    quiet = [[tuple(s for s in cell if s.noise_level <= noise_level) for cell in cells] for cells in bank.cells]
    return SegmentBank.assemble(
        {
            name: ([cell for cell in cells if cell], share)
            for name, cells, share in zip(bank.datasets, quiet, bank.shares, strict=True)
        }
    )


def bundle_arrays(weights: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Weights as a bundle holds them: the output layer flattened, time as the slower index."""
    arrays = dict(weights)
    arrays["output/kernel"] = weights["output/kernel"].reshape(-1, 1)
    return arrays


def _all_in_window(present: Any, window_size: int) -> Any:
    """Which windows have no absent frame: (batch, n - window_size + 1)."""
    from keras import ops

    ones = ops.ones((window_size, 1, 1))
    counted = ops.conv(ops.expand_dims(present, -1), ones, padding="valid")[..., 0]
    return counted > window_size - 0.5
