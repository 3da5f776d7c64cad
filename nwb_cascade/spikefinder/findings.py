"""What a run found: all that its tables, pictures and page show, computed before any of them is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nwb_cascade.spikefinder.calibrated import ExpectedSpikes
from nwb_cascade.spikefinder.experiments import Sets
from nwb_cascade.spikefinder.neurons import Neuron
from nwb_cascade.spikefinder.results import Explained, Score, Summary
from nwb_cascade.spikefinder.settings import RunSettings
from nwb_cascade.spikefinder.stages import Arrays
from nwb_cascade.spikefinder.windows import Split


@dataclass(frozen=True, eq=False)
class Repetition:
    """Data of one seed: neurons (their spikes moved, if asked for), the split, and expected spikes if inferred."""

    seed: int
    neurons: tuple[Neuron, ...]
    split: Split
    lags_s: Mapping[str, float]
    expected: Mapping[str, ExpectedSpikes]
    shifts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Findings:
    """Scores of all repetitions; data and results of the first one, at the first size of window, for pictures.

    Parameters
    ----------
    settings : RunSettings
        Of the run.
    data_sha256 : str
        Of traces and spike counts.
    neurons : tuple of Neuron
        As they were read.
    scores, summaries : tuple
        Of every repetition, and over them.
    explained : tuple of Explained
        Variance per principal component, mean over repetitions.
    first : Repetition
        Data of the first repetition.
    sets : Sets
        Its windows.
    classified, encoded : dict of arrays
        What classifier and autoencoder gave on them.
    tutorial : dict of arrays or None
        The tutorial's recipe, if it was run.
    inferred : mapping of str to dict of arrays
        Scores of spike inference, by method.
    toy : dict of arrays
        The one-hot toy.
    """

    settings: RunSettings
    data_sha256: str
    neurons: tuple[Neuron, ...]
    scores: tuple[Score, ...]
    summaries: tuple[Summary, ...]
    explained: tuple[Explained, ...]
    first: Repetition
    sets: Sets
    classified: Arrays
    encoded: Arrays
    tutorial: Arrays | None
    inferred: Mapping[str, Arrays]
    toy: Arrays
