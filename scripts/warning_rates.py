"""How often each warning about traces speaks on the published ground truth.

    python -m scripts.warning_rates ../shared/ground_truth

Every trial is screened as `nwb-cascade infer` does it, at its own rate. A trial may well have what a warning says; as
nobody labelled it, each warning counts as a false alarm. Warnings of populations are counted on made-up recordings:
all trials of a data set with one rate, each cut to one length from a random frame on, so that ROIs share nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.population import Population
from nwb_cascade.core.screening import screen_trace
from nwb_cascade.models.library import load_model
from nwb_cascade.training.recordings import KnownRecording, load_recordings
from scripts.measuring import markdown_table, options_of

SECONDS = 75.0  # of a trial in a made-up recording
MODEL = "conditional-1-120Hz"  # whose noise levels count as trained


def main() -> None:
    """Print a table of rates per warning."""
    parser = options_of(__doc__)
    parser.add_argument("ground_truth", type=Path, help="Folder of ground truth, as published or converted.")
    parser.add_argument("--show", metavar="CODE", help="Name the trials that have one warning.")
    asked = parser.parse_args()
    recordings = load_recordings(asked.ground_truth)
    config = load_model(MODEL).config
    noise_range = (architecture_of(config).lowest_noise_level(config), max(config.noise_levels))
    trials = [(one, number, code) for one in recordings for number, code in _of_trials(one, noise_range)]
    n_trials = sum(len(one.trials) for one in recordings)
    for one, number, code in trials:
        if code == asked.show:
            print(f"{one.dataset} {one.cell}, trial {number}")
    print(_table([(one.dataset, code) for one, _, code in trials], n_trials, "trials"))
    made_up, n_rois = _of_populations(recordings)
    print(_table(made_up, n_rois, "ROIs"))


def _of_trials(recording: KnownRecording, noise_range: tuple[float, float]) -> Iterator[tuple[int, str]]:
    """Yield the warnings of every trial of a cell."""
    for number, trial in enumerate(recording.trials):
        level = float(noise_level(trial.dff[None], trial.imaging_rate)[0])
        found = screen_trace(
            trial.dff,
            trial.imaging_rate,
            noise_level=level,
            noise_range=noise_range,
            indicator=recording.indicator,
        )
        yield from ((number, code) for code in dict.fromkeys(code for code, _ in found))


def _of_populations(recordings: Sequence[KnownRecording]) -> tuple[list[tuple[str, str]], int]:
    """Return the warnings (data set, code) of made-up recordings, and how many ROIs these have."""
    rng = np.random.default_rng(0)
    together: dict[tuple[str, int], list[NDArray[np.float32]]] = defaultdict(list)
    for one in recordings:
        for trial in one.trials:
            n_frames = round(SECONDS * trial.imaging_rate)
            if trial.dff.size >= n_frames:
                start = int(rng.integers(trial.dff.size - n_frames + 1))
                together[one.dataset, round(trial.imaging_rate)].append(trial.dff[start : start + n_frames])
    found, n_rois = [], 0
    for (dataset, rate), traces in together.items():
        n_frames = min(trace.size for trace in traces)
        population = Population(n_frames, float(rate))
        population.add(0, np.stack([trace[:n_frames] for trace in traces]))
        found += [(dataset, warning.code) for warning in population.warnings()]
        n_rois += len(traces)
    return found, n_rois


def _table(found: Sequence[tuple[str, str]], total: int, what: str) -> str:
    """A row per warning, the most frequent first."""
    rows = []
    for code, count in Counter(code for _, code in found).most_common():
        where = Counter(dataset for dataset, one in found if one == code).most_common(4)
        rows.append((f"`{code}`", count, f"{100 * count / total:.2f} %", ", ".join(f"{name} {n}" for name, n in where)))
    return markdown_table(("warning", f"of {total} {what}", "share", "data sets"), rows or [("none", 0, "0.00 %", "")])


if __name__ == "__main__":
    main()
