"""One trace made ready for a network: missing frames, constant traces, zero-padded tails, and a note on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING_FRAMES = "missing-frames"
FEWEST = 20  # steps between frames with a value, to judge by
OFTEN = 0.05  # share of them across a gap from which rates have been seen to be off
BRIDGED_WINDOW_FRACTION = 8  # a gap of up to a window's eighth is bridged by a straight line


@dataclass(frozen=True, eq=False)
class Prepared:
    """A trace that a network can read.

    ``trace`` (n_frames,) is finite everywhere, ``present`` (n_frames,) tells which frames were recorded, ``parts``
    are the stretches [low, high) that a window may span, ``notes`` are (code, message) pairs.
    """

    trace: NDArray[np.float32]
    present: NDArray[np.bool_]
    parts: tuple[tuple[int, int], ...]
    notes: tuple[tuple[str, str], ...]


def prepare_trace(trace: NDArray[np.float32], window_size: int, *, fills_edges: bool) -> Prepared:
    """Decide what of a trace a network may read, and fill what it may not.

    A network that fills edges is told which frames are missing, so the whole trace stays one part. For any other,
    gaps of up to ``window_size / 8`` frames are bridged by a straight line and longer ones split the trace; either
    way a missing frame gets no value. A tail of exact zeros at least a window long is padding, hence missing.

    Parameters
    ----------
    trace : numpy.ndarray
        (n_frames,) float32, NaN where a frame is missing.
    window_size : int
        Frames that the network sees for one output frame.
    fills_edges : bool
        Whether absent frames may take the place of context.

    Returns
    -------
    Prepared
        Without parts if nothing can be inferred; the notes say why.
    """
    present = np.isfinite(trace)
    notes: list[tuple[str, str]] = []
    if not present.any():
        return Prepared(np.zeros_like(trace), present, (), (("all-missing", "no finite frame, nothing inferred"),))
    values = trace[present]
    if values.min() == values.max():
        message = f"constant trace (every frame is {values[0]:g}), nothing inferred"
        return Prepared(np.zeros_like(trace), np.zeros_like(present), (), (("constant", message),))
    if padding := _padded_tail(trace, window_size):
        present[len(trace) - padding :] = False
        notes.append(("padded-tail", f"last {padding} frames are exactly zero, taken as padding"))
    if missing := len(trace) - int(present.sum()) - padding:
        notes += [missing_frames(missing), *_scattered(present)]
    if fills_edges:
        return Prepared(np.where(present, trace, np.float32(0)), present, ((0, len(trace)),), tuple(notes))
    parts = _parts(present, window_size // BRIDGED_WINDOW_FRACTION)
    long_enough = tuple((low, high) for low, high in parts if high - low >= window_size)
    if short := len(parts) - len(long_enough):
        what = f"{short} of {len(parts)} stretches between gaps are" if long_enough else "the trace is"
        longest = max(high - low for low, high in parts)
        notes.append(("too-short", f"{what} shorter than the window of {window_size} frames (longest: {longest})"))
    return Prepared(_bridged(trace, present), present, long_enough, tuple(notes))


def missing_frames(count: int) -> tuple[str, str]:
    """Return the code and the words for frames that are NaN."""
    are = "1 frame is NaN and gets" if count == 1 else f"{count} frames are NaN and get"
    return MISSING_FRAMES, f"{are} no value"


def _scattered(present: NDArray[np.bool_]) -> tuple[tuple[str, str], ...]:
    """Say so if values come in short pieces; networks have learned from whole traces."""
    steps = np.diff(np.flatnonzero(present))
    if not are_scattered(steps.size, (steps > 1).sum()):
        return ()
    if steps.min() == steps.max():
        message = (
            f"only one frame in {steps[0]} has a value: the noise level is unknown and rates are too low or too high; "
            f"store these frames alone, at the imaging rate divided by {steps[0]}"
        )
    else:
        message = (
            f"values come in pieces of {1 / (steps > 1).mean():.2g} frames on average: rates are uncertain by a third, "
            "and sums leave out what happened in missing frames"
        )
    return (("scattered-values", message),)


def are_scattered(n_steps: Any, n_gaps: Any) -> Any:
    """Tell, number by number, whether so many of the steps between frames with a value cross gaps that rates suffer."""
    return (n_steps >= FEWEST) & (n_gaps > OFTEN * n_steps)


def _padded_tail(trace: NDArray[np.float32], shortest: int) -> int:
    """Length of the trailing run of exact zeros, 0 if it is shorter than ``shortest``."""
    nonzero = np.flatnonzero(trace != 0)
    length = len(trace) - 1 - int(nonzero[-1])
    return length if length >= shortest else 0


def _parts(present: NDArray[np.bool_], longest_bridge: int) -> list[tuple[int, int]]:
    """Stretches [low, high) between gaps too long to bridge."""
    frames = np.flatnonzero(present)
    breaks = np.flatnonzero(np.diff(frames) > longest_bridge + 1)
    lows = frames[np.r_[0, breaks + 1]]
    highs = frames[np.r_[breaks, len(frames) - 1]] + 1
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _bridged(trace: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The trace with straight lines across missing frames."""
    if present.all():
        return trace
    frames = np.arange(len(trace))
    return np.interp(frames, frames[present], trace[present]).astype(np.float32)
