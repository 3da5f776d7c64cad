"""A recording that is listened to: every frame has its place in time, whatever arrives, and oddities are said once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError
from nwb_cascade.online.inference import OnlineInference, explained
from nwb_cascade.online.messages import Frame

TOO_FAST = 1.1  # of the rate that was told
RATE_FRAMES = 90  # over so many frames
NAN_S = 60.0  # as long without any value is said
MOST_FILLED = 100_000  # frames of a gap that are filled in: an hour at 30 Hz


@dataclass(frozen=True, eq=False)
class Told:
    """What one frame gave: expected spikes of frame ``frame`` (below 0: none yet), while ``of_frame`` was the last in.

    ``rates`` belongs to the inference; the next frame writes into it.
    """

    frame: int
    of_frame: int
    rates: NDArray[np.float32]
    missing: dict[str, int]


@dataclass(eq=False)
class Session:
    """Frames in, expected spikes out; see ``OnlineInference``.

    Parameters
    ----------
    inference : OnlineInference
        What infers; with one look-ahead.
    raw : bool
        Frames hold raw fluorescence, not dF/F.
    say : callable
        Called with a sentence about what is odd, once for each kind.
    """

    inference: OnlineInference
    raw: bool = False
    say: Callable[[str], None] = lambda sentence: None
    said: set[str] = field(default_factory=set)
    _first_s: float | None = None
    _arrivals: list[float] = field(default_factory=list)
    _without: int = 0

    def take(self, frame: Frame, *, now_s: float) -> Iterator[Told]:
        """Take a frame in, after those that are missing before it; yields what each gives.

        Parameters
        ----------
        frame : Frame
            What came.
        now_s : float
            When it came, s, by any clock that never goes back.
        """
        self._watch(now_s)
        place, number = self._place(frame), self.inference.n_frames
        if place < 0:
            self._note("back", f"Frame {number + place} came again or late; frames that are past are left out.")
            return
        if place:
            self._note("gap", f"{place} frames before frame {number + place} did not come: told as missing.")
        for _ in range(min(place, MOST_FILLED)):
            yield self._pushed(None, None)
        if frame.add_rois:
            self.inference.add_rois(frame.add_rois)
        yield self._pushed(*self._fitting(frame))

    def missed(self, error: InputError) -> Told:
        """A message that could not be read stands for one frame without values."""
        self._note("unreadable", f"{error} It is taken as a missing frame.")
        return self._pushed(None, None)

    def flushed(self) -> Iterator[Told]:
        """What the last frames give once no more will come."""
        for _ in range(self.inference.look_ahead_frames[0]):
            yield self._pushed(None, None)

    def _place(self, frame: Frame) -> int:
        """How many frames are missing before a frame; below 0 if its place is taken."""
        number = frame.number
        if number is None and frame.time_s is not None:
            if self._first_s is None:
                self._first_s = frame.time_s - self.inference.n_frames / self.inference.imaging_rate
            number = round((frame.time_s - self._first_s) * self.inference.imaging_rate)
        gap = 0 if number is None else number - self.inference.n_frames
        if gap > MOST_FILLED:
            self._note("jump", f"The clock jumped by {gap} frames, more than {MOST_FILLED}: times go on from there.")
            if frame.number is None and frame.time_s is not None:
                self._first_s = frame.time_s - self.inference.n_frames / self.inference.imaging_rate
            gap = 0
        return gap

    def _fitting(self, frame: Frame) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Values of a frame if there is one per ROI; else it is missing."""
        n_rois, values, around = self.inference.n_rois, frame.values, frame.neuropil
        if values is not None and values.size != n_rois:
            self._note(
                "length",
                f"Expected {n_rois} values per frame, received {values.size} at frame {self.inference.n_frames}: "
                "taken as missing. New ROIs are told by add_rois in the header.",
            )
            return None, None
        if around is not None and around.size != n_rois:
            self._note("neuropil", f"Expected {n_rois} values of neuropil, received {around.size}: taken as missing.")
            return None, None
        return values, around

    def _pushed(self, values: NDArray[np.float32] | None, around: NDArray[np.float32] | None) -> Told:
        self._without = 0 if values is not None and np.isfinite(values).any() else self._without + 1
        if self._without > NAN_S * self.inference.imaging_rate:
            self._note("nothing", f"No ROI has had a value for {NAN_S:g} s; listening goes on.")
        rates = self.inference.push_raw(values, around) if self.raw else self.inference.push(values)
        last = self.inference.n_frames - 1
        reasons = self.inference.reasons
        missing = dict(explained(reasons)) if reasons.any() else {}
        return Told(last - self.inference.look_ahead_frames[0], last, rates, missing)

    def _watch(self, now_s: float) -> None:
        """Note a producer that is faster than the rate that was told."""
        self._arrivals = [*self._arrivals[-RATE_FRAMES:], now_s]
        span = self._arrivals[-1] - self._arrivals[0]
        rate = self.inference.imaging_rate
        if len(self._arrivals) > RATE_FRAMES and span * rate * TOO_FAST < RATE_FRAMES:
            self._note(
                "fast",
                f"Frames come faster than {rate:g} Hz, the rate that was told: none is lost, but spikes are wrong if "
                "the recording has another.",
            )

    def _note(self, kind: str, sentence: str) -> None:
        if kind not in self.said:
            self.said.add(kind)
            self.say(sentence)
