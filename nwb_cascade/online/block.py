"""A block of ROIs while a recording runs: levels that run along, the network, and the smoothing of what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.running import RunningNoise, RunningRest
from nwb_cascade.online.frame_network import Array, FrameNetwork, FrameWeights, NoiseSteps

# Why an expected number of spikes is not given.
GIVEN, NOT_YET, MISSING, NO_BASELINE = range(4)
REASONS = {
    NOT_YET: "no frame of this ROI is as long ago as the look-ahead yet",
    MISSING: "the frame that is told of was not measured",
    NO_BASELINE: "the fluorescence less its neuropil has no positive baseline, so that dF/F is undefined",
}
BASELINE_TIMES_S = (0.5, 3.0, 90.0)  # of raw fluorescence: slower than the rest level of dF/F, which follows
LEAST_BASELINE = 0.05  # of the mean fluorescence, as in nwb_cascade.dff.DffMethod
STEPS_TO_MOVE = 1.0  # what a ROI is told of its noise stays until it is off by so many steps
NOISE_BEFORE = 4.0  # % Hz^-1/2: what networks are told until there are two frames


@dataclass(frozen=True, eq=False)
class Smoothing:
    """How expected spikes are joined to what is given, for each look-ahead.

    Parameters
    ----------
    delays : tuple of int
        Frames between the current one and the one that is told of, one per look-ahead.
    weights : numpy.ndarray
        (n_look_aheads, n_kept): weight of the estimate for the frame so many frames ago.
    """

    delays: tuple[int, ...]
    weights: Array

    @classmethod
    def make(cls, delays: Sequence[int], kernel: NDArray[np.float64], most: int) -> Smoothing:
        """Place a centred kernel at each delay; what would lie behind the current frame has no weight.

        Tails of less than 1e-4 are left out. ``most`` is the longest delay of the network.
        """
        half = len(kernel) // 2
        heavy = np.flatnonzero(np.abs(kernel) > 1e-4 * np.abs(kernel).max()) - half
        weights = np.zeros((len(delays), max(max(delays) + max(int(heavy[-1]), 0), most) + 1), np.float32)
        for row, delay in zip(weights, delays, strict=True):
            for lag in heavy[heavy + delay >= 0]:
                row[delay + lag] = kernel[half + lag]
        return cls(tuple(delays), weights)

    def turned(self) -> Array:
        """The weights as they lie in a ring, for each position of the current frame (n_kept, n_look_aheads, n_kept)."""
        n_kept = self.weights.shape[1]
        return np.stack([self.weights[:, (at - np.arange(n_kept)) % n_kept] for at in range(n_kept)])


@dataclass(frozen=True, eq=False)
class Method:
    """What all blocks share: the networks with what they are told, and the smoothing.

    ``steps`` is None where the noise level is given.
    """

    networks: tuple[FrameWeights, ...]
    steps: tuple[NoiseSteps, ...] | None
    noise_range: tuple[float, float]
    smoothing: Smoothing
    turned: Array
    imaging_rate: float
    neuropil_factor: float


class Block:
    """Some ROIs; all arrays are made once.

    Parameters
    ----------
    method : Method
        What is done.
    n_rois : int
        ROIs of the block.
    noise_level : numpy.ndarray or None
        (n_rois,) what the networks are told, % Hz^-1/2; None: what runs along.
    """

    def __init__(self, method: Method, n_rois: int, noise_level: Array | None) -> None:
        self.method, self.n_rois = method, n_rois
        rate = method.imaging_rate
        self.rest, self.noise = RunningRest(n_rois, rate), RunningNoise(n_rois, rate)
        self.baseline = RunningRest(n_rois, rate, BASELINE_TIMES_S)
        self.networks = [FrameNetwork(weights, n_rois) for weights in method.networks]
        n_kept = method.smoothing.weights.shape[1]
        self.kept, self.there = np.zeros((2, n_kept, n_rois), np.float32)
        self.codes = np.full((n_kept, n_rois), NOT_YET, np.uint8)
        self.silent = np.full(n_rois, np.inf, np.float32)  # frames since the last present one
        self.told = np.full(n_rois, -2, np.float32)  # step of the noise level, or the level itself if it is given
        self._trace, self._log, self._nearest, self._present = np.zeros((4, n_rois), np.float32)
        self._finite, self._absent, self._changed = np.zeros((3, n_rois), bool)
        self._alive = np.zeros((n_rois, 1), np.float32)
        self._average = np.zeros((n_rois, len(method.networks[0].sizes.delays)), np.float32)
        self._joined, self._weight = np.zeros((2, len(method.smoothing.delays), n_rois), np.float32)
        if noise_level is not None:
            self.told[:] = np.clip(noise_level, *method.noise_range)
            self._set_films()

    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic], int]]:
        """All that the next frame depends on, by name, and the axis along which ROIs lie."""
        for name in ("average", "level", "count"):
            yield f"rest/{name}", getattr(self.rest, name), 0
            yield f"baseline/{name}", getattr(self.baseline, name), 0
        for name in ("balance", "last", "seen", "count"):
            yield f"noise/{name}", getattr(self.noise, name), 0
        for number, network in enumerate(self.networks):
            for layer, ring in enumerate(network.rings):
                yield f"network{number}/ring{layer}", ring, 1
        for name, axis in (("kept", 1), ("there", 1), ("codes", 1), ("silent", 0), ("told", 0)):
            yield name, getattr(self, name), axis

    def take_over(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Go on from the state of the first ROIs of another block, or of a file; the rest stay as they are."""
        for name, own, axis in self.arrays():
            other = arrays[name]
            own[(slice(None),) * axis + (slice(0, other.shape[axis]),)] = other
        if self.method.steps is None:
            self._set_films()
        else:
            self._tell(self.told >= 0)

    def step(self, frame: int, values: Array, out: Array, reasons: NDArray[np.uint8]) -> None:
        """Take dF/F of one frame in.

        Parameters
        ----------
        frame : int
            Number of the frame.
        values : numpy.ndarray
            (n_rois,) dF/F as a fraction; NaN: not measured.
        out, reasons : numpy.ndarray
            (n_look_aheads, n_rois), written: expected spikes per frame, NaN where none is given, and why.
        """
        here = np.isfinite(values, out=self._finite)
        np.copyto(self._trace, values)
        absent = np.logical_not(here, out=self._absent)
        np.copyto(self._trace, 0, where=absent)
        code = self.codes[frame % len(self.codes)]
        np.copyto(code, GIVEN)
        np.copyto(code, MISSING, where=absent)
        self._step(frame, out, reasons)

    def step_raw(
        self, frame: int, fluorescence: Array, neuropil: Array | None, out: Array, reasons: NDArray[np.uint8]
    ) -> None:
        """Take raw fluorescence (n_rois,) of one frame in, and that of the neuropil; the rest as ``step``."""
        trace, here, absent = self._trace, self._finite, self._absent
        np.copyto(trace, fluorescence)
        if neuropil is not None:
            np.multiply(neuropil, np.float32(-self.method.neuropil_factor), out=self._log)
            trace += self._log
        np.isfinite(trace, out=here)
        np.copyto(trace, 0, where=np.logical_not(here, out=absent))
        self.baseline.update(trace, here)
        level = self.baseline.level
        np.multiply(self.baseline.average, np.float32(LEAST_BASELINE), out=self._log)
        np.maximum(self._log, 0, out=self._log)
        code = self.codes[frame % len(self.codes)]
        np.copyto(code, GIVEN)
        np.copyto(code, NO_BASELINE, where=np.less_equal(level, self._log, out=self._changed))
        np.copyto(code, MISSING, where=absent)
        np.equal(code, GIVEN, out=here)
        trace -= level
        np.divide(trace, level, out=trace, where=here)
        np.copyto(trace, 0, where=np.logical_not(here, out=absent))
        self._step(frame, out, reasons)

    def _step(self, frame: int, out: Array, reasons: NDArray[np.uint8]) -> None:
        """Go on with the trace and the present frames that were written."""
        trace, here = self._trace, self._finite
        self.noise.update(trace, here)
        self.rest.update(trace, here)
        if self.method.steps is not None:
            self._follow_noise(self.method.steps[0])
        np.copyto(self._present, here)
        trace -= self.rest.level
        trace *= self._present
        self.silent += 1
        np.copyto(self.silent, 0, where=here)
        last = self.networks[0]
        alive = None
        if not here.all():
            np.less_equal(
                self.silent[:, None], self.method.networks[0].sizes.delays[-1], out=self._alive, casting="unsafe"
            )
            alive = self._alive
        outputs = last.step(frame, trace, self._present, alive)
        if len(self.networks) > 1:
            np.copyto(self._average, outputs)
            for network in self.networks[1:]:
                self._average += network.step(frame, trace, self._present, alive)
            self._average *= np.float32(1 / len(self.networks))
            outputs = self._average
        self._give(frame, outputs, out, reasons)

    def _give(self, frame: int, outputs: Array, out: Array, reasons: NDArray[np.uint8]) -> None:
        """Keep the newest estimates of the last frames, and join them as the smoothing says."""
        n_kept = len(self.kept)
        codes = self.codes
        now = frame % n_kept
        np.equal(codes[now], GIVEN, out=self.there[now], casting="unsafe")
        for head, delay in enumerate(self.method.networks[0].sizes.delays):
            at = (frame - delay) % n_kept
            np.multiply(outputs[:, head], self.there[at], out=self.kept[at])
        weights = self.method.turned[now]
        np.matmul(weights, self.kept, out=self._joined)
        np.matmul(weights, self.there, out=self._weight)
        for row, delay in enumerate(self.method.smoothing.delays):
            reason = codes[(frame - delay) % n_kept]
            np.copyto(reasons[row], reason)
            out[row] = np.nan
            given = np.equal(reason, GIVEN, out=self._changed)
            np.divide(self._joined[row], self._weight[row], out=out[row], where=given)

    def _follow_noise(self, steps: NoiseSteps) -> None:
        """Tell the networks of ROIs whose noise level has gone on by a step."""
        np.add(self.noise.balance, self.noise.log_factor, out=self._log)
        np.copyto(self._log, np.log(NOISE_BEFORE), where=np.equal(self.noise.count, 0, out=self._changed))
        steps.position(self._log, out=self._log)
        np.subtract(self._log, self.told, out=self._nearest)
        np.abs(self._nearest, out=self._nearest)
        np.greater(self._nearest, STEPS_TO_MOVE, out=self._changed)
        if self._changed.any():
            np.rint(self._log, out=self._log)
            np.copyto(self.told, self._log, where=self._changed)
            self._tell(self._changed)

    def _tell(self, changed: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(changed)
        steps = self.told[rows].astype(np.intp)
        assert self.method.steps is not None
        for network, table in zip(self.networks, self.method.steps, strict=True):
            network.films.layers[:, :, rows] = table.films.layers[:, :, steps]
            network.films.hidden[:, rows] = table.films.hidden[:, steps]
            network.films.spread[rows] = table.films.spread[steps]

    def _set_films(self) -> None:
        for network, weights in zip(self.networks, self.method.networks, strict=True):
            network.films = weights.films(np.maximum(self.told, self.method.noise_range[0]))
