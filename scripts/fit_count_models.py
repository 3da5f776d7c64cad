"""Fit the intervals of a model's spike counts on ground truth and store them in its bundle.

    python -m scripts.fit_count_models nwb_cascade/models/bundled/NAME --ground-truth ../shared/ground_truth

The networks of the model must have left out some animals each (``nwb-cascade train --folds``): every cell is predicted
by those that never saw its animal. The weights stay as they are. One core needs some minutes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.spike_counts import COUNT_MODELS
from nwb_cascade.evaluation.count_fit import fit_count_models
from nwb_cascade.models.bundle import load_bundle, save_bundle
from nwb_cascade.training.recordings import KnownRecording, load_recordings


def with_count_models(config: ModelConfig, weights: Weights, recordings: list[KnownRecording]) -> ModelConfig:
    """Return the configuration of a model with its count models fitted."""
    fitted = fit_count_models(config, weights, recordings, progress=show)
    print(json.dumps({kind: fitted[kind] for kind in fitted if kind != "held_out"}, indent=1))
    return replace(config, extra={**config.extra, COUNT_MODELS: fitted})


def show(done: int, total: int) -> None:
    """One line per condition."""
    print(f"predicted {done} of {total} conditions", flush=True)


def main() -> None:
    """Fit the count models of a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--ground-truth", type=Path, required=True)
    arguments = parser.parse_args()
    model = load_bundle(arguments.bundle)
    config = with_count_models(model.config, model.weights, load_recordings(arguments.ground_truth))
    is_half = all(np.array_equal(one, one.astype(np.float16)) for one in model.weights.values())
    saved = save_bundle(arguments.bundle, config, model.weights, overwrite=True, half=is_half)
    print(saved.path, saved.sha256, "as before" if saved.sha256 == model.sha256 else f"was {model.sha256}")


if __name__ == "__main__":
    main()
