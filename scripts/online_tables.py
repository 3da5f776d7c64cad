"""Look-ahead against correlation and bias, of an online model on cells that its networks never saw: docs/online.md.

    python -m scripts.online_tables --ground-truth ../shared/ground_truth --model FOLDER [--noise 2,4,8] [--cut]

FOLDER holds networks that left out a fold each: ``python -m scripts.train_bundled_models … online-folds``. Every one is
judged on its fold, beside the conditional model's network of the same fold, which sees the whole trace. Medians over
cells by indicator; bias in brackets. ``--cut`` judges the conditional networks alone, on the first 50 s of a few cells,
with and without what comes later than 100 ms: what is lost by not waiting, whatever the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.engine import Ensemble, NetworkSet
from nwb_cascade.evaluation.assessment import Case, Condition, Estimator, Result, assess, evaluate, make_case
from nwb_cascade.evaluation.estimators import model_estimator
from nwb_cascade.evaluation.evaluation_run import held_out_estimator
from nwb_cascade.evaluation.online_estimator import online_estimator
from nwb_cascade.models.bundle import Model, make_model
from nwb_cascade.models.library import load_model
from nwb_cascade.training.conditional_bundle import take_members
from nwb_cascade.training.folds import fold_of
from nwb_cascade.training.recordings import KnownRecording, load_recordings
from scripts.measuring import markdown_head, markdown_row, options_of

DATASETS = tuple(f"DS{number}" for number in (*range(10, 17), 30, 31, 32, 41))
LOOK_AHEADS_S = (0.0, 1 / 30, 0.1, 4 / 30, 8 / 30)
WHOLE = "whole trace"
RATE = 30.0  # Hz
CELLS, FRAMES, WINDOWS = 8, 1500, 256  # of an indicator and of a cell, where the future is cut off; of a call
Rows = NDArray[Any]


def judged(model: Model, recordings: list[KnownRecording], noise_level: float) -> Iterator[Result]:
    """Scores of each network on the fold that it was trained without."""
    conditional = load_model("conditional-1-120Hz")
    for member, record in enumerate(model.config.extra["members"]):
        own = [one for one in recordings if fold_of(one) == record["held_out_fold"]]
        network = make_model(*take_members(model.config, model.weights, [member]))
        estimators: dict[str, Estimator] = {
            f"{1000 * look_ahead:.0f} ms": online_estimator(network, look_ahead) for look_ahead in LOOK_AHEADS_S
        }
        estimators[WHOLE] = held_out_estimator(conditional.config, conditional.weights, "animal")
        yield from evaluate(own, Condition(RATE, noise_level), estimators)


@dataclass(frozen=True)
class Cut:
    """An ensemble to which whatever comes more than ``look_ahead`` frames after an output frame is absent."""

    whole: Ensemble
    look_ahead: int
    fills_edges: bool = True

    @property
    def before(self) -> int:
        return self.whole.before

    @property
    def after(self) -> int:
        return self.whole.after

    def __call__(self, traces: Rows, present: Rows, noise_level: Rows, activity: Rows) -> NDArray[np.float32]:
        width = self.before + 1 + self.after
        values = np.zeros((1, len(traces), traces.shape[1] - width + 1), np.float32)
        for row, of_row in enumerate(values[0]):
            rows, there = (sliding_window_view(one[row], width) for one in (traces, present))
            for first in range(0, len(rows), WINDOWS):
                some = there[first : first + WINDOWS].copy()
                some[:, self.before + 1 + self.look_ahead :] = False
                if some.any():
                    told = (np.full(len(some), one[row]) for one in (noise_level, activity))
                    of_row[first : first + WINDOWS] = self.whole(rows[first : first + WINDOWS], some, *told)[0, :, 0]
        return values


def cut_rows(
    recordings: Sequence[KnownRecording], noise_levels: Sequence[float], folds: Sequence[int]
) -> Iterator[str]:
    """Correlation of the conditional networks with and without what comes later than 100 ms, by noise and indicator."""
    model, generator = load_model("conditional-1-120Hz"), np.random.default_rng(0)
    by_indicator: dict[str, list[KnownRecording]] = {}
    for index in generator.permutation(len(recordings)):
        if fold_of(recordings[index]) in folds:
            by_indicator.setdefault(recordings[index].indicator, []).append(recordings[index])
    for level in noise_levels:
        condition = Condition(RATE, level)
        for indicator, own in sorted(by_indicator.items()):
            cases = [case for one in own[:CELLS] if isinstance(case := _start(make_case(one, condition)), Case)]
            found = np.array([[_correlation(model, case, cut=cut) for cut in (False, True)] for case in cases])
            (whole, cut), share = np.nanmedian(found, axis=0), np.nanmedian(found[:, 1] / found[:, 0])
            yield markdown_row((f"{level:g}", indicator, len(cases), *(f"{one:.3f}" for one in (whole, cut, share))))


def _start(case: Case | str) -> Case | str:
    """The first frames of a case; a reason why there is none is left as it is."""
    if not isinstance(case, Case):
        return case
    lengths, left = [], FRAMES
    for trace in case.traces:
        lengths.append(min(trace.size, left))
        left -= lengths[-1]
    traces, truths = (
        tuple(one[:length] for one, length in zip(of, lengths, strict=True) if length)
        for of in (case.traces, case.truths)
    )
    return replace(case, traces=traces, truths=truths)


def _correlation(model: Model, case: Case, *, cut: bool) -> float:
    """Correlation of the network that never saw the case's animal."""
    config, weights = take_members(model.config, model.weights, [fold_of(case.recording)])

    def networks(imaging_rate: float, indicator: str | None) -> NetworkSet:
        whole = build_networks(config, weights, imaging_rate=imaging_rate, indicator=indicator)
        if not cut:
            return whole
        return replace(whole, ensemble=lambda level: Cut(whole.ensemble(level), round(0.1 * imaging_rate)))

    (rates,) = model_estimator(config, networks, indicator_of=lambda case: case.recording.told)([case])
    scores = assess(case, rates, WHOLE).scores
    return scores.correlation if scores else float("nan")


def main() -> None:
    """Print a Markdown table."""
    parser = options_of(__doc__)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--model", default="online-1-120Hz", help="name or folder")
    parser.add_argument("--noise", default="2,4,8")
    parser.add_argument("--cut", action="store_true", help="what the conditional networks lose without the future")
    arguments = parser.parse_args()
    levels = [float(level) for level in arguments.noise.split(",")]
    model, recordings = load_model(arguments.model), load_recordings(arguments.ground_truth, DATASETS)
    names = [*(f"{1000 * look_ahead:.0f} ms" for look_ahead in LOOK_AHEADS_S), WHOLE]
    if arguments.cut:
        print(markdown_head(("ν", "indicator", "cells", WHOLE, "100 ms", "share, median over cells")))
        for row in cut_rows(recordings, levels, [one["held_out_fold"] for one in model.config.extra["members"]]):
            print(row, flush=True)
        return
    print(markdown_head(("ν", "indicator", "cells", *names)))
    for level in levels:
        scored = [one for one in judged(model, recordings, level) if one.scores is not None]
        for indicator in sorted({one.indicator for one in scored}):
            cells = []
            for name in names:
                of = [
                    one.scores for one in scored if (one.indicator, one.estimator) == (indicator, name) and one.scores
                ]
                correlation, bias = (np.nanmedian([getattr(s, key) for s in of]) for key in ("correlation", "bias"))
                cells.append(f"{correlation:.3f} ({bias:+.2f})")
            print(markdown_row((f"{level:g}", indicator, len(of), *cells)), flush=True)


if __name__ == "__main__":
    main()
