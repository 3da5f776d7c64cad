"""From trained members to a bundle of told networks: codes that a member never met, and the record of training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.architectures.told import near_codes
from nwb_cascade.architectures.told_sizes import CODES, ToldSizes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.indicators import nearest_code
from nwb_cascade.training.batches import LOWEST_NOISE
from nwb_cascade.training.recordings import KnownRecording
from nwb_cascade.training.training_plan import Bundle, TrainingPlan

RATES_HZ = (1.0, 120.0)  # what a network is called good for; a little less than what it is trained at


@dataclass(frozen=True)
class TrainedMember:
    """One network of an ensemble and what it was trained on.

    ``weights`` by layer; ``datasets`` and ``animals`` are those with at least one recording in the training,
    ``codes`` the indicators' names it met; ``fold`` was held out (None: nothing was).
    """

    weights: Weights
    datasets: tuple[str, ...]
    animals: tuple[str, ...]
    codes: tuple[str, ...]
    fold: int | None
    seed: int
    n_steps: int
    history: tuple[Mapping[str, float], ...] = ()


def describe_member(
    recordings: Sequence[KnownRecording],
    weights: Weights,
    *,
    fold: int | None,
    seed: int,
    n_steps: int,
    history: Sequence[Mapping[str, float]] = (),
) -> TrainedMember:
    """A member with what these recordings, on which it was trained, imply."""
    return TrainedMember(
        weights=weights,
        datasets=tuple(sorted({recording.dataset for recording in recordings})),
        animals=tuple(sorted({recording.animal for recording in recordings})),
        codes=tuple(sorted({code for recording in recordings for code in recording.indicator_codes})),
        fold=fold,
        seed=seed,
        n_steps=n_steps,
        history=tuple(history),
    )


def adopt_codes(weights: Weights, sizes: ToldSizes, met: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Give indicators that a member never met the code near that of their nearest relative, else that of ``unknown``.

    Their own codes never left their random start, so that telling the network one of them would be noise.
    """
    table = weights[CODES].copy()
    near = near_codes(weights[CODES])
    for code in sizes.indicators:
        if code not in met:
            table[sizes.indicator_code(code)] = near[sizes.indicator_code(nearest_code(code, met))]
    return {**weights, CODES: table}


def conditional_bundle(
    plan: TrainingPlan,
    sizes: ToldSizes,
    members: Sequence[TrainedMember],
    recordings: Sequence[KnownRecording],
    **extra: Any,
) -> Bundle:
    """Configuration and arrays of a bundle, ready for ``nwb_cascade.models.bundle.save_bundle``.

    Parameters
    ----------
    plan : TrainingPlan
        What was trained.
    sizes : ConditionalSizes or OnlineSizes
        Of every member.
    members : sequence of TrainedMember
        The trained networks.
    recordings : sequence of KnownRecording
        All that any member was trained on; their hashes are recorded.
    **extra
        What else the bundle's record holds, JSON-able.
    """
    arrays = {
        f"{index}/{key}": np.asarray(value, np.float32)
        for index, member in enumerate(members)
        for key, value in adopt_codes(member.weights, sizes, member.codes).items()
    }
    used = {dataset for member in members for dataset in member.datasets}
    config = ModelConfig(
        name=plan.name,
        version="1",
        architecture=plan.architecture,
        model_rates_hz=RATES_HZ,
        kernel="gaussian",
        smoothing_s=plan.smoothing_s,
        noise_levels=(LOWEST_NOISE, plan.settings.augmentation.highest_noise),
        ensemble_size=len(members),
        window_size=sizes.before + 1 + sizes.after,
        before_frames=sizes.before,
        network=sizes.to_network(),
        training_datasets=tuple(sorted(used)),
        indicators=sizes.indicators,
        extra={
            **plan.record([r for r in recordings if r.dataset in used], scale_shares=list(plan.scale_shares)),
            "members": [_record(member) for member in members],
            **({"remark": plan.remark} if plan.remark else {}),
            **extra,
        },
    )
    return config, arrays


def members_without(config: ModelConfig, *, dataset: str | None = None, animal: str | None = None) -> tuple[int, ...]:
    """Members that were trained without a dataset, or without an animal, as the bundle's record says.

    Raises
    ------
    LookupError
        If the bundle has no such record.
    """
    records = config.extra.get("members")
    if not records:
        raise LookupError(
            f"Expected {config.name} to record what each of its networks was trained on, it does not: "
            "nothing of it can be called held out. Train it with 'nwb-cascade train --folds'."
        )
    return tuple(
        index
        for index, record in enumerate(records)
        if (dataset is None or dataset not in record["datasets"])
        and (animal is None or animal not in record["animals"])
    )


def take_members(
    config: ModelConfig, weights: Weights, members: Sequence[int]
) -> tuple[ModelConfig, dict[str, NDArray[np.float32]]]:
    """The same model with only some of its networks."""
    arrays = {
        f"{new}/{key.partition('/')[2]}": value
        for new, old in enumerate(members)
        for key, value in weights.items()
        if key.partition("/")[0] == str(old)
    }
    return replace(config, ensemble_size=len(members)), arrays


def _record(member: TrainedMember) -> dict[str, Any]:
    return {
        "datasets": list(member.datasets),
        "animals": list(member.animals),
        "indicators": list(member.codes),
        "held_out_fold": member.fold,
        "seed": member.seed,
        "steps": member.n_steps,
        "losses": dict(member.history[-1]) if member.history else {},
    }
