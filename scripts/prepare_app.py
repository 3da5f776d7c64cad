"""Write what the browser app needs of this package: the bundled model as ONNX, facts, and vectors for its tests.

``python -m scripts.prepare_app`` fills ``docs/app/public/model`` and ``docs/app/tests/vectors.json``, which are not in
the repository: page and package come from one source and cannot drift.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import h5py
import numpy as np
from ndx_spike_inference import SpikeInferenceModel
from pynwb import NWBHDF5IO, NWBFile

from ground_truth_nwb.indicators import INDICATORS
from nwb_cascade.architectures import conditional
from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.architectures.told import NOISE_CENTRE, RATE_CENTRE
from nwb_cascade.architectures.told_sizes import CONDITION
from nwb_cascade.core import count_model
from nwb_cascade.core.count_model import FITS
from nwb_cascade.core.indicators import INTERNEURON
from nwb_cascade.core.noise import LEVEL_PER_STD
from nwb_cascade.core.spike_counts import COUNT_MODELS, DEFAULT_LEVEL
from nwb_cascade.dff import DffMethod
from nwb_cascade.models.bundle import Model, make_model
from nwb_cascade.models.export import export_onnx
from nwb_cascade.models.library import load_model
from nwb_cascade.provenance import software_version
from scripts.app_vectors import vectors

MODEL = "conditional-1-120Hz"
APP = Path(__file__).parents[1] / "docs" / "app"
FISH = "Danio rerio"


def facts(model: Model) -> dict[str, Any]:
    """What the page has to know: the model, how networks are told of a recording, and the table of indicators."""
    config = model.config
    sizes = ConditionalSizes.from_network(config.network)
    codes = ["", *sizes.indicators, *(f"near {name}" for name in sizes.indicators)]

    def told(name: str | None, species: str | None) -> dict[str, Any]:
        found = conditional.CONDITIONAL.told(name, config, species)
        return {"code": codes.index(found.indicator or ""), "name": found.indicator, "sentence": found.sentence}

    return {
        "software_version": software_version(),
        "name": config.name,
        "weights_sha256": model.sha256,
        "config": {key: value for key, value in asdict(config).items() if key != "extra"},
        "family": config.extra.get("family", config.architecture),
        "configuration": config.to_json(),
        "conditions": sizes.conditions,
        "halo": sizes.halo,
        "stride": sizes.stride,
        "members": config.ensemble_size,
        "noise_range": [min(config.noise_levels), max(config.noise_levels)],
        "rates": list(config.model_rates_hz),
        "smoothing_s": config.smoothing_s,
        "noise_centre": NOISE_CENTRE,
        "rate_centre": RATE_CENTRE,
        "level_per_std": LEVEL_PER_STD,
        "dff_method": asdict(DffMethod()),
        "indicators": [
            {
                "name": one.name,
                "spellings": [one.name, *one.spellings],
                "largest_dff": one.largest_dff,
                "told": {
                    "": told(one.name, None),
                    FISH: told(one.name, FISH),
                    INTERNEURON: told(f"{one.name} ({INTERNEURON})", None),
                },
            }
            for one in INDICATORS.values()
        ],
        "unknown": told(None, None),
        "counts": {
            **{key: config.extra[COUNT_MODELS][key] for key in (*FITS, "met_indicators")},
            "level": DEFAULT_LEVEL,
            "rate_floor": count_model.RATE_FLOOR,
            "noise_centre": count_model.NOISE_CENTRE,
            "noise_range": list(count_model.NOISE_RANGE),
            "noise_step": count_model.NOISE_STEP,
            "window_range_s": list(count_model.WINDOW_RANGE_S),
            "least_spread": count_model.LEAST_SPREAD,
            "expected_bits": count_model.EXPECTED_BITS,
            "nodes": count_model.NODES.tolist(),
            "node_weights": count_model.NODE_WEIGHTS.tolist(),
        },
    }


def other(model: Model) -> Model:
    """The model with the other number of conditions, by arrays of its own: what the page may be built with next."""
    config, rng = model.config, np.random.default_rng(1)
    sizes = ConditionalSizes.from_network(config.network)
    told = replace(sizes, conditions=5 - sizes.conditions)
    weights = dict(model.weights)
    for member in range(config.ensemble_size):
        kernel = weights[f"{member}/{CONDITION}"]
        noise_and_rate, codes = kernel[:2], kernel[sizes.conditions :]
        activity = rng.normal(0, 0.05, (told.conditions - 2, kernel.shape[1])).astype(np.float32)
        weights[f"{member}/{CONDITION}"] = np.concatenate([noise_and_rate, activity, codes])
    return make_model(replace(config, name="other", network=told.to_network()), weights)


def specifications() -> dict[str, dict[str, dict[str, str]]]:
    """The schemas that NWB files hold of themselves: namespace, version and source to JSON."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.nwb"
        nwbfile = NWBFile("a", "a", datetime(2000, 1, 1, tzinfo=timezone.utc))
        model = SpikeInferenceModel(
            name="a",
            **dict.fromkeys(("version", "family", "architecture", "description"), "a"),
            configuration="{}",
            weights_sha256="0" * 64,
            kernel="gaussian",
            smoothing_s=0.0,
            ensemble_size=1,
            software_name="a",
            software_version="a",
            model_rates_hz=np.ones(2),
            noise_levels=np.ones(1),
        )
        nwbfile.create_processing_module("ophys", "a").add(model)
        with NWBHDF5IO(path, "w") as io:
            io.write(nwbfile)
        with h5py.File(path) as file:
            return {
                name: {
                    number: {source: text[()].decode() for source, text in sources.items()}
                    for number, sources in versions.items()
                }
                for name, versions in file["specifications"].items()
            }


@click.command()
@click.option("--app", type=click.Path(file_okay=False, path_type=Path), default=APP, help="Folder of the app.")
def main(app: Path) -> None:
    """Write model, facts and test vectors of the browser app."""
    model = load_model(MODEL)
    folder = app / "public" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    export_onnx(model, folder / "model.onnx", overwrite=True)
    (folder / "facts.json").write_text(json.dumps(facts(model)))
    (folder / "specifications.json").write_text(json.dumps(specifications()))
    (app / "tests").mkdir(exist_ok=True)
    another = other(model)
    export_onnx(another, app / "tests" / "other.onnx", overwrite=True)
    (app / "tests" / "vectors.json").write_text(json.dumps(vectors(model, another)))


if __name__ == "__main__":
    main()
