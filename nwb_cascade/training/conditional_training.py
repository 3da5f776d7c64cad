"""The conditional network as something to train: its inputs, targets and loss."""

from __future__ import annotations

from typing import Any

from nwb_cascade.architectures.conditional import ConditionalSizes, build_network, conditions
from nwb_cascade.training.batches import TrainingBatch
from nwb_cascade.training.losses import SCALE_SHARES, smoothed_error, smoothing_bank
from nwb_cascade.training.steps import Arrays, Trainee


def conditional_trainee(sizes: ConditionalSizes, scale_shares: tuple[float, ...] = SCALE_SHARES) -> Trainee:
    """Build a conditional network with its loss: squared error of smoothed counts at three time scales."""
    import keras

    bank = smoothing_bank(scale_shares)

    class ConditionalModel(keras.Model):  # type: ignore[misc]
        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            return smoothed_error(y_pred, y, x["present"], sample_weight, bank)

    return Trainee(build_network(sizes, ConditionalModel), conditional_arrays, sizes.to_network())


def conditional_arrays(batch: TrainingBatch) -> Arrays:
    """A batch as the conditional network takes it."""
    inputs = {
        "trace": batch.trace,
        "present": batch.present,
        "condition": conditions(batch.noise_level, batch.imaging_rate),
        "indicator": batch.indicator,
    }
    return inputs, batch.counts, batch.weight
