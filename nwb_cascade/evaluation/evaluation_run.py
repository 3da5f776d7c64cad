"""Evaluations as commands run them: models, what each is told, which of its networks may judge a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.evaluation.assessment import Case, Estimator
from nwb_cascade.evaluation.estimators import Quantity, model_estimator, networks_of
from nwb_cascade.training.conditional_bundle import members_without, take_members
from nwb_cascade.training.recordings import KnownRecording

HeldOut = Literal["dataset", "animal"]
Telling = Callable[[KnownRecording], str | None]
# What a conditional model is told of a recording's indicator: as of any cell, with its kind of cell, or nothing.
PLAIN: Telling = attrgetter("told")
WITH_KIND: Telling = attrgetter("own_code")
NOTHING: Telling = lambda _: None  # noqa: E731


def bundle_estimator(
    config: ModelConfig, weights: Weights, *, told: Telling = PLAIN, quantity: Quantity = "expected_spikes"
) -> Estimator:
    """Estimate with all networks of a model; a conditional one is ``told`` of the recording's indicator."""
    networks = networks_of(config, weights)
    return model_estimator(config, networks, indicator_of=lambda case: told(case.recording), quantity=quantity)


def held_out_estimator(config: ModelConfig, weights: Weights, held_out: HeldOut, *, told: Telling = PLAIN) -> Estimator:
    """Estimate each recording with only those networks that were trained without its dataset, or its animal.

    A recording that every network was trained on gets no estimate (all frames NaN).
    """
    estimators: dict[tuple[int, ...], Estimator] = {}

    def estimate(cases: Sequence[Case]) -> list[Sequence[NDArray[np.float32]]]:
        found: list[Sequence[NDArray[np.float32]]] = [()] * len(cases)
        for members, indices in _grouped(cases, lambda case: judges(config, case, held_out)).items():
            if not members:
                for index in indices:
                    found[index] = [np.full_like(trace, np.nan) for trace in cases[index].traces]
                continue
            if members not in estimators:
                some, arrays = take_members(config, weights, members)
                estimators[members] = bundle_estimator(some, arrays, told=told)
            estimates = estimators[members]([cases[index] for index in indices])
            for index, values in zip(indices, estimates, strict=True):
                found[index] = values
        return found

    return estimate


def judges(config: ModelConfig, case: Case, held_out: HeldOut) -> tuple[int, ...]:
    """Networks that were trained without the dataset, or without the animal, of a case."""
    if held_out == "dataset":
        return members_without(config, dataset=case.recording.dataset)
    return members_without(config, animal=case.recording.animal)


def _grouped(cases: Sequence[Case], key: Callable[[Case], tuple[int, ...]]) -> dict[tuple[int, ...], list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault(key(case), []).append(index)
    return groups
