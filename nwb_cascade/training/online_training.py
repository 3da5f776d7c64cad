"""The online network as something to train: its inputs, targets and loss, and its networks from data to bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nwb_cascade.architectures.online import network
from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.architectures.told import conditions
from nwb_cascade.core.running import REST_AVERAGE_S, REST_DOWN_S, REST_UP_S, above_rest
from nwb_cascade.errors import InputError
from nwb_cascade.training.batches import TrainingBatch
from nwb_cascade.training.conditional_bundle import TrainedMember, conditional_bundle
from nwb_cascade.training.losses import SCALE_SHARES, smoothed_error, smoothing_bank
from nwb_cascade.training.recordings import KnownRecording, taught_codes
from nwb_cascade.training.steps import Arrays, Trainee
from nwb_cascade.training.told_training import told_trainee, train_told_member
from nwb_cascade.training.training_plan import Bundle, MemberProgress, TrainingPlan
from nwb_cascade.training.warm_start import WarmStart

REST_RECORD = {"average_s": REST_AVERAGE_S, "down_s": REST_DOWN_S, "up_s": REST_UP_S}


def train_online(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> Bundle:
    """Train networks for every rate and noise level that run along with a recording; see ``plans.run_plan``."""
    if start is not None:
        raise InputError("Expected no model to start from: an online model is trained from random weights.")
    sizes = online_sizes(recordings, plan.network)
    members = [
        train_online_member(plan, recordings, member, folder, progress=progress) for member in range(plan.ensemble_size)
    ]
    return conditional_bundle(plan, sizes, members, recordings, running_rest_level=REST_RECORD)


def train_online_member(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    member: int,
    folder: Path,
    *,
    progress: MemberProgress | None = None,
) -> TrainedMember:
    """Train one network; see ``plans.run_plan``."""
    sizes = online_sizes(recordings, plan.network)
    make = partial(online_trainee, sizes, plan.scale_shares)
    return train_told_member(plan, recordings, member, folder, sizes, make, progress=progress)


def online_trainee(sizes: OnlineSizes, scale_shares: tuple[float, ...] = SCALE_SHARES) -> Trainee:
    """Build an online network with its loss: that of a conditional network, averaged over the delays."""
    bank = smoothing_bank(scale_shares)

    def loss(predicted: Any, counts: Any, present: Any, weight: Any) -> Any:
        from nwb_cascade.architectures.backend import keras

        # Output k of frame t tells of frame t - delays[k]: each is moved to the frame that it tells of, and the
        # delays stand below each other as if they were further crops.
        ops, times = keras.ops, len(sizes.delays)
        n = ops.shape(counts)[1]
        later = ops.pad(predicted, [[0, 0], [0, sizes.delays[-1]], [0, 0]])
        told = ops.concatenate([later[:, delay : delay + n, k] for k, delay in enumerate(sizes.delays)], axis=0)
        known = [present * ops.cast(ops.arange(n) < n - delay, "float32") for delay in sizes.delays]
        counts, weight = (ops.concatenate([one] * times, axis=0) for one in (counts, weight))
        return smoothed_error(told, counts, ops.concatenate(known, axis=0), weight, bank)

    return told_trainee(sizes, network, online_arrays, loss)


def online_arrays(batch: TrainingBatch) -> Arrays:
    """A batch as the online network takes it; half of the crops begin with a rest level that has settled."""
    present = batch.present > 0
    warm = np.arange(len(present)) % 2 == 1
    inputs = {
        "trace": above_rest(batch.trace, present, batch.imaging_rate, warm=warm),
        "present": batch.present,
        "condition": conditions(batch.noise_level, batch.imaging_rate),
        "indicator": batch.indicator,
    }
    return inputs, batch.counts, batch.weight


def online_sizes(recordings: Sequence[KnownRecording], sizes: Mapping[str, Any]) -> OnlineSizes:
    """Sizes of a plan's network with a code for every indicator of the recordings."""
    return OnlineSizes.from_network({**sizes, "indicators": taught_codes(recordings)})
