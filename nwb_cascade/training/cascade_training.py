"""The published Cascade network as something to train, in dense form: one loss per frame, no windows in memory.

The layers and sizes are Cascade's (Rupprecht et al. 2021, Methods): every output frame is what the published network
gives for its window, so the weights serve either form. Pooling by two becomes a running maximum, and what follows
is dilated by two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.cascade import CASCADE, n_time_steps
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.errors import InputError
from nwb_cascade.training.bank import RateRange, SegmentBank
from nwb_cascade.training.batches import TrainingBatch
from nwb_cascade.training.recordings import KnownRecording
from nwb_cascade.training.steps import (
    Arrays,
    TrainedNetwork,
    Trainee,
    TrainingSettings,
    finished_network,
    train_network,
)
from nwb_cascade.training.training_plan import Bundle, MemberProgress, TrainingPlan, labelled
from nwb_cascade.training.warm_start import WarmStart

CASCADE_NETWORK = {"filter_sizes": [31, 19, 5], "filter_numbers": [30, 40, 50], "dense_width": 10}
CASCADE_WINDOW, CASCADE_BEFORE = 64, 32


def train_cascade(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> Bundle:
    """Train a family of published networks: one ensemble per noise level; see ``plans.run_plan``."""
    if start is not None:
        raise InputError("Expected a start for a conditional model only; leave it out for architecture 'cascade'.")
    rate = float(plan.imaging_rate or 0)
    bank = plan.bank(
        recordings, lambda name: 0, plan.settings.seed, rates=RateRange((rate, rate), (rate, rate), upsampling=np.inf)
    )
    family = _Family(plan, bank, smoothing_kernel(plan.kernel, plan.smoothing_s, rate), folder, progress)
    arrays: dict[str, NDArray[np.float32]] = {}
    for member in range(plan.ensemble_size):
        before: TrainedNetwork | None = None
        for level in plan.noise_levels:
            before = family.train(level, member, before)
            for key, value in bundle_arrays(before.weights).items():
                arrays[f"{level:g}/{member}/{key}"] = value
    return cascade_config(plan, recordings), arrays


def cascade_config(plan: TrainingPlan, recordings: Sequence[KnownRecording]) -> ModelConfig:
    """Configuration of the family that a plan trains."""
    rate = float(plan.imaging_rate or 0)
    return ModelConfig(
        name=plan.name,
        version="1",
        architecture=CASCADE.name,
        model_rates_hz=(rate, rate),
        kernel=plan.kernel,
        smoothing_s=plan.smoothing_s,
        noise_levels=tuple(float(level) for level in plan.noise_levels),
        ensemble_size=plan.ensemble_size,
        window_size=CASCADE_WINDOW,
        before_frames=CASCADE_BEFORE,
        network={**CASCADE_NETWORK, **plan.network},
        training_datasets=tuple(sorted({r.dataset for r in recordings})),
        indicators=tuple(sorted({r.indicator for r in recordings})),
        extra=plan.record(recordings),
    )


@dataclass(frozen=True, eq=False)
class _Family:
    """What all networks of a family share."""

    plan: TrainingPlan
    bank: SegmentBank
    kernel: NDArray[np.float64]
    folder: Path
    progress: MemberProgress | None

    def train(self, level: float, member: int, before: TrainedNetwork | None) -> TrainedNetwork:
        """Train one network for one noise level; ``before`` is that of the level before."""
        label = f"noise{level:g}-member{member}"
        network = {**CASCADE_NETWORK, **self.plan.network}
        make = partial(cascade_trainee, network, CASCADE_WINDOW, CASCADE_BEFORE, self.kernel)
        settings = _level_settings(self.plan, level, member, is_first=before is None)
        return finished_network(make, settings, self.folder / label) or train_network(
            make,
            quiet_enough(self.bank, level),
            settings,
            self.folder / label,
            start=None if before is None or self.plan.later_steps is None else before.weights,
            progress=labelled(self.progress, label),
        )


def _level_settings(plan: TrainingPlan, level: float, member: int, *, is_first: bool) -> TrainingSettings:
    """Settings of one network: noise of its level alone, and fewer steps where it starts from the level before."""
    augmentation = replace(plan.settings.augmentation, noise_levels=(level, level), high_noise_share=0.0)
    settings = replace(plan.member_settings(member), augmentation=augmentation)
    if is_first or plan.later_steps is None:
        return settings
    return replace(
        settings,
        n_steps=plan.later_steps,
        decay_steps=max(plan.later_steps // 2, 1),
        warmup_steps=min(settings.warmup_steps, plan.later_steps // 10),
    )


def cascade_trainee(
    network: Mapping[str, Any], window_size: int, before_frames: int, kernel: NDArray[np.float64]
) -> Trainee:
    """Build a Cascade network whose targets are spikes smoothed by ``kernel``.

    Parameters
    ----------
    network : mapping
        ``filter_sizes`` and ``filter_numbers`` (three each) and ``dense_width``.
    window_size, before_frames : int
        Frames of the window, and how many of them come before the output frame.
    kernel : numpy.ndarray
        As made by ``nwb_cascade.core.kernels.smoothing_kernel``.
    """
    from nwb_cascade.architectures.backend import keras

    layers, ops = keras.layers, keras.ops
    sizes, numbers, width = network["filter_sizes"], network["filter_numbers"], network["dense_width"]
    n_steps = n_time_steps(window_size, sizes)
    # A convolution in Keras is a correlation, hence the reversal.
    target_kernel = np.asarray(kernel[::-1, None, None], np.float32)
    after = window_size - 1 - before_frames

    class CascadeModel(keras.Model):  # type: ignore[misc]
        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            y = ops.convert_to_tensor(y)
            counts, present = y[..., 0], y[..., 1]
            truth = ops.conv(ops.expand_dims(counts, -1), ops.convert_to_tensor(target_kernel), padding="same")[..., 0]
            usable = ops.cast(_all_in_window(present, window_size), "float32")
            # A network that computes in bfloat16 is still judged in float32.
            error = ops.square(ops.cast(y_pred, "float32") - truth[:, before_frames : truth.shape[1] - after]) * usable
            return ops.sum(error) / ops.maximum(ops.sum(usable), 1.0)

    trace = keras.Input((None,), name="trace")
    x = ops.expand_dims(trace, -1)
    x = layers.Conv1D(numbers[0], sizes[0], activation="relu", name="conv1")(x)
    x = layers.Conv1D(numbers[1], sizes[1], activation="relu", name="conv2")(x)
    x = ops.maximum(x[:, :-1], x[:, 1:])
    x = layers.Conv1D(numbers[2], sizes[2], dilation_rate=2, activation="relu", name="conv3")(x)
    x = ops.maximum(x[:, :-2], x[:, 2:])
    x = layers.Dense(width, activation="relu", name="dense")(x)
    x = layers.Conv1D(1, n_steps, dilation_rate=4, name="output")(x)
    out = ops.squeeze(x, -1)
    # The network reads less than its window where the poolings leave an odd frame over at the window's end.
    unread = window_size - 1 - (sizes[0] - 1 + sizes[1] - 1 + 1 + 2 * (sizes[2] - 1) + 2 + 4 * (n_steps - 1))
    model = CascadeModel({"trace": trace}, out[:, :-unread] if unread else out)
    record = {**network, "window_size": window_size, "before_frames": before_frames, "kernel": kernel.tolist()}
    return Trainee(model, cascade_arrays, record)


def cascade_arrays(batch: TrainingBatch) -> Arrays:
    """A batch as the Cascade network takes it; every recording counts alike, as published.

    The targets are counts and, behind them, which frames were measured: only the loss looks at those.
    """
    targets = np.stack([batch.counts, batch.present], axis=-1)
    return {"trace": batch.trace}, targets, np.ones(len(batch.trace), np.float32)


def quiet_enough(bank: SegmentBank, noise_level: float) -> SegmentBank:
    """The part of a bank whose segments are no noisier than a level; a ValueError if nothing is left."""
    quiet = [[tuple(s for s in cell if s.noise_level <= noise_level) for cell in cells] for cells in bank.cells]
    return SegmentBank.assemble(
        {
            name: ([cell for cell in cells if cell], share)
            for name, cells, share in zip(bank.datasets, quiet, bank.shares, strict=True)
        }
    )


def bundle_arrays(weights: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Weights as a bundle holds them: the output layer flattened, time as the slower index."""
    arrays = dict(weights)
    arrays["output/kernel"] = weights["output/kernel"].reshape(-1, 1)
    return arrays


def _all_in_window(present: Any, window_size: int) -> Any:
    """Which windows have no absent frame: (batch, n - window_size + 1)."""
    from nwb_cascade.architectures.backend import keras

    ops = keras.ops
    ones = ops.ones((window_size, 1, 1))
    counted = ops.conv(ops.expand_dims(present, -1), ones, padding="valid")[..., 0]
    return counted > window_size - 0.5
