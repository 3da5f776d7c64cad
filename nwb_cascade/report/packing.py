"""One ROI as the page stores it: its traces in steps and its spikes, packed into a few bytes.

Layout of the bytes before compression (zlib): for each of `PLANES` the low bytes of all steps, then their high bytes;
after that, where spike times are kept, the low, second, third and high bytes of their differences. Planes that may be
negative are stored in zigzag order (0, -1, 1, -2, ...) so that small numbers of either sign have an empty high byte.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.report.steps import MISSING, envelope, summed

PLANES = ("dff_low", "dff_span", "rate_low", "rate_span", "deviation", "spike_count")
SIGNED = (True, False, True, False, True, False)
TICKS_PER_FRAME = 16  # spike times on the page are multiples of this part of a frame


@dataclass(frozen=True, eq=False)
class RoiSteps:
    """Traces and spikes of one ROI at some number of frames per step.

    Parameters
    ----------
    frames_per_step : int
        1: every frame.
    dff_low, dff_high, rate_low, rate_high : numpy.ndarray
        (n_steps,) int16, smallest and largest value of a step in the ROI's units; ``MISSING``: no value.
    deviation : numpy.ndarray
        (n_steps,) int16, largest deviation over the ensemble.
    spike_count : numpy.ndarray
        (n_steps,) int16, discrete spikes in the step.
    spike_ticks : numpy.ndarray
        (n_spikes,) int64 ascending, spike times after the first frame in 1/16 frame; only kept at one frame per step.
    """

    frames_per_step: int
    dff_low: NDArray[np.int16]
    dff_high: NDArray[np.int16]
    rate_low: NDArray[np.int16]
    rate_high: NDArray[np.int16]
    deviation: NDArray[np.int16]
    spike_count: NDArray[np.int16]
    spike_ticks: NDArray[np.int64]

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.dff_low.size)

    def coarser(self, n_merged: int) -> RoiSteps:
        """Merge every few steps into one; spike times go, their counts stay."""
        if n_merged == 1:
            return self
        return RoiSteps(
            self.frames_per_step * n_merged,
            *envelope(self.dff_low, self.dff_high, n_merged),
            *envelope(self.rate_low, self.rate_high, n_merged),
            envelope(self.deviation, self.deviation, n_merged)[1],
            summed(self.spike_count, n_merged),
            np.empty(0, np.int64),
        )

    def pack(self) -> bytes:
        """Return the compressed bytes."""
        planes = (
            self.dff_low,
            self.dff_high.astype(np.int32) - self.dff_low,
            self.rate_low,
            self.rate_high.astype(np.int32) - self.rate_low,
            self.deviation,
            self.spike_count,
        )
        parts = [
            _split(_zigzag(plane) if signed else plane.astype(np.uint32), 2)
            for plane, signed in zip(planes, SIGNED, strict=True)
        ]
        parts.append(_split(np.diff(self.spike_ticks, prepend=0).astype(np.uint32), 4))
        # Run lengths and Huffman codes: noise holds no repetitions that a search would find.
        compressor = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
        return compressor.compress(b"".join(parts)) + compressor.flush()


def unpack(packed: bytes, n_steps: int, frames_per_step: int) -> RoiSteps:
    """Return what `RoiSteps.pack` packed; the page's own reader is ``page/codec.js``."""
    raw = np.frombuffer(zlib.decompress(packed), np.uint8)
    split = raw[: 2 * len(PLANES) * n_steps].reshape(len(PLANES), 2, n_steps).astype(np.int32)
    planes = [
        (plane >> 1) ^ -(plane & 1) if signed else plane
        for plane, signed in zip(split[:, 0] | split[:, 1] << 8, SIGNED, strict=True)
    ]
    low, span, rate_low, rate_span, deviation, count = planes
    ticks = raw[2 * len(PLANES) * n_steps :].reshape(4, -1).astype(np.int64)
    return RoiSteps(
        frames_per_step,
        dff_low=low.astype(np.int16),
        dff_high=(low + span).astype(np.int16),
        rate_low=rate_low.astype(np.int16),
        rate_high=(rate_low + rate_span).astype(np.int16),
        deviation=deviation.astype(np.int16),
        spike_count=count.astype(np.int16),
        spike_ticks=np.cumsum(ticks[0] | ticks[1] << 8 | ticks[2] << 16 | ticks[3] << 24),
    )


def full_detail(
    dff: NDArray[np.int16] | None,
    rates: NDArray[np.int16],
    deviation: NDArray[np.int16] | None,
    spike_frames: NDArray[np.float64],
) -> RoiSteps:
    """Put one ROI together, every frame.

    Parameters
    ----------
    dff, rates, deviation : numpy.ndarray or None
        (n_frames,) int16, quantised; None: not in the file.
    spike_frames : numpy.ndarray
        (n_spikes,) float64, spike times after the first frame, in frames.
    """
    absent = np.full(rates.size, MISSING, np.int16)
    dff = absent if dff is None else dff
    nearest = np.clip(np.floor(spike_frames + 0.5), 0, max(0, rates.size - 1)).astype(np.int64)
    counts = np.minimum(np.bincount(nearest, minlength=rates.size), np.iinfo(np.int16).max).astype(np.int16)
    ticks = np.sort(np.maximum(np.rint(spike_frames * TICKS_PER_FRAME), 0).astype(np.int64))
    return RoiSteps(1, dff, dff, rates, rates, absent if deviation is None else deviation, counts, ticks)


def _zigzag(values: NDArray[np.int16] | NDArray[np.int32]) -> NDArray[np.uint32]:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ...; 16 bits for values of 16 bits."""
    wide = values.astype(np.int32)
    return ((wide << 1) ^ (wide >> 31)).astype(np.uint32)


def _split(values: NDArray[np.uint32], n_bytes: int) -> bytes:
    """All lowest bytes, then all second ones, and so on."""
    return b"".join(((values >> 8 * byte) & 255).astype(np.uint8).tobytes() for byte in range(n_bytes))
