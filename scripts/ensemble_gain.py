"""What averaging brings on cells that all networks left out: a second conditional network without fold 0.

    python -m scripts.ensemble_gain --ground-truth ../shared/ground_truth --checkpoints /somewhere

It is trained from random weights, with fewer first steps than the bundled one, and goes on from its last checkpoint
after an interruption. Printed are medians over cells of the correlation of the bundled network, the second, and their
mean, and of what the mean gains over the average of both.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.evaluation.assessment import Condition, evaluate
from nwb_cascade.evaluation.evaluation_run import bundle_estimator
from nwb_cascade.models.library import load_model
from nwb_cascade.training.conditional_bundle import conditional_bundle, take_members
from nwb_cascade.training.conditional_training import conditional_sizes, train_member
from nwb_cascade.training.folds import fold_of
from nwb_cascade.training.recordings import KnownRecording, load_recordings
from nwb_cascade.training.warm_start import WarmStart
from scripts.measuring import markdown_head, markdown_row, options_of
from scripts.train_bundled_models import FIRST, LAST, show

FOLD = 0
CONDITIONS = (
    *(Condition(30.0, level) for level in (2.0, 4.0, 8.0)),
    Condition(7.5, 2.0, smoothing_s=0.2),
)


def second_network(recordings: list[KnownRecording], folder: Path) -> Weights:
    """Train the second network; its arrays as those of a model of one."""
    first = replace(FIRST, settings=replace(FIRST.settings, n_steps=11_000, decay_steps=4_000, seed=1000))
    begun = train_member(first, recordings, FOLD, folder / "first", progress=show)
    config, weights = conditional_bundle(first, conditional_sizes(recordings, first.network), [begun], recordings)
    last = replace(LAST, settings=replace(LAST.settings, seed=1100))
    start = WarmStart(replace(config, ensemble_size=1), weights)
    found = train_member(last, recordings, FOLD, folder / "last", start=start, progress=show)
    return {f"0/{key}": array for key, array in found.weights.items()}


def main() -> None:
    """Print a Markdown table."""
    parser = options_of(__doc__)
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    arguments = parser.parse_args()
    recordings, model = load_recordings(arguments.ground_truth), load_model("conditional-1-120Hz")
    config, own = take_members(model.config, model.weights, [FOLD])
    other = second_network(recordings, arguments.checkpoints)
    held_out = [one for one in recordings if fold_of(one) == FOLD]
    both = {**own, **{key.replace("0/", "1/", 1): array for key, array in other.items()}}
    networks = {
        "bundled": bundle_estimator(config, own),
        "second": bundle_estimator(config, other),
        "both": bundle_estimator(replace(config, ensemble_size=2), both),
    }
    print(markdown_head(("rate (Hz)", "ν", "dataset", "cells", *networks, "gain")))
    for condition in CONDITIONS:
        scores: dict[str, dict[str, list[float]]] = {}
        for one in evaluate(held_out, condition, networks):
            if one.scores is not None:
                scores.setdefault(one.dataset, {}).setdefault(one.estimator, []).append(one.scores.correlation)
        for dataset, columns in sorted(scores.items()):
            first, second, mean = np.array([columns[name] for name in networks])
            medians = [f"{np.nanmedian(values):.3f}" for values in (first, second, mean)]
            gain = f"{np.nanmedian(mean - (first + second) / 2):+.4f}"
            where = f"{condition.imaging_rate:g}", f"{condition.noise_level:g}", dataset, mean.size
            print(markdown_row((*where, *medians, gain)), flush=True)


if __name__ == "__main__":
    main()
