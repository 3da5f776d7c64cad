"""Provenance is the same text for the same inputs, and names no folders."""

import json
import math

import pytest

from nwb_cascade.provenance import run_key, run_parameters, source_provenance


def key(**changes: object) -> str:
    source = {"object_id": "x", "n_rois": 3, **changes}
    return run_key(source=source, weights_sha256="ab", parameters={"threshold": "raw", "rate": 30.0})


def test_the_key_depends_on_the_inputs_alone() -> None:
    assert key() == key()
    assert len(key()) == 64
    assert key() != key(n_rois=4)
    assert key() != run_key(source={"object_id": "x", "n_rois": 3}, weights_sha256="ab", parameters={})


def test_order_does_not_change_the_key() -> None:
    one = run_key(source={"a": 1, "b": 2}, weights_sha256="", parameters={})
    assert one == run_key(source={"b": 2, "a": 1}, weights_sha256="", parameters={})


def test_values_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        run_key(source={"rate": math.nan}, weights_sha256="", parameters={})


@pytest.mark.parametrize("path", ["/home/ada/data/mouse 1.nwb", "C:\\Users\\ada\\mouse 1.nwb", "mouse 1.nwb"])
def test_the_source_is_named_without_its_folders(path: str) -> None:
    source = {"path": path, "object_path": "/processing/ophys/DfOverF/a", "object_id": "x", "asset_id": "y"}
    text = source_provenance(source, n_rois=3, n_frames=100, imaging_rate=30.0)
    assert json.loads(text) == {
        "file_name": "mouse 1.nwb",
        "object_path": "/processing/ophys/DfOverF/a",
        "object_id": "x",
        "asset_id": "y",
        "n_rois": 3,
        "n_frames": 100,
        "imaging_rate_hz": 30.0,
    }


def test_parameters_tell_why_this_model_and_which_software() -> None:
    values = json.loads(run_parameters({"threshold": "raw"}, reason="It fits."))
    assert values["threshold"] == "raw"
    assert values["model_choice"] == "It fits."
    assert {"nwb-cascade", "numpy", "pynwb"} <= set(values["software"])
