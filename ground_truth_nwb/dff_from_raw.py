"""dF/F of one recorded cell from raw fluorescence, as the published jGCaMP8 ground truth was computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Both values reproduce dF/F of DS30 and DS31 from the raw traces in their untouched files to 5e-8.
NEUROPIL_SHARE = 0.8
BASELINE_PERCENTILE = 20.0


def dff_from_fluorescence(
    fluorescence: NDArray[np.floating], neuropil: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Compute dF/F of one trial: ``c / F0 - 1`` with ``c = F - 0.8 N`` and F0 the 20th percentile of ``c``.

    Parameters
    ----------
    fluorescence : numpy.ndarray
        (n_frames,), any unit; NaN stays NaN.
    neuropil : numpy.ndarray, optional
        (n_frames,), same unit; None subtracts nothing.

    Returns
    -------
    numpy.ndarray
        (n_frames,) float64, a fraction.

    Raises
    ------
    ValueError
        If the baseline is not positive, so that a fraction of it means nothing.

    Examples
    --------
    >>> import numpy as np
    >>> dff_from_fluorescence(np.array([100.0, 100.0, 150.0]))
    array([0. , 0. , 0.5])
    """
    corrected = np.asarray(fluorescence, dtype=np.float64)
    if neuropil is not None:
        corrected = corrected - NEUROPIL_SHARE * np.asarray(neuropil, dtype=np.float64)
    finite = corrected[np.isfinite(corrected)]
    baseline = float(np.percentile(finite, BASELINE_PERCENTILE)) if finite.size else 0.0
    if baseline <= 0:
        raise ValueError(f"Expected a positive baseline of the fluorescence, received {baseline:.3g}.")
    return corrected / baseline - 1.0
