"""Train the models that ship with the package, in pieces if need be.

    python -m scripts.train_bundled_models --ground-truth ../shared/ground_truth --checkpoints /somewhere conditional
    python -m scripts.train_bundled_models --ground-truth ../shared/ground_truth --checkpoints /somewhere cascade

Run it again after an interruption: it goes on from the last checkpoint of each network. The conditional model takes
two trainings, ``conditional-first`` and, from its networks, ``conditional``, which ``--start`` lets begin with the
networks of an earlier bundle of the same folds instead: the one of this version began with the one before it.
``--member 2`` trains one of its networks only, so that several processes or machines can share the work; without it the
missing networks are trained and the bundle is written, with the intervals of its spike counts. The plans below are the
whole difference between these models and a user's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from nwb_cascade.models.bundle import load_bundle, save_bundle
from nwb_cascade.training.conditional_training import train_member
from nwb_cascade.training.online_training import train_online_member
from nwb_cascade.training.plans import run_plan
from nwb_cascade.training.recordings import load_recordings
from nwb_cascade.training.steps import TrainingSettings
from nwb_cascade.training.training_plan import EMPHASIS, TrainingPlan
from nwb_cascade.training.warm_start import WarmStart
from scripts.fit_count_models import with_count_models

BUNDLED = Path(__file__).resolve().parents[1] / "nwb_cascade" / "models" / "bundled"
CITATION = (
    "Trained on the public ground truth of Rupprecht P. et al., Nature Neuroscience 24:1324 (2021); "
    "cite it and the sources of the datasets it lists."
)
LICENCE = "BSD-3-Clause"
GCAMP6 = ("DS10", "DS11", "DS12", "DS13", "DS14", "DS16")
FIRST = TrainingPlan(
    name="conditional-1-120Hz-first",
    citation=CITATION,
    licence=LICENCE,
    folds=True,
    frame_jitter=0.0,
    # What most new recordings are made with; by imaged time they would be a tenth of the crops.
    emphasis={**EMPHASIS, "DS30": 1.6, "DS31": 1.3, "DS32": 1.3},
    settings=TrainingSettings(
        n_steps=17_000,
        batch_size=32,
        learning_rate=2e-3,
        decay_steps=6_000,
        checkpoint_steps=500,
        precision="mixed_bfloat16",
    ),
)
# The last steps: with most weight on the time of single spikes, and on what most new recordings are made with.
LAST = replace(
    FIRST,
    name="conditional-1-120Hz",
    emphasis={**EMPHASIS, "DS30": 4.0, "DS31": 4.0, "DS32": 4.0},
    scale_shares=(0.8, 0.15, 0.05),
    settings=replace(FIRST.settings, n_steps=5_000, learning_rate=1e-3, warmup_steps=200, decay_steps=4_000, seed=100),
)
# One network: an ensemble would cost a running experiment as many times its delay.
ONLINE = TrainingPlan(
    name="online-1-120Hz",
    citation=CITATION,
    licence=LICENCE,
    architecture="online",
    ensemble_size=1,
    frame_jitter=0.0,
    scale_shares=(0.7, 0.2, 0.1),
    emphasis={**EMPHASIS, "DS30": 3.0, "DS31": 3.0, "DS32": 3.0, **dict.fromkeys(GCAMP6, 1.5)},
    settings=TrainingSettings(
        n_steps=10_000,
        batch_size=16,
        n_frames=768,
        learning_rate=2e-3,
        warmup_steps=200,
        decay_steps=4_000,
        checkpoint_steps=250,
        precision="mixed_bfloat16",
    ),
)
PLANS = {
    "conditional-first": FIRST,
    "conditional": LAST,
    "online": ONLINE,
    # The same with one network per fold, which docs/online.md judges; its bundle stays with its checkpoints.
    "online-folds": replace(ONLINE, name="online-1-120Hz-folds", ensemble_size=5, folds=True),
    "cascade": TrainingPlan(
        name="cascade-30Hz-25ms",
        citation=CITATION,
        licence=LICENCE,
        architecture="cascade",
        imaging_rate=30.0,
        smoothing_s=0.025,
        frame_jitter=0.0,
        # The excitatory datasets of the published Global_EXC models, as published: with their own clocks.
        datasets=("DS03", "DS04", "DS05", "DS07", "DS08", *(f"DS{number}" for number in range(10, 21))),
        clock_lag_s={},
        ensemble_size=5,
        later_steps=300,
        settings=TrainingSettings(
            n_steps=3_000,
            batch_size=16,
            n_frames=1024,
            learning_rate=1e-3,
            decay_steps=1_000,
            checkpoint_steps=100,
            average_momentum=0.99,
            precision="mixed_bfloat16",
            silent_share=0.0,
        ),
    ),
}


def show(network: str, step: int, n_steps: int, losses: Mapping[str, float]) -> None:
    """One line per checkpoint."""
    print(f"{network}: step {step} of {n_steps}", {key: round(value, 4) for key, value in losses.items()}, flush=True)


def main() -> None:
    """Train a bundled model, or one network of the conditional one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(PLANS))
    parser.add_argument("--ground-truth", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--member", type=int, help="Train this network of the conditional model and stop.")
    parser.add_argument("--start", type=Path, help="Bundle to begin with, of the conditional model.")
    arguments = parser.parse_args()
    plan = PLANS[arguments.model]
    recordings = load_recordings(arguments.ground_truth)
    start = None
    if arguments.start is not None:
        earlier = load_bundle(arguments.start)
        start = WarmStart(earlier.config, earlier.weights)
    elif plan is LAST:
        start = WarmStart(*run_plan(FIRST, recordings, arguments.checkpoints / FIRST.name, progress=show))
    folder = arguments.checkpoints / plan.name
    if arguments.member is not None:
        one = train_online_member if plan in (ONLINE, PLANS["online-folds"]) else partial(train_member, start=start)
        one(plan, recordings, arguments.member, folder, progress=show)
        return
    config, weights = run_plan(plan, recordings, folder, start=start, progress=show)
    if plan is LAST:
        config = with_count_models(config, weights, recordings)
    if plan is not FIRST:
        target = folder / "bundle" if arguments.model == "online-folds" else BUNDLED / plan.name
        model = save_bundle(target, config, weights, overwrite=True, half=True)
        print(model.path, model.sha256)


if __name__ == "__main__":
    main()
