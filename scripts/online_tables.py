"""Look-ahead against correlation and bias, of an online model on cells that its networks never saw: docs/online.md.

    python -m scripts.online_tables --ground-truth ../shared/ground_truth [--model NAME|FOLDER] [--noise 2,4,8]

Every network is judged on the fold that it was trained without, beside the conditional model's network of the same
fold, which sees the whole trace. Medians over cells by indicator; bias in brackets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nwb_cascade.evaluation.assessment import Condition, Estimator, Result, evaluate
from nwb_cascade.evaluation.evaluation_run import held_out_estimator
from nwb_cascade.evaluation.online_estimator import online_estimator
from nwb_cascade.models.bundle import Model, make_model
from nwb_cascade.models.library import load_model
from nwb_cascade.training.conditional_bundle import take_members
from nwb_cascade.training.folds import fold_of
from nwb_cascade.training.recordings import KnownRecording, load_recordings

DATASETS = ("DS10", "DS12", "DS14", "DS30", "DS31", "DS32")
LOOK_AHEADS_S = (0.0, 1 / 30, 0.1, 4 / 30, 8 / 30)
WHOLE = "whole trace"


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
        yield from evaluate(own, Condition(30.0, noise_level), estimators)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--model", default="online-1-120Hz", help="name or folder")
    parser.add_argument("--noise", default="2,4,8")
    arguments = parser.parse_args()
    model, recordings = load_model(arguments.model), load_recordings(arguments.ground_truth, DATASETS)
    names = [*(f"{1000 * look_ahead:.0f} ms" for look_ahead in LOOK_AHEADS_S), WHOLE]
    print("| ν | indicator | cells |", " | ".join(names), "|")
    print("|", " | ".join(["---"] * (len(names) + 3)), "|")
    for level in map(float, arguments.noise.split(",")):
        scored = [one for one in judged(model, recordings, level) if one.scores is not None]
        for indicator in sorted({one.indicator for one in scored}):
            cells = []
            for name in names:
                of = [
                    one.scores for one in scored if (one.indicator, one.estimator) == (indicator, name) and one.scores
                ]
                correlation, bias = (np.nanmedian([getattr(s, key) for s in of]) for key in ("correlation", "bias"))
                cells.append(f"{correlation:.3f} ({bias:+.2f})")
            print(f"| {level:g} | {indicator} | {len(of)} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
