"""SpikeInferenceModel keeps what it is given and refuses what contradicts the specification."""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
import pytest
from ndx_spike_inference import SpikeInferenceModel
from ndx_spike_inference.testing.mock import mock_SpikeInferenceModel

OWNER = "SpikeInferenceModel 'model': "
SHA256 = "0123456789abcdef" * 4


def test_keeps_every_argument() -> None:
    model = SpikeInferenceModel(
        name="model",
        version="1.2",
        family="conditional",
        architecture="residual dilated stack",
        kernel="causal",
        smoothing_s=0.05,
        ensemble_size=3,
        weights_sha256=SHA256,
        software_name="software",
        software_version="9.8",
        description="For tests.",
        model_rates_hz=[5.0, 60.0],
        noise_levels=[0.7, 12.0],
        configuration='{"width": 40}',
        training_datasets=["DS09"],
        license="MIT",
        citation="Nobody (2026)",
    )
    assert (model.name, model.version, model.family) == ("model", "1.2", "conditional")
    assert (model.architecture, model.kernel, model.smoothing_s) == ("residual dilated stack", "causal", 0.05)
    assert (model.ensemble_size, model.weights_sha256) == (3, SHA256)
    assert (model.software_name, model.software_version) == ("software", "9.8")
    assert (model.description, model.license, model.citation) == ("For tests.", "MIT", "Nobody (2026)")
    assert (model.model_rates_hz, model.noise_levels) == ([5.0, 60.0], [0.7, 12.0])
    assert (model.configuration, model.training_datasets) == ('{"width": 40}', ["DS09"])


def test_optional_fields_default_to_none() -> None:
    model = mock_SpikeInferenceModel(training_datasets=None, license=None, citation=None)
    assert (model.training_datasets, model.license, model.citation) == (None, None, None)


def test_integer_smoothing_becomes_a_float() -> None:
    assert isinstance(mock_SpikeInferenceModel(smoothing_s=0).smoothing_s, float)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"kernel": "boxcar"}, "expected kernel to be one of 'gaussian', 'causal', received 'boxcar'."),
        (
            {"weights_sha256": "abc"},
            "expected weights_sha256 as 64 lower-case hexadecimal digits, received 3 characters: 'abc'.",
        ),
        (
            {"weights_sha256": SHA256.upper()},
            f"expected weights_sha256 as 64 lower-case hexadecimal digits, received 64 characters: '{SHA256.upper()}'.",
        ),
        (
            {"weights_sha256": SHA256 + "\n"},
            f"expected weights_sha256 as 64 lower-case hexadecimal digits, received 65 characters: '{SHA256}\\n'.",
        ),
        (
            {"configuration": "{'width': 40}"},
            "expected configuration as the text of a JSON object, received text that is not JSON: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
        ),
        (
            {"configuration": '{"width": NaN}'},
            "expected configuration as the text of a JSON object, received text that is not JSON: "
            "NaN is not a JSON value.",
        ),
        (
            {"configuration": "[1, 2]"},
            "expected configuration as the text of a JSON object, received another JSON value: [1, 2].",
        ),
        (
            {"model_rates_hz": [30.0]},
            "expected model_rates_hz of shape (lowest, highest) = (2,), received (1,).",
        ),
        (
            {"model_rates_hz": np.array([60.0, 5.0])},
            "expected 0 < lowest <= highest in model_rates_hz, received [60.0, 5.0].",
        ),
        (
            {"model_rates_hz": (0.0, 30.0)},
            "expected 0 < lowest <= highest in model_rates_hz, received [0.0, 30.0].",
        ),
        (
            {"noise_levels": np.ones((2, 2))},
            "expected noise_levels of shape (n_noise_levels,) = (any,), received (2, 2).",
        ),
        (
            {"training_datasets": [["DS09", "DS10"]]},
            "expected training_datasets of shape (n_datasets,) = (any,), received (1, 2).",
        ),
        ({"smoothing_s": -0.1}, "expected finite smoothing_s >= 0, received -0.1."),
        ({"smoothing_s": float("nan")}, "expected finite smoothing_s >= 0, received nan."),
        ({"ensemble_size": 0}, "expected ensemble_size >= 1, received 0."),
    ],
)
def test_refuses_with_what_was_expected_and_received(replaced: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(OWNER + message)}$"):
        mock_SpikeInferenceModel(name="model", **replaced)


def test_values_on_disk_are_not_read(tmp_path, monkeypatch) -> None:
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        rates = file.create_dataset("rates", data=[60.0, 5.0])
        levels = file.create_dataset("levels", data=[2.0])
        monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("the dataset was read"))
        monkeypatch.setattr(h5py.Dataset, "__array__", lambda *_, **__: pytest.fail("the dataset was read"))
        model = mock_SpikeInferenceModel(model_rates_hz=rates, noise_levels=levels)
        assert model.model_rates_hz is rates
