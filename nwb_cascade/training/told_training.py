"""Networks that are told of their recordings as something to train: their variables, and one network of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nwb_cascade.architectures.told import joined
from nwb_cascade.architectures.told_networks import Network
from nwb_cascade.architectures.told_sizes import CODES, Sizes, ToldSizes
from nwb_cascade.training.batches import TrainingBatch
from nwb_cascade.training.conditional_bundle import TrainedMember, describe_member
from nwb_cascade.training.folds import split
from nwb_cascade.training.recordings import KnownRecording
from nwb_cascade.training.steps import Arrays, Trainee, finished_network, train_network
from nwb_cascade.training.training_plan import MemberProgress, TrainingPlan, labelled
from nwb_cascade.training.warm_start import WarmStart

Loss = Callable[[Any, Any, Any, Any], Any]


def train_told_member(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    member: int,
    folder: Path,
    sizes: ToldSizes,
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


def told_trainee(
    sizes: Sizes, network: Network[Sizes], arrays: Callable[[TrainingBatch], Arrays], loss: Loss
) -> Trainee:
    """Build a network of these sizes; ``loss`` takes what it gave, counts, which frames are present, and weights."""
    from nwb_cascade.architectures.backend import keras

    class ToldModel(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(autocast=False)  # the network itself knows what may be rounded
            self.arrays = {path: _variable(path, shape) for path, shape in sizes.shapes().items()}
            self.built = True

        def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
            weights = {path: keras.ops.cast(array, self.compute_dtype) for path, array in self.arrays.items()}
            return network(sizes, joined(sizes, weights), inputs)

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            return loss(y_pred, y, x["present"], sample_weight)

    return Trainee(ToldModel(), arrays, sizes.to_network())


def _variable(path: str, shape: tuple[int, ...]) -> Any:
    """One array of a network, as it is before training."""
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
