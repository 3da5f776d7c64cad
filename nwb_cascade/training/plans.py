"""Training plans: what the command line and the script of the bundled models both run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nwb_cascade.training.cascade_training import train_cascade
from nwb_cascade.training.conditional_training import train_conditional
from nwb_cascade.training.online_training import train_online
from nwb_cascade.training.recordings import KnownRecording
from nwb_cascade.training.terms import with_terms
from nwb_cascade.training.training_plan import Bundle, MemberProgress, TrainingPlan
from nwb_cascade.training.warm_start import WarmStart


class Trainer(Protocol):
    """Trains all networks of a plan and gives the bundle; parameters as for ``run_plan``."""

    def __call__(
        self,
        plan: TrainingPlan,
        recordings: Sequence[KnownRecording],
        folder: Path,
        *,
        start: WarmStart | None,
        progress: MemberProgress | None,
    ) -> Bundle: ...


# How the networks of each architecture are trained, by its name.
TRAINERS: dict[str, Trainer] = {"conditional": train_conditional, "cascade": train_cascade, "online": train_online}


def run_plan(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> Bundle:
    """Train all networks of a plan; run it again after a kill and it goes on from the last checkpoints.

    Parameters
    ----------
    plan : TrainingPlan
        What to train.
    recordings : sequence of KnownRecording
        The ground truth; those outside ``plan.datasets`` are left out.
    folder : pathlib.Path
        Of the checkpoints, one folder per network.
    start : WarmStart, optional
        Of a conditional plan: what the networks begin with; random weights otherwise.
    progress : callable, optional
        Called as ``progress(network, step, n_steps, losses)`` at each checkpoint.

    Returns
    -------
    (ModelConfig, mapping)
        Configuration and arrays of the bundle.
    """
    chosen = [r for r in recordings if not plan.datasets or r.dataset in plan.datasets]
    if not chosen:
        raise LookupError(f"Expected recordings of {', '.join(plan.datasets) or 'any dataset'}, received none.")
    config, weights = TRAINERS[plan.architecture](plan, chosen, folder, start=start, progress=progress)
    begun = None if start is None else start.config
    return with_terms(config, citation=plan.citation, licence=plan.licence, start=begun), weights
