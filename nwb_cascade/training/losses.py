"""The loss of the conditional network: squared error of smoothed counts at several time scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALES_FRAMES = (0.75, 2.0, 6.0)
SCALE_SHARES = (0.5, 0.3, 0.2)
ERROR_BEND = 8.0


def smoothing_bank(shares: tuple[float, ...] = SCALE_SHARES) -> NDArray[np.float32]:
    """Gaussians as the kernels of one convolution: (width, 1, n_scales), each of unit energy times its share.

    Unit energy makes unpredictable (white) residuals cost the same at every scale.
    """
    half = int(np.ceil(3 * max(SCALES_FRAMES)))
    lags = np.arange(-half, half + 1)
    bank = np.exp(-0.5 * (lags[:, None] / np.asarray(SCALES_FRAMES)) ** 2)
    bank *= np.sqrt(np.asarray(shares) / (bank**2).sum(axis=0))
    return np.asarray(bank[:, None, :], dtype=np.float32)


def smoothed_error(predicted: Any, counts: Any, present: Any, weight: Any, bank: Any) -> Any:
    """Squared smoothed residual, summed over scales and averaged over each crop's frames, then over crops.

    A crop's error e counts as ``c log(1 + e / c)``: a single recording with a broken baseline would otherwise decide
    the direction of every step it takes part in.

    Parameters
    ----------
    predicted, counts, present : tensor
        (batch, n): expected spikes, spikes and 0 or 1, per frame.
    weight : tensor
        (batch, n), factor on each frame's squared error.
    bank : tensor
        ``smoothing_bank``.
    """
    from nwb_cascade.architectures.backend import keras

    ops = keras.ops
    # A network that computes in bfloat16 is still judged in float32; torch would not take NumPy's arrays.
    predicted = ops.cast(predicted, "float32")
    counts, present, weight, bank = map(ops.convert_to_tensor, (counts, present, weight, bank))
    residual = ops.expand_dims((predicted - counts) * present, -1)
    smoothed = ops.conv(residual, bank, padding="same")
    n_present = ops.sum(present, axis=-1)
    squared = ops.sum(ops.sum(ops.square(smoothed), axis=-1) * present * weight, axis=-1)
    error = squared / ops.maximum(n_present, 1.0)
    bounded = ERROR_BEND * ops.log1p(error / ERROR_BEND)
    return ops.sum(bounded * n_present) / ops.maximum(ops.sum(n_present), 1.0)
