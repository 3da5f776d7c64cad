"""Inference without TensorFlow: an ensemble that is arithmetic, and a run that uses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.inference_run import InferenceRun
from nwb_cascade.models.bundle import Model
from nwb_cascade.options import InferenceOptions

FAKE_CONFIG = ModelConfig(
    name="fake_30Hz",
    version="1.0",
    architecture="cascade",
    model_rates_hz=(30.0, 30.0),
    kernel="gaussian",
    smoothing_s=0.05,
    noise_levels=(2.0, 4.0),
    ensemble_size=2,
    window_size=8,
    before_frames=4,
    network={},
    training_datasets=("DS09", "DS10"),
    indicators=("GCaMP6f",),
    licence="BSD-3-Clause",
    citation="A paper",
    extra={"published_before_frames": 3, "published_config": {"before_frac": 0.5}},
)
FAKE_SHA256 = "ab" * 32

STORED = 5e-4  # relative error of rates as they are stored, see nwb_cascade.core.precision


@dataclass(frozen=True)
class HalfAndWhole:
    """Two "networks": half of the present frame and the whole of it, so the mean is 0.75 of the trace."""

    before: int = 4
    after: int = 3
    fills_edges: bool = False

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        middle = traces[:, self.before : traces.shape[1] - self.after]
        return np.stack([0.5 * middle, middle])


def fake_run(imaging_rate: float, options: InferenceOptions | None = None) -> InferenceRun:
    """Stand in for `nwb_cascade.inference_run.prepare_run`; the name of the model changes its hash."""
    asked = options or InferenceOptions()
    sha256 = FAKE_SHA256 if asked.model == "auto" else ("cd" * 32)
    return InferenceRun(
        model=Model(FAKE_CONFIG, {}, sha256, None),
        reason="fake_30Hz was made up for tests.",
        networks=NetworkSet((2.0, 4.0), 2, lambda level: HalfAndWhole()),
        imaging_rate=imaging_rate,
        indicator=asked.indicator,
        threshold=asked.threshold,
        alignment="published" if asked.legacy_alignment else "trained",
        kernel="gaussian",
        smoothing_s=0.05,
    )
