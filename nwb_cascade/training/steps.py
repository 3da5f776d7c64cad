"""Train one network of any architecture: seeded batches, AdamW, averaged weights, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.training.bank import SegmentBank
from nwb_cascade.training.batches import Augmentation, TrainingBatch, draw_batch
from nwb_cascade.training.checkpoint import load_checkpoint, save_checkpoint

StepProgress = Callable[[int, int, Mapping[str, float]], None]
Arrays = tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.float32]]
HELD_OUT_BATCHES = 8
PREFETCHED = 4


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the outcome of a training, apart from its data and the network.

    ``n_steps`` batches of ``batch_size`` crops of ``n_frames`` frames; AdamW with ``weight_decay``, the learning
    rate rising to ``learning_rate`` over ``warmup_steps``, staying there, and falling to 0 over the last
    ``decay_steps``; gradients cut at norm ``clip_norm``; the weights that are kept are a running average with
    ``average_momentum``. Because the plateau does not depend on it, ``n_steps`` may be changed between two runs of
    one training, as long as its fall has not begun: a training can be cut short or prolonged. ``precision`` is a
    Keras dtype policy: ``mixed_bfloat16`` is faster on processors that have it; weights stay float32.
    """

    n_steps: int = 12_000
    batch_size: int = 24
    n_frames: int = 512
    learning_rate: float = 3e-3
    warmup_steps: int = 300
    decay_steps: int = 2_000
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    average_momentum: float = 0.998
    unknown_share: float = 0.25
    silent_share: float = 0.12
    checkpoint_steps: int = 500
    seed: int = 0
    precision: str = "float32"
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, eq=False)
class Trainee:
    """A network about to be trained.

    Parameters
    ----------
    model : keras.Model
        Not compiled; its ``compute_loss`` is the architecture's own.
    arrays : callable
        A batch as the model takes it: inputs, targets and weights.
    sizes : mapping
        What the network was built from, JSON-able; a checkpoint of other sizes is refused.
    """

    model: Any
    arrays: Callable[[TrainingBatch], Arrays]
    sizes: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """Weights by layer (``"{layer}/{kernel|bias}"`` → float32) and the losses seen at each checkpoint."""

    weights: dict[str, NDArray[np.float32]]
    history: list[dict[str, float]]


def train_network(
    make: Callable[[], Trainee],
    bank: SegmentBank,
    settings: TrainingSettings,
    folder: Path,
    *,
    start: Mapping[str, NDArray[np.float32]] | None = None,
    held_out: SegmentBank | None = None,
    progress: StepProgress | None = None,
) -> TrainedNetwork:
    """Train one network, from its last checkpoint if the folder has one.

    Parameters
    ----------
    make : callable
        Builds the network; called after the seed is set.
    bank : SegmentBank
        What to train on.
    settings : TrainingSettings
        How.
    folder : pathlib.Path
        Of the checkpoint.
    start : mapping, optional
        Weights to begin with, as ``TrainedNetwork.weights`` of a network of the same sizes; random ones otherwise.
    held_out : SegmentBank, optional
        Recordings whose loss is reported at each checkpoint; they never influence the training.
    progress : callable, optional
        Called as ``progress(step, n_steps, losses)`` at each checkpoint.

    Raises
    ------
    ValueError
        If the folder holds the checkpoint of another training.
    """
    from nwb_cascade.architectures.backend import keras

    trainee, record, first, history = _start(make, settings, folder, start)
    model = trainee.model
    tests = [trainee.arrays(batch) for batch in _test_batches(held_out, settings)]
    total, count = 0.0, 0
    for step, arrays in _batches(bank, settings, first, trainee.arrays):
        total += _loss(model, model.train_on_batch, arrays)
        count += 1
        if (step + 1) % settings.checkpoint_steps == 0 or step + 1 == settings.n_steps:
            losses = {"step": float(step + 1), "loss": total / count}
            if tests:
                losses["held_out_loss"] = float(np.mean([_loss(model, model.test_on_batch, test) for test in tests]))
            total, count = 0.0, 0
            history.append(losses)
            state = [keras.ops.convert_to_numpy(variable) for variable in training_state(model)]
            save_checkpoint(folder, step + 1, state, {**record, "history": history})
            if progress is not None:
                progress(step + 1, settings.n_steps, losses)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return TrainedNetwork(network_weights(model), history)


def _loss(model: Any, on_batch: Callable[..., Any], arrays: Arrays) -> float:
    """Loss of one batch; Keras up to 3.12 would give the mean over all batches so far."""
    model.reset_metrics()
    return float(on_batch(*arrays))


def finished_network(make: Callable[[], Trainee], settings: TrainingSettings, folder: Path) -> TrainedNetwork | None:
    """The network of a training that has taken all its steps; None if steps are left. Raises as ``train_network``."""
    found = load_checkpoint(folder)
    if found is None or found[0] < settings.n_steps:
        return None
    trainee, _, _, history = _start(make, settings, folder)
    trainee.model.optimizer.finalize_variable_values(trainee.model.trainable_variables)
    return TrainedNetwork(network_weights(trainee.model), history)


def network_weights(network: Any) -> dict[str, NDArray[np.float32]]:
    """Weights of a network by ``"{layer}/{kernel|bias|embeddings}"``."""
    from nwb_cascade.architectures.backend import keras

    return {v.path: np.asarray(keras.ops.convert_to_numpy(v), np.float32) for v in network.weights}


def training_state(model: Any) -> list[Any]:
    """All variables of a compiled model and its optimiser, in their order: what a checkpoint holds."""
    return [*model.weights, *model.optimizer.variables]


def _start(
    make: Callable[[], Trainee],
    settings: TrainingSettings,
    folder: Path,
    start: Mapping[str, NDArray[np.float32]] | None = None,
) -> tuple[Trainee, dict[str, Any], int, list[dict[str, float]]]:
    """Build and compile the network and take up its checkpoint: (trainee, record, next step, losses so far)."""
    from nwb_cascade.architectures.backend import keras

    keras.utils.set_random_seed(settings.seed)
    with _precision(settings.precision):
        trainee = make()
    model = trainee.model
    if start is not None:
        for variable in model.weights:
            variable.assign(start[variable.path])
    model.compile(optimizer=_optimizer(settings), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    record = {"settings": asdict(settings), "sizes": dict(trainee.sizes)}
    first, history = _resume(folder, model, record)
    return trainee, record, first, history


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Build layers under a dtype policy."""
    from nwb_cascade.architectures.backend import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _optimizer(settings: TrainingSettings) -> Any:
    from nwb_cascade.architectures.backend import keras

    return keras.optimizers.AdamW(
        _schedule(settings),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm,
        use_ema=True,
        ema_momentum=settings.average_momentum,
    )


def _schedule(settings: TrainingSettings) -> Any:
    """Learning rate by step: a rise, a plateau that does not depend on the number of steps, a fall to 0."""
    from nwb_cascade.architectures.backend import keras

    ops = keras.ops

    class Plateau(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            step = ops.cast(step, "float32")
            rise = (step + 1.0) / max(settings.warmup_steps, 1)
            fall = (settings.n_steps - step) / max(settings.decay_steps, 1)
            return settings.learning_rate * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)

        def get_config(self) -> dict[str, Any]:
            return asdict(settings)

    return Plateau()


def _resume(folder: Path, model: Any, record: dict[str, Any]) -> tuple[int, list[dict[str, float]]]:
    """Load the checkpoint of this very training into the model; returns the next step and the losses so far."""
    found = load_checkpoint(folder)
    if found is None:
        return 0, []
    step, values, stored = found
    history: list[dict[str, float]] = stored.pop("history")
    # JSON turns tuples into lists, so both sides are compared as JSON.
    wanted = json.loads(json.dumps(record))
    fall = stored["settings"]["n_steps"] - stored["settings"]["decay_steps"]
    if step <= fall:
        stored["settings"]["n_steps"] = wanted["settings"]["n_steps"]
    if stored != wanted:
        raise ValueError(
            f"Expected {folder} to hold a checkpoint of this training, received one of other settings or sizes. "
            "Choose another folder, or remove the checkpoint to start anew."
        )
    for variable, value in zip(training_state(model), values, strict=True):
        variable.assign(value)
    return step, history


def _batches(
    bank: SegmentBank, settings: TrainingSettings, first: int, arrays: Callable[[TrainingBatch], Arrays]
) -> Iterator[tuple[int, Arrays]]:
    """Steps from ``first`` on with their batches, made a few steps ahead in a thread of their own."""

    def draw(step: int) -> Arrays:
        batch = draw_batch(
            bank,
            np.random.default_rng((settings.seed, 0, step)),
            batch_size=settings.batch_size,
            n_frames=settings.n_frames,
            augmentation=settings.augmentation,
            unknown_share=settings.unknown_share,
            silent_share=settings.silent_share,
        )
        return arrays(batch)

    steps = range(first, settings.n_steps)
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(draw, step) for step in steps[:PREFETCHED]]
        for step in steps:
            yield step, ahead.pop(0).result()
            if step + PREFETCHED in steps:
                ahead.append(pool.submit(draw, step + PREFETCHED))


def _test_batches(bank: SegmentBank | None, settings: TrainingSettings) -> Iterator[TrainingBatch]:
    """A few fixed batches of held-out recordings, with noise but without perturbations."""
    if bank is None:
        return
    for index in range(HELD_OUT_BATCHES):
        yield draw_batch(
            bank,
            np.random.default_rng((settings.seed, 1, index)),
            batch_size=settings.batch_size,
            n_frames=settings.n_frames,
            augmentation=None,
            unknown_share=0.0,
        )
