"""The conditional network as something to train: its inputs, targets and loss, and its ensemble from data to bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nwb_cascade.architectures.conditional import network
from nwb_cascade.architectures.conditional_sizes import CODES, ConditionalSizes, HasFilms
from nwb_cascade.architectures.told import conditions, joined
from nwb_cascade.training.batches import TrainingBatch
from nwb_cascade.training.conditional_bundle import TrainedMember, conditional_bundle, describe_member
from nwb_cascade.training.folds import split
from nwb_cascade.training.losses import SCALE_SHARES, smoothed_error, smoothing_bank
from nwb_cascade.training.recordings import KnownRecording, taught_codes
from nwb_cascade.training.steps import Arrays, Trainee, finished_network, train_network
from nwb_cascade.training.training_plan import Bundle, MemberProgress, TrainingPlan, labelled
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


def train_told_member(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    member: int,
    folder: Path,
    sizes: HasFilms,
    make: Callable[[], Trainee],
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> TrainedMember:
    """Train one network that is told of its recordings; ``make`` builds it from ``sizes``, see ``plans.run_plan``."""
    fold = member if plan.folds else None
    training, held_out = split(recordings, fold) if fold is not None else (list(recordings), [])
    settings = plan.member_settings(member)
    label = f"member{member}"
    code, seed = sizes.indicator_code, settings.seed
    trained = finished_network(make, settings, folder / label) or train_network(
        make,
        plan.bank(training, code, (seed, 1)),
        settings,
        folder / label,
        start=None if start is None else start.member(member, fold, sizes),
        held_out=plan.bank(held_out, code, (seed, 2), versions=2) if held_out else None,
        progress=labelled(progress, label),
    )
    described = describe_member(
        training, trained.weights, fold=fold, seed=seed, n_steps=settings.n_steps, history=trained.history
    )
    return described if start is None else start.joined(described, member)


def conditional_trainee(sizes: ConditionalSizes, scale_shares: tuple[float, ...] = SCALE_SHARES) -> Trainee:
    """Build a conditional network with its loss: squared error of smoothed counts at three time scales."""
    from nwb_cascade.architectures.backend import keras

    bank = smoothing_bank(scale_shares)

    class ConditionalModel(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(autocast=False)  # the network itself knows what may be rounded
            self.arrays = {path: new_variable(path, shape) for path, shape in sizes.shapes().items()}
            self.built = True

        def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
            weights = {path: keras.ops.cast(array, self.compute_dtype) for path, array in self.arrays.items()}
            return network(sizes, joined(sizes, weights), inputs)

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            return smoothed_error(y_pred, y, x["present"], sample_weight, bank)

    return Trainee(ConditionalModel(), conditional_arrays, sizes.to_network())


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


def new_variable(path: str, shape: tuple[int, ...]) -> Any:
    """One array of the network, as it is before training."""
    from nwb_cascade.architectures.backend import keras

    layer, _, part = path.partition("/")
    with keras.name_scope(layer):
        return keras.Variable(_initializer(layer, part), shape=shape, dtype="float32", name=part)


def _initializer(layer: str, part: str) -> Any:
    """How an array begins: gains at 1, offsets at 0, residual layers near the identity, few spikes expected."""
    from nwb_cascade.architectures.backend import keras

    initializers = keras.initializers
    if f"{layer}/{part}" == CODES:
        return initializers.RandomUniform()
    if part == "bias":
        return initializers.Constant({"output": -3.0}.get(layer, 1.0 if layer.endswith("_film_gain") else 0.0))
    if "_film_" in layer:
        return initializers.Zeros()
    # Small first steps: each layer begins near the identity, so depth needs no normalisation layer.
    return initializers.VarianceScaling(0.3) if layer.endswith("_conv") else initializers.GlorotUniform()
