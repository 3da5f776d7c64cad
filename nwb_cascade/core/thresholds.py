"""What is done with small and negative expected spikes: threshold modes, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError

THRESHOLDS = ("raw", "nonnegative", "single-spike")


def apply_threshold(
    expected_spikes: NDArray[np.float32], mode: str, *, spike_peak: float, dilation_frames: int | None
) -> NDArray[np.float32]:
    """Apply a threshold mode to expected spikes per frame.

    ``raw`` leaves them alone. ``nonnegative`` sets negative values to 0. ``single-spike`` also sets to 0 what lies
    below the peak of one smoothed spike divided by e, but for the neighbourhood of frames above it (Cascade's
    ``threshold=1``).

    Parameters
    ----------
    expected_spikes : numpy.ndarray
        (n_rois, n_frames) float32; NaN stays NaN.
    mode : {"raw", "nonnegative", "single-spike"}
        The mode.
    spike_peak : float
        Largest value of one spike after the model's smoothing, expected spikes per frame.
    dilation_frames : int or None
        Frames around those above the threshold that are kept, on each side. None keeps every frame of an ROI that
        reaches the threshold anywhere: what Cascade does where smoothing times rate is below one frame, because
        ``binary_dilation(iterations=0)`` repeats without end.

    Returns
    -------
    numpy.ndarray
        A new array of the same shape.

    Raises
    ------
    InputError
        If the mode is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> rates = np.array([[-0.1, 0.1, 0.5, 0.1]], np.float32)
    >>> apply_threshold(rates, "single-spike", spike_peak=0.5, dilation_frames=1)
    array([[0. , 0.1, 0.5, 0.1]], dtype=float32)
    """
    if mode not in THRESHOLDS:
        raise InputError(f"Expected a threshold mode out of {', '.join(THRESHOLDS)}, received {mode!r}.")
    if mode == "raw":
        return expected_spikes.copy()
    clipped = np.maximum(expected_spikes, 0)
    if mode == "nonnegative":
        return clipped
    above = expected_spikes > spike_peak / np.e
    if dilation_frames is None:
        kept = np.broadcast_to(above.any(axis=1, keepdims=True), above.shape)
    elif dilation_frames:
        from scipy.ndimage import binary_dilation  # only this mode waits for its import

        kept = binary_dilation(above, np.ones((1, 3), bool), iterations=dilation_frames)
    else:
        kept = above
    return np.where(kept | np.isnan(clipped), clipped, np.float32(0))
