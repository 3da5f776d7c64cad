"""Begin the training of a conditional ensemble with the networks of another: what must agree, and what carries over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.conditional import CONDITIONAL
from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.architectures.told import of_number
from nwb_cascade.architectures.told_sizes import CODES, CONDITION, ToldSizes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import InputError
from nwb_cascade.training.conditional_bundle import TrainedMember
from nwb_cascade.training.recordings import KnownRecording, taught_codes


@dataclass(frozen=True, eq=False)
class WarmStart:
    """A conditional model whose network k is what network k of a training begins with.

    Raises
    ------
    InputError
        If the model is of another architecture.
    """

    config: ModelConfig
    weights: Mapping[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        if architecture_of(self.config) is not CONDITIONAL:
            raise InputError(
                f"Expected a conditional model to start from, received {self.config.name}, which is of architecture "
                f"{self.config.architecture}."
            )

    def sizes(self, recordings: Sequence[KnownRecording]) -> ConditionalSizes:
        """Sizes of the networks that begin with its own: they are told all that networks can be told.

        Raises
        ------
        InputError
            If it has no code for an indicator of the recordings.
        """
        sizes = ConditionalSizes.from_network(self.config.network)
        taught = taught_codes(recordings)
        if unknown := sorted(set(taught) - set(sizes.indicators)):
            raise InputError(
                f"Expected recordings with indicators that {self.config.name} has a code for, received "
                f"{', '.join(unknown)}; train without a start."
            )
        # A code that is not taught any more would say what nobody checks.
        known = {code for r in recordings for code in r.indicator_codes}
        kept = tuple(code for code in sizes.indicators if code in taught or code not in known)
        return replace(sizes, indicators=kept, conditions=3)

    def member(self, member: int, fold: int | None, wanted: ToldSizes) -> dict[str, NDArray[np.float32]]:
        """Weights of one network, by layer, in the sizes that are wanted: what it was not told has no influence yet.

        Raises
        ------
        InputError
            If there is no such network, or it was trained on the fold that is to be held out.
        """
        if member >= self.config.ensemble_size:
            raise InputError(
                f"Expected at most {self.config.ensemble_size} networks, as {self.config.name} has, received "
                f"{member + 1}."
            )
        if fold is not None and self._record(member).get("held_out_fold") != fold:
            raise InputError(
                f"Expected network {member} of {self.config.name} to have been trained without fold {fold}: it was "
                "not, so nothing of that fold could be called held out. Train without folds, or from another model."
            )
        weights = of_number(self.weights, member)
        own = ConditionalSizes.from_network(self.config.network)
        rows = [0, *(own.indicator_code(code) for code in wanted.indicators)]
        condition = weights[CONDITION]
        added = np.zeros((wanted.conditions - own.conditions, condition.shape[1]), np.float32)
        joined = np.concatenate([condition[: own.conditions], added, condition[own.conditions :]])
        return {**weights, CODES: weights[CODES][rows], CONDITION: joined}

    def joined(self, trained: TrainedMember, member: int) -> TrainedMember:
        """What a network was trained on, this time and before."""
        record = self._record(member)

        def both(new: tuple[str, ...], key: str) -> tuple[str, ...]:
            return tuple(sorted({*new, *record.get(key, ())}))

        return replace(
            trained,
            datasets=both(trained.datasets, "datasets"),
            animals=both(trained.animals, "animals"),
            codes=both(trained.codes, "indicators"),
        )

    def described(self, config: ModelConfig) -> ModelConfig:
        """A configuration with the record of this start."""
        kept = ("settings", "packages", "started_from")
        before = {"name": self.config.name} | {key: self.config.extra[key] for key in kept if key in self.config.extra}
        hashes = {**self.config.extra.get("dataset_sha256", {}), **config.extra["dataset_sha256"]}
        return replace(config, extra={**config.extra, "dataset_sha256": hashes, "started_from": before})

    def _record(self, member: int) -> Mapping[str, Any]:
        """What the model's record says of one network."""
        records: Sequence[Mapping[str, Any]] = self.config.extra.get("members", ())
        return records[member] if member < len(records) else {}
