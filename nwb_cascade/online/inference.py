"""Expected spikes of many ROIs while they are recorded, one frame after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.architectures.online import ONLINE
from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.architectures.told import all_codes, of_number, told_code
from nwb_cascade.architectures.told_networks import with_near_codes
from nwb_cascade.architectures.told_sizes import CODES
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.core.selection import RATE_TOLERANCE, rate_mismatch
from nwb_cascade.core.traces import require_rate
from nwb_cascade.core.wording import ranged
from nwb_cascade.errors import InputError
from nwb_cascade.models.bundle import Model
from nwb_cascade.models.library import load_model
from nwb_cascade.online.block import REASONS, Block, Method, Smoothing
from nwb_cascade.online.frame_network import FrameWeights, NoiseSteps
from nwb_cascade.online.state import read_state, write_state

DEFAULT_MODEL = "online-1-120Hz"
BLOCK_ROIS = 2048  # fewer, and threads spend their time waiting for each other; more, and added ROIs take long
Values = NDArray[np.float32]


@dataclass(frozen=True)
class OnlineOptions:
    """What is done, beyond what is known of the recording.

    Parameters
    ----------
    species : str, optional
        Latin name; zebrafish have codes of their own.
    kernel, smoothing_s : str, float
        Smoothing of the result; 0 s: none. It adds no delay: what it lacks of frames to come, the rest makes up.
    neuropil_factor : float
        Share of the neuropil that ``push_raw`` subtracts.
    n_networks : int
        How many of the model's networks are averaged, each of which takes as long as the first.
    n_threads : int
        Blocks of 2,048 ROIs that are computed beside each other.
    """

    species: str | None = None
    kernel: str = "gaussian"
    smoothing_s: float = 0.0
    neuropil_factor: float = 0.7
    n_networks: int = 1
    n_threads: int = 1


class OnlineInference:
    """Spike inference while a recording runs: ``push`` each frame, and get the expected spikes of one a little earlier.

    Nothing is computed twice, and all memory is taken at the start: rings hold what the layers of the network still
    need. Results are those of the network on the whole trace, up to rounding.

    Parameters
    ----------
    n_rois : int
        ROIs at the start; ``add_rois`` adds some.
    imaging_rate : float
        Hz.
    indicator : str, optional
        Calcium indicator, in any usual spelling.
    look_ahead_s : float or sequence of float
        By how much the frame that is told of lies back, s. The nearest that the network has at this rate is taken, see
        ``look_ahead_frames``. Of several, ``push`` gives one row each.
    noise_level : float or array_like, optional
        What the network is told of each ROI, % Hz^-1/2, if it is known; by default a noise level that runs along.
    model : str, path or Model
        Name of an installed model of architecture ``online``, the folder of a bundle, or a loaded model.
    options : OnlineOptions, optional
        What else can be chosen.

    Raises
    ------
    InputError
        If a value is out of its range, or the model is of another architecture.

    Examples
    --------
    >>> online = OnlineInference(n_rois=2, imaging_rate=30.0, indicator="jGCaMP8m", look_ahead_s=0.1)
    >>> online.look_ahead_frames
    (3,)
    >>> for _ in range(4):
    ...     expected_spikes = online.push(np.zeros(2))
    >>> expected_spikes.shape, bool(np.isfinite(expected_spikes).all())
    ((2,), True)
    """

    def __init__(
        self,
        n_rois: int,
        imaging_rate: float,
        *,
        indicator: str | None = None,
        look_ahead_s: float | Sequence[float] = 0.1,
        noise_level: ArrayLike | None = None,
        model: str | PathLike[str] | Model = DEFAULT_MODEL,
        options: OnlineOptions | None = None,
    ) -> None:
        require_rate(imaging_rate)
        self.model = model if isinstance(model, Model) else load_model(model)
        self.imaging_rate, self.indicator, self.options = float(imaging_rate), indicator, options or OnlineOptions()
        self.look_ahead_s = tuple(np.atleast_1d(look_ahead_s).astype(float).tolist())
        self._several, self.follows_noise = np.ndim(look_ahead_s) > 0, noise_level is None
        self._method = _method(self)
        self.n_frames = 0
        self._blocks: list[Block] = []
        self._pool = ThreadPoolExecutor(self.options.n_threads) if self.options.n_threads > 1 else None
        self._noise_level = np.empty(0, np.float32)
        self._rates = np.empty((len(self.look_ahead_frames), 0), np.float32)
        self._reasons = np.empty(self._rates.shape, np.uint8)
        if n_rois:
            self.add_rois(n_rois, noise_level=noise_level)

    @property
    def n_rois(self) -> int:
        """ROIs so far."""
        return self._rates.shape[1]

    @property
    def look_ahead_frames(self) -> tuple[int, ...]:
        """Frames between the one that is pushed and the one that is told of, for each look-ahead."""
        return self._method.smoothing.delays

    @property
    def reasons(self) -> NDArray[np.uint8]:
        """Why the last frame gave NaN, in the shape of its result: 0 where it did not, else a key of ``REASONS``."""
        return self._reasons if self._several else self._reasons[0]

    @property
    def noise_levels(self) -> Values:
        """Noise levels (n_rois,) as they run along, % Hz^-1/2; NaN before an ROI's second frame."""
        return np.concatenate([np.empty(0, np.float32), *(block.noise.level for block in self._blocks)])

    @property
    def rest_levels(self) -> Values:
        """Rest levels (n_rois,) of dF/F as they run along."""
        return np.concatenate([np.empty(0, np.float32), *(block.rest.level for block in self._blocks)])

    @property
    def nbytes(self) -> int:
        """Memory that ROIs take, bytes; the same after every frame."""
        return sum(array.nbytes for block in self._blocks for _, array, _ in block.arrays())

    def push(self, dff: ArrayLike | None) -> Values:
        """Take the dF/F of one frame in.

        Parameters
        ----------
        dff : array_like or None
            (n_rois,) as a fraction; NaN: not measured. None: the frame is missing.

        Returns
        -------
        numpy.ndarray
            (n_rois,) float32, or (n_look_aheads, n_rois) if several look-aheads were asked for: expected spikes per
            frame (times the imaging rate: spikes per second) of the frame ``look_ahead_frames`` ago. NaN where none is
            given; ``reasons`` says why. It belongs to this object: the next frame writes into it.

        Raises
        ------
        InputError
            If there are more or fewer values than ROIs; nothing was taken in.
        """
        values = self._one_frame("dff", dff)
        return self._step(lambda block, rois, *out: block.step(self.n_frames, values[rois], *out))

    def push_raw(self, fluorescence: ArrayLike | None, neuropil: ArrayLike | None = None) -> Values:
        """Take the raw fluorescence of one frame in: dF/F is made with a baseline that runs along.

        Parameters
        ----------
        fluorescence : array_like or None
            (n_rois,), in any unit; NaN: not measured. None: the frame is missing.
        neuropil : array_like, optional
            (n_rois,), in the same unit; left out: none is subtracted.

        Returns
        -------
        numpy.ndarray
            As ``push``.

        Raises
        ------
        InputError
            As ``push``.
        """
        values = self._one_frame("fluorescence", fluorescence)
        around = None if neuropil is None else self._one_frame("neuropil", neuropil)

        def step(block: Block, rois: slice, *out: Any) -> None:
            block.step_raw(self.n_frames, values[rois], None if around is None else around[rois], *out)

        return self._step(step)

    def add_rois(self, n_rois: int, *, noise_level: ArrayLike | None = None) -> range:
        """Add ROIs, whose first frame is the next one; returns their positions.

        Parameters
        ----------
        n_rois : int
            How many.
        noise_level : float or array_like, optional
            As for the first ones: given if theirs was, and not otherwise.
        """
        if not n_rois > 0:
            raise InputError(f"Expected at least one ROI, received {n_rois}.")
        if (noise_level is None) != self.follows_noise:
            asked = "a noise level" if noise_level is None else "no noise level, as the others have none"
            raise InputError(f"Expected {asked} for the ROIs that are added.")
        before = self.n_rois
        added = np.full(n_rois, np.nan, np.float32)
        if noise_level is not None:
            added[:] = _positive(noise_level, n_rois)
        self._noise_level = np.concatenate([self._noise_level, added])
        self._grow(before + n_rois)
        return range(before, before + n_rois)

    def save(self, path: str | PathLike[str]) -> None:
        """Write all that the next frames depend on, so that ``resume`` goes on as if nothing had happened."""
        record = {
            "imaging_rate": self.imaging_rate,
            "indicator": self.indicator,
            "look_ahead_s": self.look_ahead_s if self._several else self.look_ahead_s[0],
            "follows_noise": self.follows_noise,
            "options": asdict(self.options),
            "n_frames": self.n_frames,
            "model": self.model.config.name,
            "weights_sha256": self.model.sha256,
        }
        sizes = np.array([block.n_rois for block in self._blocks])
        own = {f"{number}/{name}": one for number, block in enumerate(self._blocks) for name, one, _ in block.arrays()}
        write_state(Path(path), record, {"noise_level": self._noise_level, "sizes": sizes, **own})

    @classmethod
    def resume(
        cls, path: str | PathLike[str], *, model: str | PathLike[str] | Model | None = None, n_threads: int = 1
    ) -> OnlineInference:
        """Go on from what ``save`` wrote.

        Parameters
        ----------
        path : path
            The file.
        model : str, path or Model, optional
            The model, if it is not installed under its name.
        n_threads : int
            As for a new one.

        Raises
        ------
        InputError
            If the file is no such state, or was written with other weights.
        """
        record, arrays = read_state(Path(path))
        loaded = model if isinstance(model, Model) else load_model(model or record["model"])
        if loaded.sha256 != record["weights_sha256"]:
            raise InputError(
                f"Expected the weights {record['weights_sha256'][:12]} that {path} was written with, received "
                f"{loaded.sha256[:12]} of {loaded.config.name}."
            )
        online = cls(
            0,
            record["imaging_rate"],
            indicator=record["indicator"],
            look_ahead_s=record["look_ahead_s"],
            noise_level=None if record["follows_noise"] else np.ones(0),
            model=loaded,
            options=replace(OnlineOptions(**record["options"]), n_threads=n_threads),
        )
        online._noise_level = arrays["noise_level"]
        online._grow(int(arrays["sizes"].sum()))
        for number, block in enumerate(online._blocks):
            block.take_over(of_number(arrays, number))
        online.n_frames = int(record["n_frames"])
        return online

    def _one_frame(self, name: str, values: ArrayLike | None) -> Values:
        """Check what was pushed."""
        if values is None:
            return np.full(self.n_rois, np.nan, np.float32)
        array = np.asarray(values, np.float32)
        if array.shape != (self.n_rois,):
            raise InputError(
                f"Expected {name} of shape ({self.n_rois},), one value per ROI, received {array.shape} at frame "
                f"{self.n_frames}; it was not taken in. For ROIs that are new call add_rois first."
            )
        return array

    def _step(self, step: Callable[..., None]) -> Values:
        bounds = np.cumsum([0, *(block.n_rois for block in self._blocks)])

        def one(number: int) -> None:
            rois = slice(int(bounds[number]), int(bounds[number + 1]))
            step(self._blocks[number], rois, self._rates[:, rois], self._reasons[:, rois])

        for _ in (self._pool.map if self._pool else map)(one, range(len(self._blocks))):
            pass
        self.n_frames += 1
        return self._rates if self._several else self._rates[0]

    def _grow(self, n_rois: int) -> None:
        """Have blocks for so many ROIs: the last one is filled up first."""
        wanted = [BLOCK_ROIS] * (n_rois // BLOCK_ROIS) + [n_rois % BLOCK_ROIS] * (n_rois % BLOCK_ROIS > 0)
        first = 0
        for number, size in enumerate(wanted):
            old = self._blocks[number] if number < len(self._blocks) else None
            if old is None or old.n_rois != size:
                told = None if self.follows_noise else self._noise_level[first : first + size]
                block = Block(self._method, size, told)
                if old is not None:
                    block.take_over({name: array for name, array, _ in old.arrays()})
                self._blocks[number : number + 1] = [block]
            first += size
        self._rates = np.full((len(self.look_ahead_frames), n_rois), np.nan, np.float32)
        self._reasons = np.ones(self._rates.shape, np.uint8)


def explained(reasons: Iterable[int]) -> Mapping[str, int]:
    """How many ROIs have no value, by the sentence that says why.

    Examples
    --------
    >>> explained([0, 2, 2])
    {'the frame that is told of was not measured': 2}
    """
    codes, counts = np.unique(np.asarray(list(reasons), np.uint8), return_counts=True)
    return {REASONS[int(code)]: int(n) for code, n in zip(codes, counts, strict=True) if code}


def _method(online: OnlineInference) -> Method:
    """What all ROIs share."""
    config, rate, options = online.model.config, online.imaging_rate, online.options
    _require(config, rate, options, online.look_ahead_s)
    sizes = with_near_codes(OnlineSizes.from_network(config.network))
    code = told_code(sizes, ONLINE.told(online.indicator, config, options.species).indicator)
    told_rate = float(np.clip(rate, *config.model_rates_hz))
    networks = []
    for member in range(options.n_networks):
        own = of_number(online.model.weights, member)
        networks.append(FrameWeights.make(sizes, own, code=all_codes(own[CODES])[code], imaging_rate=told_rate))
    delays = [sizes.delay(ahead, rate) for ahead in online.look_ahead_s]
    kernel = smoothing_kernel(options.kernel, options.smoothing_s, rate)
    smoothing = Smoothing.make(delays, kernel, sizes.delays[-1])
    noise_range = min(config.noise_levels), max(config.noise_levels)
    return Method(
        tuple(networks),
        tuple(NoiseSteps(one, *noise_range) for one in networks) if online.follows_noise else None,
        noise_range,
        smoothing,
        smoothing.turned(),
        rate,
        options.neuropil_factor,
    )


def _require(config: ModelConfig, imaging_rate: float, options: OnlineOptions, look_ahead_s: Sequence[float]) -> None:
    """Raise InputError unless a model can do what is asked."""
    if architecture_of(config) is not ONLINE:
        raise InputError(
            f"Expected a model of architecture {ONLINE.name}, received {config.name}, which is of architecture "
            f"{config.architecture} and needs the whole recording."
        )
    if rate_mismatch(config, imaging_rate) > RATE_TOLERANCE:
        raise InputError(
            f"Expected an imaging rate of {ranged(*config.model_rates_hz)} Hz, as {config.name} was trained for, "
            f"received {imaging_rate:g} Hz."
        )
    if not 1 <= options.n_networks <= config.ensemble_size:
        raise InputError(
            f"Expected 1 to {config.ensemble_size} networks of {config.name}, received {options.n_networks}."
        )
    if not look_ahead_s or not all(0 <= ahead < np.inf for ahead in look_ahead_s):
        raise InputError(f"Expected look-aheads of 0 s or more, received {look_ahead_s}.")


def _positive(noise_level: ArrayLike, n_rois: int) -> Values:
    levels = np.asarray(noise_level, np.float32)
    if levels.shape not in ((), (n_rois,)) or not np.all((levels > 0) & np.isfinite(levels)):
        raise InputError(
            f"Expected noise levels above 0 % Hz^-1/2, one or one per ROI ({n_rois}), received {noise_level!r:.60}."
        )
    return levels
