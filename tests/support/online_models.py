"""A small online model with random weights, for tests of what does not depend on training."""

from __future__ import annotations

import numpy as np

from nwb_cascade.architectures.online import ONLINE
from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.models.bundle import Model, make_model

SIZES = OnlineSizes(
    channels=8, dilations=(1, 2, 4), hidden=10, delays=(0, 1, 2, 4), whole_delay=2, indicators=("GCaMP6f", "GCaMP6s")
)


def online_model(sizes: OnlineSizes = SIZES, *, n_networks: int = 2, seed: int = 0) -> Model:
    """Make a model whose outputs vary with all that it is told."""
    rng = np.random.default_rng(seed)
    config = ModelConfig(
        name="online-test",
        version="1",
        architecture=ONLINE.name,
        model_rates_hz=(1.0, 120.0),
        kernel="gaussian",
        smoothing_s=0.05,
        noise_levels=(0.3, 30.0),
        ensemble_size=n_networks,
        window_size=sizes.context + 1 + sizes.delays[-1],
        before_frames=sizes.context,
        network=sizes.to_network(),
        training_datasets=(),
        indicators=sizes.indicators,
    )
    weights = {}
    for key, shape in ONLINE.shapes(config).items():
        spread = 0.2 if key.endswith("bias") else 1.2 / np.sqrt(max(int(np.prod(shape[:-1])), 1))
        gain = 1.0 if key.endswith("gain/bias") else 0.0
        weights[key] = (gain + spread * rng.standard_normal(shape)).astype(np.float32)
    return make_model(config, weights)
