"""Train the models that ship with the package, in pieces if need be.

    python scripts/train_bundled_models.py --ground-truth ../shared/ground_truth --checkpoints /somewhere conditional
    python scripts/train_bundled_models.py --ground-truth ../shared/ground_truth --checkpoints /somewhere cascade

Run it again after an interruption: it goes on from the last checkpoint of each network. ``--member 2`` trains one
network only, so that several processes or machines can share the work; without it the missing networks are trained
and the bundle is written. The plans below are the whole difference between these models and a user's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from nwb_cascade.models.bundle import save_bundle
from nwb_cascade.networks.plans import EMPHASIS, TrainingPlan, run_plan, train_member
from nwb_cascade.networks.recordings import load_recordings
from nwb_cascade.networks.training import TrainingSettings

BUNDLED = Path(__file__).resolve().parents[1] / "nwb_cascade" / "models" / "bundled"
PLANS = {
    "conditional": TrainingPlan(
        name="conditional-1-120Hz",
        folds=True,
        # Twice the weights of the default, at 1.7 times the time: the networks are served for longer than trained.
        network={"widths": (24, 48, 64, 96, 96)},
        # What most new recordings are made with; by imaged time they would be a tenth of the crops.
        emphasis={**EMPHASIS, "DS30": 1.6, "DS31": 1.3, "DS32": 1.3},
        settings=TrainingSettings(
            n_steps=21_000,
            batch_size=32,
            learning_rate=2e-3,
            decay_steps=11_000,
            checkpoint_steps=500,
            precision="mixed_bfloat16",
        ),
    ),
    "cascade": TrainingPlan(
        name="cascade-30Hz-25ms",
        architecture="cascade",
        imaging_rate=30.0,
        smoothing_s=0.025,
        frame_jitter=0.0,
        # The excitatory datasets of the published Global_EXC models, as published: with their own clocks.
        datasets=("DS03", "DS04", "DS05", "DS07", "DS08", *(f"DS{number}" for number in range(10, 21))),
        clock_lag_s={},
        ensemble_size=3,
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
    arguments = parser.parse_args()
    plan = PLANS[arguments.model]
    recordings = load_recordings(arguments.ground_truth)
    folder = arguments.checkpoints / plan.name
    if arguments.member is not None:
        train_member(plan, recordings, arguments.member, folder, show)
        return
    config, weights = run_plan(plan, recordings, folder, progress=show)
    model = save_bundle(BUNDLED / plan.name, config, weights, overwrite=True)
    print(model.path, model.sha256)


if __name__ == "__main__":
    main()
