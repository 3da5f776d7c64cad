"""Trial, Remark and Cell: what every reader of ground truth returns and every writer takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

GAP_FACTOR = 1.5


@dataclass(frozen=True, eq=False)
class Trial:
    """One uninterrupted recording of one cell: imaging and spikes on one clock.

    Parameters
    ----------
    time_s : numpy.ndarray
        (n_frames,) float64, frame times in seconds, strictly ascending. The zero of the clock is the source's
        own (start of a file, onset of a stimulus); it may be negative.
    dff : numpy.ndarray
        (n_frames,) float32, dF/F as a fraction; NaN marks frames without a measurement.
    spike_times_s : numpy.ndarray
        (n_spikes,) float64, ascending, seconds on the clock of ``time_s``. Two equal times are two spikes
        (sources that were stored as counts per bin). Spikes before the first or after the last frame are
        kept.
    first_valid_frame : int
        Frames before this one were recorded (closed shutter, zero padding) but show no fluorescence.

    Raises
    ------
    ValueError
        If shapes, types or the order of times are not as stated.

    Examples
    --------
    >>> import numpy as np
    >>> trial = Trial(np.arange(4) / 10, np.zeros(4, np.float32), np.array([0.05, 0.35]))
    >>> trial.n_frames, trial.imaging_rate
    (4, 10.0)
    """

    time_s: NDArray[np.float64]
    dff: NDArray[np.float32]
    spike_times_s: NDArray[np.float64]
    first_valid_frame: int = 0

    def __post_init__(self) -> None:
        expected = {"time_s": np.float64, "dff": np.float32, "spike_times_s": np.float64}
        for name, dtype in expected.items():
            values = getattr(self, name)
            if values.ndim != 1 or values.dtype != dtype:
                raise ValueError(
                    f"Expected {name} as a vector of {np.dtype(dtype)}, received shape {values.shape} of "
                    f"{values.dtype}."
                )
        if self.time_s.size < 2 or self.time_s.shape != self.dff.shape:
            raise ValueError(
                f"Expected at least 2 frames with one time and one dF/F value each, received {self.time_s.size} times "
                f"and {self.dff.size} values."
            )
        if not (np.isfinite(self.time_s).all() and (np.diff(self.time_s) > 0).all()):
            raise ValueError("Expected finite, strictly ascending frame times; clean them in the reader.")
        if not (np.isfinite(self.spike_times_s).all() and (np.diff(self.spike_times_s) >= 0).all()):
            raise ValueError("Expected finite, ascending spike times; clean them in the reader.")
        if not 0 <= self.first_valid_frame < self.time_s.size - 1:
            raise ValueError(
                f"Expected first_valid_frame to leave at least 2 of {self.time_s.size} frames, received "
                f"{self.first_valid_frame}."
            )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.time_s.size)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame, s."""
        return float(self.time_s[-1] - self.time_s[0])

    @property
    def imaging_rate(self) -> float:
        """Frames per second: one over the mean interval between neighbouring frames, gaps left out."""
        intervals = np.diff(self.time_s)
        regular = intervals[intervals < GAP_FACTOR * np.median(intervals)]
        if regular.size == intervals.size:
            return (self.n_frames - 1) / self.duration_s
        return float(1.0 / max(regular.mean(), np.finfo(float).tiny))

    def valid(self) -> Trial:
        """Return the trial from its first valid frame on; all spikes are kept."""
        first = self.first_valid_frame
        return replace(self, time_s=self.time_s[first:], dff=self.dff[first:], first_valid_frame=0)

    def n_spikes_imaged(self) -> int:
        """Count the spikes in the imaged time, which reaches half an interval beyond its outer frames."""
        half = 0.5 / self.imaging_rate
        inside = (self.spike_times_s >= self.time_s[0] - half) & (self.spike_times_s <= self.time_s[-1] + half)
        return int(np.count_nonzero(inside))


@dataclass(frozen=True)
class Remark:
    """Something about a source that a user of the data should know, or something that was left out.

    Parameters
    ----------
    code : str
        Short name by which remarks are counted, e.g. ``"frames-without-time"``.
    text : str
        One sentence.
    trial : int or None
        Position of the trial in the source; None for the whole file.
    count : int
        How many frames, spikes or trials it concerns.
    """

    code: str
    text: str
    trial: int | None = None
    count: int = 1


@dataclass(frozen=True, eq=False)
class Cell:
    """All trials of one recorded cell, with its origin.

    Parameters
    ----------
    dataset : str
        Identifier of the data set in the catalogue, e.g. ``"DS30"``.
    cell_id : str
        Name of the cell, unique within its data set; letters, digits and hyphens.
    animal_id : str
        Name of the animal, the same in every data set that shares it; where the source does not tell, a name
        made from the data set and the cell, and ``animal_basis`` is ``"unknown"``.
    animal_basis : str
        How the animal is known, e.g. ``"six digits in the file name"``, or ``"unknown"``.
    indicator : str
        Calcium indicator in the catalogue's spelling, or ``"unknown"``.
    trials : tuple of Trial
        In the order of the source; ``trial_numbers`` holds their positions there.
    dropped, notes : tuple of Remark
        What was left out, and what was kept although it is unusual.
    cell_type, species, region, subject_age : str or None
        As the source says it; None where it does not, then the catalogue's fact about the data set counts.
    session_date : datetime.date or None
        Day of the recording, where the source tells.
    spike_resolution_s : float
        Smallest difference of two spike times that the source can tell, s.
    source_file, source_sha256 : str
        Name and SHA-256 of the file that was read (of the files, one after the other, where they come as a
        pair); empty for simulated cells.
    cells_in_source : int
        How many cells that source holds.
    """

    dataset: str
    cell_id: str
    animal_id: str
    indicator: str
    trials: tuple[Trial, ...]
    trial_numbers: tuple[int, ...] = ()
    animal_basis: str = "unknown"
    cell_type: str | None = None
    species: str | None = None
    region: str | None = None
    subject_age: str | None = None
    session_date: date | None = None
    spike_resolution_s: float = 1e-4
    dropped: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()
    source_file: str = ""
    source_sha256: str = ""
    cells_in_source: int = 1

    def __post_init__(self) -> None:
        if not self.trial_numbers:
            object.__setattr__(self, "trial_numbers", tuple(range(len(self.trials))))
        if len(self.trial_numbers) != len(self.trials):
            raise ValueError(
                f"Expected one trial number for each of {len(self.trials)} trials, received {len(self.trial_numbers)}."
            )

    @property
    def name(self) -> str:
        """Data set and cell, unique over the whole ground truth."""
        return f"{self.dataset}-{self.cell_id}"

    @property
    def n_spikes(self) -> int:
        """Number of spikes in all trials, those outside the imaged time included."""
        return sum(trial.spike_times_s.size for trial in self.trials)

    @property
    def duration_s(self) -> float:
        """Imaged time of all trials, s."""
        return sum(trial.duration_s for trial in self.trials)

    def remarks(self) -> Iterator[Remark]:
        """Yield what was dropped, then what is unusual."""
        yield from self.dropped
        yield from self.notes
