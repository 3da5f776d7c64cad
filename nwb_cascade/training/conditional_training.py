"""The conditional network as something to train: its inputs, targets and loss, and its ensemble from data to bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nwb_cascade.architectures.conditional import network
from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.architectures.told import conditions
from nwb_cascade.training.batches import TrainingBatch
from nwb_cascade.training.conditional_bundle import TrainedMember, conditional_bundle
from nwb_cascade.training.losses import SCALE_SHARES, smoothed_error, smoothing_bank
from nwb_cascade.training.recordings import KnownRecording, taught_codes
from nwb_cascade.training.steps import Arrays, Trainee
from nwb_cascade.training.told_training import told_trainee, train_told_member
from nwb_cascade.training.training_plan import Bundle, MemberProgress, TrainingPlan
from nwb_cascade.training.warm_start import WarmStart


def train_conditional(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> Bundle:
    """Train one ensemble for every rate and noise level; see ``plans.run_plan``."""
    members = [
        train_member(plan, recordings, member, folder, start=start, progress=progress)
        for member in range(plan.ensemble_size)
    ]
    config, weights = conditional_bundle(plan, _sizes(plan, recordings, start), members, recordings)
    return (config if start is None else start.described(config)), weights


def train_member(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    member: int,
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> TrainedMember:
    """Train one network of an ensemble; see ``plans.run_plan``."""
    sizes = _sizes(plan, recordings, start)
    make = partial(conditional_trainee, sizes, plan.scale_shares)
    return train_told_member(plan, recordings, member, folder, sizes, make, start=start, progress=progress)


def conditional_trainee(sizes: ConditionalSizes, scale_shares: tuple[float, ...] = SCALE_SHARES) -> Trainee:
    """Build a conditional network with its loss: squared error of smoothed counts at three time scales."""
    return told_trainee(sizes, network, conditional_arrays, partial(smoothed_error, bank=smoothing_bank(scale_shares)))


def conditional_arrays(batch: TrainingBatch) -> Arrays:
    """A batch as the conditional network takes it."""
    inputs = {
        "trace": batch.from_rest,
        "present": batch.present,
        "condition": conditions(batch.noise_level_from_rest, batch.imaging_rate, batch.activity),
        "indicator": batch.indicator,
    }
    return inputs, batch.counts, batch.weight


def conditional_sizes(recordings: Sequence[KnownRecording], sizes: Mapping[str, Any]) -> ConditionalSizes:
    """Sizes of a plan's network with a code for every indicator that the recordings teach."""
    return ConditionalSizes.from_network({"conditions": 3, **sizes, "indicators": taught_codes(recordings)})


def _sizes(plan: TrainingPlan, recordings: Sequence[KnownRecording], start: WarmStart | None) -> ConditionalSizes:
    """Sizes of the networks: those of the start, else those of the plan."""
    return conditional_sizes(recordings, plan.network) if start is None else start.sizes(recordings)
