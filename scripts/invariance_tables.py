"""Make the tables of docs/counts.md on what must not change a count: rest level, raw fluorescence, silence.

    python -m scripts.invariance_tables --ground-truth ../shared/ground_truth --output /somewhere [--only rest,raw]

Each part is a Markdown table, written when it is done; a part whose file is there is not computed again. Ground truth
is judged by networks that never saw the animal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.simulate import simulate_population
from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.resampling import frame_grid
from nwb_cascade.core.rest_level import tell_block
from nwb_cascade.core.screening import NO_ACTIVITY
from nwb_cascade.dff import DffMethod, compute_dff
from nwb_cascade.evaluation.assessment import MIN_FRAMES, Case, Condition, Estimator, make_case
from nwb_cascade.evaluation.count_fit import known_counts, known_spikes
from nwb_cascade.evaluation.evaluation_run import held_out_estimator
from nwb_cascade.models.bundle import Model
from nwb_cascade.models.library import load_model
from nwb_cascade.training.recordings import KnownRecording, load_recordings
from scripts.measuring import markdown_table, options_of

Trace = NDArray[np.float32]
Row = tuple[str, ...]
DATASETS = ("DS10", "DS11", "DS13", "DS30", "DS31", "DS32")
SIMULATED = ("GCaMP6f", "GCaMP6s", "jGCaMP8f", "jGCaMP8m", "jGCaMP8s", "OGB-1")
CONSTANTS, FACTORS, DRIFT = (-0.2, 0.1, 0.2, 0.3), (0.75, 0.9, 1.1, 1.25), 0.3
NOISE_LEVELS = (1.0, 2.0, 5.0, 9.0)
QUIET_S, LEAST_QUIET = 60.0, 5
STATED = (0.0, 0.2, 0.4, 0.8, 1.6, np.inf)  # spikes in 1 s
FALSE_SHARES = (0.01, 0.02, 0.05, 0.1)


def rest_rows(model: Model, recordings: Sequence[KnownRecording]) -> Iterator[Row]:
    """Counts under another baseline convention, as a share of those under the recording's own; medians over cells."""
    yield ("dataset", *(f"{c:+g}" for c in CONSTANTS), *(f"F0 / {f:g}" for f in FACTORS), f"drift {DRIFT:.0%}")
    changes: list[Callable[[Trace], Trace]] = [lambda x, c=c: x + c for c in CONSTANTS]  # type: ignore[misc]
    changes += [lambda x, f=f: f * (1 + x) - 1 for f in FACTORS]  # type: ignore[misc]
    changes.append(lambda x: np.linspace(1 - DRIFT / 2, 1 + DRIFT / 2, x.size, dtype=np.float32) * (1 + x) - 1)
    estimate = held_out_estimator(model.config, model.weights, "animal")
    for dataset in DATASETS:
        made = [make_case(one, Condition(30.0, 2.0)) for one in recordings if one.dataset == dataset]
        cases = [case for case in made if isinstance(case, Case)]
        before = _totals(estimate, cases)
        yield (dataset, *(f"{np.median(_totals(estimate, _changed(cases, how)) / before):.2f}" for how in changes))


def raw_rows(model: Model) -> Iterator[Row]:
    """Counts of simulated cells from raw fluorescence, as a share of those from the dF/F that it was made from."""
    yield (
        "indicator",
        *(f"ν {level:g}" for level in NOISE_LEVELS),
        *(f"8 %, ν {level:g}" for level in NOISE_LEVELS[1:3]),
    )
    low = DffMethod(neuropil="none", baseline="percentile", window_s=60.0)
    for indicator in SIMULATED:
        found = [_from_raw(model, indicator, level, DffMethod(neuropil="none")) for level in NOISE_LEVELS]
        found += [_from_raw(model, indicator, level, low) for level in NOISE_LEVELS[1:3]]
        yield (indicator, *(f"{one:.2f}" for one in found))


def noise_rows(model: Model) -> Iterator[Row]:
    """Spikes per second that are stated of white noise."""
    yield ("told", *(f"ν {level:g}" for level in NOISE_LEVELS))
    rng = np.random.default_rng(0)
    for indicator in (None, *model.config.indicators):
        networks = build_networks(model.config, model.weights, imaging_rate=30.0, indicator=indicator)
        rates = []
        for level in NOISE_LEVELS:
            noise = (noise_std(level, 30.0) * rng.standard_normal((12, 5400))).astype(np.float32)
            rates.append(30 * float(np.maximum(infer_block(noise, 30.0, networks).expected_spikes, 0).mean()))
        yield (indicator or "nothing", *(f"{rate:.3f}" for rate in rates))


def quiet_rows(model: Model, recordings: Sequence[KnownRecording]) -> Iterator[Row]:
    """Minutes of excitatory cells in which nothing differs from noise, and what was fired in them."""
    yield ("indicator", "ν", "minutes", "that look like noise", "spikes/s in these, mean", "median")
    n_frames = round(30.0 * QUIET_S)
    for level in NOISE_LEVELS[2:]:
        rates: dict[str, list[tuple[bool, float]]] = {}
        for recording in recordings:
            case = make_case(recording, Condition(30.0, level))
            if isinstance(case, Case) and recording.own_code == recording.told:
                for spikes, trace in zip(known_spikes(case), case.traces, strict=True):
                    parts = trace[: trace.size // n_frames * n_frames].reshape(-1, n_frames)
                    fired = spikes[: parts.size].reshape(parts.shape).sum(axis=1) / QUIET_S
                    is_quiet = tell_block(parts, 30.0).activity < NO_ACTIVITY
                    rates.setdefault(recording.told, []).extend(zip(is_quiet.tolist(), fired.tolist(), strict=True))
        for indicator, found in sorted(rates.items()):
            quiet = [rate for is_quiet, rate in found if is_quiet]
            if len(quiet) >= LEAST_QUIET:
                numbers = (f"{np.mean(quiet):.2f}", f"{np.median(quiet):.2f}")
                yield (indicator, f"{level:g}", str(len(found)), str(len(quiet)), *numbers)


def stated_rows(model: Model, recordings: Sequence[KnownRecording]) -> Iterator[Row]:
    """Mean number of spikes in 1 s windows by what is stated of them."""
    yield ("dataset", *(f"{low:g} to {high:g}" for low, high in pairwise(STATED)))
    for dataset in ("DS07", *DATASETS):
        own = [one for one in recordings if one.dataset == dataset]
        cells = [cell for (cell,) in known_counts(model.config, model.weights, own, Condition(30.0, 4.0), (1.0,))]
        stated, true = (np.concatenate([getattr(cell, name) for cell in cells]) for name in ("expected", "counts"))
        group = np.digitize(stated, STATED[1:-1])
        yield (dataset, *(f"{true[group == one].mean():.2f}" for one in range(len(STATED) - 1)))


def isolated_rows(model: Model, recordings: Sequence[KnownRecording]) -> Iterator[Row]:
    """Isolated spikes that are found at a given share of false windows in silence, over all cells of a dataset."""
    yield ("dataset", "spikes", *(f"{share:.0%} false" for share in FALSE_SHARES))
    estimate = held_out_estimator(model.config, model.weights, "animal")
    for dataset in DATASETS:
        made = [make_case(one, Condition(30.0, 4.0)) for one in recordings if one.dataset == dataset]
        cases = [case for case in made if isinstance(case, Case)]
        found, silent = zip(
            *(_windows(case, trials) for case, trials in zip(cases, estimate(cases), strict=True)), strict=True
        )
        seen, false = np.concatenate(found), np.concatenate(silent)
        recall = (np.mean(seen > np.quantile(false, 1 - share)) for share in FALSE_SHARES)
        yield (dataset, str(seen.size), *(f"{one:.2f}" for one in recall))


def _windows(case: Case, trials: Sequence[Trace]) -> tuple[Trace, Trace]:
    """Expected spikes in 0.4 s around each isolated spike (no other within 1 s), and in silence (3 s from any)."""
    rate = case.condition.imaging_rate
    seen: list[Trace] = []
    silent: list[Trace] = []
    known = [t for t in case.recording.trials if frame_grid(t.times[0], t.times[-1], rate).size >= MIN_FRAMES]
    for trial, values in zip(known, trials, strict=True):
        spikes = np.sort((trial.spike_times - trial.times[0]) * rate)
        sums = np.concatenate([[0], np.cumsum(np.nan_to_num(values))])
        gaps = np.diff(np.concatenate([[-np.inf], spikes, [np.inf]]))
        alone = spikes[(np.minimum(gaps[:-1], gaps[1:]) > rate) & (spikes > rate) & (spikes < values.size - rate)]
        frames = np.arange(0, values.size, round(0.4 * rate))
        after = np.searchsorted(spikes, frames)
        beside = np.concatenate([[-np.inf], spikes, [np.inf]])
        quiet = np.minimum(frames - beside[after], beside[after + 1] - frames) > 3 * rate
        for into, centres in ((seen, np.rint(alone).astype(int)), (silent, frames[quiet])):
            ends = (np.clip(centres + round(offset * rate), 0, values.size) for offset in (0.3, -0.1))
            into.append(np.subtract(*(sums[end] for end in ends)))
    return np.concatenate(seen), np.concatenate(silent)


def _from_raw(model: Model, indicator: str, level: float, method: DffMethod) -> float:
    rng = np.random.default_rng(0)
    dff, _ = simulate_population(
        rng, 16, indicator=indicator, imaging_rate=30.0, duration_s=240.0, firing_rate_hz=0.5, noise_level=level
    )
    raw = compute_dff(500 * (1 + dff), 30.0, method).dff
    networks = build_networks(model.config, model.weights, imaging_rate=30.0, indicator=indicator)
    counts = [np.maximum(infer_block(x, 30.0, networks).expected_spikes, 0).sum() for x in (raw, dff)]
    return float(counts[0] / counts[1])


def _changed(cases: Sequence[Case], how: Callable[[Trace], Trace]) -> list[Case]:
    return [replace(case, traces=tuple(how(trace) for trace in case.traces)) for case in cases]


def _totals(estimate: Estimator, cases: Sequence[Case]) -> NDArray[np.float64]:
    return np.array([sum(float(np.nansum(trial)) for trial in trials) for trials in estimate(cases)])


def main() -> None:
    """Make the tables that are not there yet."""
    parser = options_of(__doc__)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", default="rest,raw,noise,quiet,stated,isolated")
    parser.add_argument("--model", default="conditional-1-120Hz", help="name or folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model = load_model(arguments.model)
    parts: dict[str, Callable[[], Any]] = {
        "rest": lambda: rest_rows(model, load_recordings(arguments.ground_truth, DATASETS)),
        "raw": lambda: raw_rows(model),
        "noise": lambda: noise_rows(model),
        "quiet": lambda: quiet_rows(model, load_recordings(arguments.ground_truth)),
        "stated": lambda: stated_rows(model, load_recordings(arguments.ground_truth, ("DS07", *DATASETS))),
        "isolated": lambda: isolated_rows(model, load_recordings(arguments.ground_truth, DATASETS)),
    }
    for part in arguments.only.split(","):
        path = arguments.output / f"{part}.md"
        if not path.exists():
            heading, *rows = parts[part]()
            path.write_text(markdown_table(heading, rows), encoding="utf-8")
        print(part, path.read_text(encoding="utf-8"), sep="\n", flush=True)


if __name__ == "__main__":
    main()
