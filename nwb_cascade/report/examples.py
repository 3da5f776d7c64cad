"""What a spike looks like at the quality of a recording: ground truth at its imaging rate and its noise levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.indicators import canonical_indicator
from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.resampling import add_noise, frame_grid, resample_trace
from nwb_cascade.core.wording import rounded
from nwb_cascade.errors import InputError

if TYPE_CHECKING:
    from ground_truth_nwb.cells import Cell, Trial

N_CELLS = 3
MOST_FILES_READ = 60
EXCERPT_S = 20.0
FEWEST_FRAMES = 60
WANTED_SPIKES = 10
SIMULATED_INDICATOR = "GCaMP6f"
SIMULATED_NOISE_LEVEL = 0.5
FASTER = 0.95  # a cell recorded at this share of the wanted rate still has its frames


@dataclass(frozen=True, eq=False)
class Panel:
    """An excerpt of one cell at one noise level.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_frames,) float32, dF/F as a fraction.
    spike_times_s : numpy.ndarray
        (n_spikes,) float64, s after the first frame.
    """

    dff: NDArray[np.float32]
    spike_times_s: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ExampleCell:
    """One cell of the ground truth: its name, and a panel per noise level (None: the cell itself is noisier)."""

    name: str
    panels: tuple[Panel | None, ...]


@dataclass(frozen=True, eq=False)
class Examples:
    """Excerpts of ground truth at several noise levels.

    Parameters
    ----------
    source : str
        Where the cells come from, in a sentence.
    noise_levels : tuple of float
        % Hz^-1/2, one per column.
    imaging_rate : float
        Hz.
    cells : tuple of ExampleCell
        One per row.
    """

    source: str
    noise_levels: tuple[float, ...]
    imaging_rate: float
    cells: tuple[ExampleCell, ...]


def spike_examples(
    noise_levels: Sequence[float],
    imaging_rate: float,
    indicator: str | None,
    *,
    folder: Path | None = None,
) -> Examples:
    """Resample ground truth to an imaging rate and some noise levels.

    Parameters
    ----------
    noise_levels : sequence of float
        % Hz^-1/2.
    imaging_rate : float
        Hz.
    indicator : str or None
        Of the recording, in any spelling; cells of the same one are taken where there are any.
    folder : pathlib.Path, optional
        Ground truth as NWB, written by ``nwb-cascade ground-truth convert`` or ``simulate``. Without it cells are
        simulated.

    Raises
    ------
    InputError
        If the folder holds no ground truth that is recorded fast enough.
    """
    rng = np.random.default_rng(0)
    wanted = canonical_indicator(indicator)
    if folder is None:
        cells, source = _simulated(wanted, imaging_rate, rng)
    else:
        cells, source = _recorded(folder, wanted, imaging_rate)
    return Examples(
        source,
        tuple(float(level) for level in noise_levels),
        imaging_rate,
        tuple(_example(cell, noise_levels, imaging_rate, rng) for cell in cells),
    )


def typical_noise_levels(noise_levels: NDArray[np.float32]) -> tuple[float, ...]:
    """10th, 50th and 90th percentile of the known noise levels, without repetition; empty if none is known."""
    known = noise_levels[np.isfinite(noise_levels) & (noise_levels > 0)]
    if not known.size:
        return ()
    return tuple(dict.fromkeys(float(f"{level:.3g}") for level in np.percentile(known, (10, 50, 90))))


def _simulated(wanted: str | None, imaging_rate: float, rng: np.random.Generator) -> tuple[list[Cell], str]:
    """Cells of the simulator, of the indicator if it knows its kinetics."""
    from ground_truth_nwb.indicators import KINETICS
    from ground_truth_nwb.simulate import simulate_cell

    indicator = wanted if wanted in KINETICS else SIMULATED_INDICATOR
    cells = [
        simulate_cell(
            rng,
            indicator=indicator,
            imaging_rate=max(60.0, 2 * imaging_rate),
            duration_s=6 * _excerpt_s(imaging_rate),
            firing_rate_hz=WANTED_SPIKES / EXCERPT_S,
            noise_level=SIMULATED_NOISE_LEVEL,
            cell_id=str(number + 1),
        )
        for number in range(N_CELLS)
    ]
    why = "" if indicator == wanted else f" The kinetics of this recording's indicator ({wanted or 'unknown'}) are not."
    return cells, f"Simulated cells, not recordings; the kinetics of {indicator} are known to the simulator.{why}"


def _recorded(folder: Path, wanted: str | None, imaging_rate: float) -> tuple[list[Cell], str]:
    """Cells of a folder, of the wanted indicator first."""
    if not folder.is_dir():
        raise InputError(f"Expected a folder of ground truth as NWB, received {folder}, which is no folder.")
    same: list[Cell] = []
    others: list[Cell] = []
    for cell in _cells_of(folder):
        if max(trial.imaging_rate for trial in cell.trials) < FASTER * imaging_rate:
            continue
        (same if wanted and canonical_indicator(cell.indicator) == wanted else others).append(cell)
        if len(same) == N_CELLS:
            break
    cells = (same or others)[:N_CELLS]
    if not cells:
        raise InputError(
            f"Expected ground truth as NWB, recorded at {imaging_rate:g} Hz or faster, in {folder}; found none. "
            "Convert some: nwb-cascade ground-truth convert SOURCE TARGET."
        )
    shown = ", ".join(sorted({cell.indicator for cell in cells}))
    why = "" if same else f" None of this recording's indicator ({wanted or 'unknown'}) is there."
    return cells, f"Recorded cells ({shown}) of {folder.name}, with spikes from electrodes.{why}"


def _cells_of(folder: Path) -> Iterator[Cell]:
    """Cells of a folder's NWB files, evenly picked where there are many; files of other kinds are passed over."""
    from ground_truth_nwb.nwb_read import read_nwb_cell

    paths = sorted(folder.rglob("*.nwb"))
    for path in paths[:: max(1, -(-len(paths) // MOST_FILES_READ))]:
        try:
            cell = read_nwb_cell(path)
        except (ValueError, OSError):
            continue
        if cell.n_spikes:
            yield cell


def _example(cell: Cell, noise_levels: Sequence[float], imaging_rate: float, rng: np.random.Generator) -> ExampleCell:
    """The most telling excerpt of a cell at each noise level."""
    trial = max(cell.trials, key=lambda one: (one.imaging_rate >= FASTER * imaging_rate, one.duration_s)).valid()
    start = _excerpt_start(trial, _excerpt_s(imaging_rate))
    frame_times = frame_grid(start, min(start + _excerpt_s(imaging_rate), float(trial.time_s[-1])), imaging_rate)
    dff = resample_trace(trial.dff, trial.time_s, frame_times, imaging_rate)
    shown = trial.spike_times_s[(trial.spike_times_s >= frame_times[0]) & (trial.spike_times_s <= frame_times[-1])]
    own = float(noise_level(dff[None], imaging_rate)[0])
    name = f"{cell.name} ({cell.indicator}, {rounded(trial.imaging_rate, 3)} Hz, ν = {rounded(own, 2)})"
    return ExampleCell(
        name, tuple(_panel(dff, shown - frame_times[0], imaging_rate, level, rng) for level in noise_levels)
    )


def _panel(
    dff: NDArray[np.float32],
    spike_times_s: NDArray[np.float64],
    imaging_rate: float,
    level: float,
    rng: np.random.Generator,
) -> Panel | None:
    """An excerpt with noise added; None if it is noisier already."""
    try:
        return Panel(add_noise(dff, imaging_rate, level, rng), spike_times_s)
    except ValueError:
        return None


def _excerpt_s(imaging_rate: float) -> float:
    """Length of an excerpt, s: long enough for some frames at low rates."""
    return max(EXCERPT_S, FEWEST_FRAMES / imaging_rate)


def _excerpt_start(trial: Trial, length_s: float) -> float:
    """Start of the excerpt whose number of spikes is nearest to what shows single spikes and bursts."""
    last = max(float(trial.time_s[0]), float(trial.time_s[-1]) - length_s)
    starts = np.arange(float(trial.time_s[0]), last + 1e-9, length_s / 4)
    counts = [np.count_nonzero((trial.spike_times_s >= s) & (trial.spike_times_s < s + length_s)) for s in starts]
    return float(starts[int(np.argmin(np.abs(np.array(counts) - WANTED_SPIKES)))])
