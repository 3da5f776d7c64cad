"""Ground truth as training and evaluation read it: one object per cell, whatever the files were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.indicators import indicator_code_name, is_of_interneurons
from nwb_cascade.core.progress import Progress

if TYPE_CHECKING:
    from ground_truth_nwb.cells import Cell


@dataclass(frozen=True, eq=False)
class KnownTrial:
    """One stretch of imaging with its spikes, on one clock.

    ``times`` (n_frames,) float64, s, strictly increasing; ``dff`` (n_frames,) float32, a fraction, NaN: not measured;
    ``spike_times`` (n_spikes,) float64, s.
    """

    times: NDArray[np.float64]
    dff: NDArray[np.float32]
    spike_times: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame, s."""
        return float(self.times[-1] - self.times[0])

    @property
    def imaging_rate(self) -> float:
        """Rate at which it was recorded, Hz: one over the median interval between frames."""
        return float(1.0 / np.median(np.diff(self.times)))

    @property
    def n_spikes(self) -> int:
        """Spikes between the first and the last frame."""
        inside = (self.spike_times >= self.times[0]) & (self.spike_times <= self.times[-1])
        return int(inside.sum())


@dataclass(frozen=True, eq=False)
class KnownRecording:
    """One cell with ground truth: where it comes from and its trials.

    ``species`` is a Latin name, ``cell_type`` in the words of the publication; empty if not known.
    """

    dataset: str
    cell: str
    animal: str
    indicator: str
    trials: tuple[KnownTrial, ...]
    sha256: str = ""
    species: str = ""
    cell_type: str = ""

    @property
    def indicator_codes(self) -> tuple[str, ...]:
        """Names under which a conditional network meets this cell, drawn evenly.

        Interneurons have a name of their own, since one spike moves their fluorescence less; because users rarely
        know the cell type, they are also met under the plain name, which comes first.
        """
        told = indicator_code_name(self.indicator, self.species)
        own = indicator_code_name(self.indicator, of_interneurons=True)
        return (told, own) if is_of_interneurons(self.cell_type) else (told,)

    @property
    def told(self) -> str:
        """What networks are told of the indicator by those who do not know the kind of cell."""
        return self.indicator_codes[0]

    @property
    def own_code(self) -> str:
        """What networks are told of the indicator by those who do."""
        return self.indicator_codes[-1]

    @property
    def spike_rate(self) -> float:
        """Spikes per second over all trials, Hz."""
        return sum(t.n_spikes for t in self.trials) / max(sum(t.duration_s for t in self.trials), 1e-9)


def taught_codes(recordings: Iterable[KnownRecording]) -> tuple[str, ...]:
    """Names that recordings teach a network, sorted: a plain one needs two animals of the plain kind.

    Interneurons alone would teach it their amplitude, and everybody who tells that indicator would get their counts.
    Where all recordings are of one animal, that teaches its own.
    """
    recordings = list(recordings)
    needed = min(2, len({recording.animal for recording in recordings}))
    animals: dict[str, set[str]] = {}
    for recording in recordings:
        *plain, own = recording.indicator_codes
        animals.setdefault(own, set()).add(recording.animal)
        for name in plain:
            animals.setdefault(name, set())
    return tuple(
        sorted(name for name, met in animals.items() if len(met) >= (1 if "(interneuron)" in name else needed))
    )


def load_recordings(
    folder: Path, datasets: Sequence[str] = (), *, progress: Progress | None = None
) -> list[KnownRecording]:
    """Read all cells with known spikes below a folder, whatever layout ``ground_truth_nwb`` reads.

    Parameters
    ----------
    folder : pathlib.Path
        Holds NWB files made by ``nwb-cascade ground-truth convert``, Cascade's MATLAB files or other sources.
    datasets : sequence of str
        Read only these (``"DS30"``); empty: all.
    progress : callable, optional
        Called as ``progress(done, total)`` after each file.

    Raises
    ------
    LookupError
        If there is no such file, or a dataset has none.
    ValueError
        If a file is no ground truth; the message names it.
    """
    from ground_truth_nwb.source_files import find_sources

    sources = find_sources(Path(folder))
    recordings: list[KnownRecording] = []
    for done, source in enumerate(sources, start=1):
        # A MATLAB file's dataset is its folder's name, which spares reading those that are not wanted.
        if not datasets or source.layout != "cascade-mat" or source.path.parent.name.split("-")[0] in datasets:
            cells = [cell for cell in source.read() if not datasets or cell.dataset in datasets]
            recordings += [recording_from_cell(cell) for cell in cells]
        if progress is not None:
            progress(done, len(sources))
    if lacking := sorted(set(datasets) - {recording.dataset for recording in recordings}):
        raise LookupError(f"Expected the datasets {', '.join(lacking)} below {folder}, found no file of them.")
    return recordings


def recording_from_cell(cell: Cell) -> KnownRecording:
    """Take over a cell; species and cell type come from the catalogue where it knows the dataset."""
    from ground_truth_nwb.catalogue import load_catalogue

    known = next((dataset for dataset in load_catalogue().datasets if dataset.id == cell.dataset), None)
    whole = [trial.valid() for trial in cell.trials]
    return KnownRecording(
        dataset=cell.dataset,
        cell=cell.cell_id,
        animal=cell.animal_id,
        indicator=cell.indicator,
        trials=tuple(KnownTrial(trial.time_s, trial.dff, trial.spike_times_s) for trial in whole),
        sha256=cell.source_sha256,
        species=(known.species if known else None) or "",
        cell_type=cell.cell_type or (known.cell_type if known else None) or "",
    )


def dataset_hashes(recordings: Iterable[KnownRecording]) -> dict[str, str]:
    """One SHA-256 per dataset over the hashes of its files in the order of their cells, for a model's record."""
    digests: dict[str, list[str]] = {}
    for recording in sorted(recordings, key=lambda r: (r.dataset, r.cell)):
        digests.setdefault(recording.dataset, []).append(recording.sha256)
    return {name: hashlib.sha256("".join(parts).encode()).hexdigest() for name, parts in digests.items()}
