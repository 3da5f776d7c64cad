"""Models as ONNX files: the numbers of the engine for every architecture and any length, and what a file says."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from nwb_cascade import infer
from nwb_cascade.architectures.registry import ARCHITECTURES, architecture_of, build_networks
from nwb_cascade.cli import main
from nwb_cascade.core.kernels import smooth, smoothing_kernel
from nwb_cascade.core.reading import FromRest
from nwb_cascade.core.rest_level import from_rest, tell_block
from nwb_cascade.errors import InputError
from nwb_cascade.models import export
from nwb_cascade.models.bundle import make_model
from nwb_cascade.models.export import export_onnx
from nwb_cascade.models.library import load_model
from tests.support.networks import cascade_config, cascade_weights

BUNDLED = {"cascade": "cascade-30Hz-25ms", "conditional": "conditional-1-120Hz", "online": "online-1-120Hz"}
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are checked by onnxruntime: extra onnx")


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", params=sorted(BUNDLED))
def exported(request, tmp_path_factory):
    """A bundled model and its file."""
    model = load_model(BUNDLED[request.param])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert export_onnx(model, path) <= 1e-5
    return model, path


def test_every_architecture_has_a_bundled_model_here():
    assert set(BUNDLED) == set(ARCHITECTURES)


def test_the_file_says_what_it_is_and_what_it_takes(exported):
    model, path = exported
    running = session(path)
    told = running.get_modelmeta().custom_metadata_map
    assert told["model"] == model.config.name
    assert told["version"] == model.config.version
    assert told["licence"] == model.config.licence
    assert told["weights_sha256"] == model.sha256
    assert json.loads(told["config"])["noise_levels"] == list(model.config.noise_levels)
    assert {f"input:{one.name}" for one in running.get_inputs()} == {key for key in told if key.startswith("input:")}
    assert [one.name for one in running.get_outputs()] == ["expected_spikes"]


@pytest.mark.parametrize("n_frames", [65, 128, 1001])
@pytest.mark.parametrize("n_rows", [1, 3])
def test_rows_of_any_number_and_length_give_the_numbers_of_the_engine(exported, n_rows, n_frames):
    model, path = exported
    rows = np.random.default_rng(n_frames).normal(0.1, 0.2, (n_rows, n_frames)).astype(np.float32)
    level = np.full(n_rows, 3.0, np.float32)
    portable = architecture_of(model.config).portable(model.config, model.weights)
    (received,) = session(path).run(None, {"trace": rows, **portable.arrays(level, level / 3, 30.0, "GCaMP6f")})
    ensemble = build_networks(model.config, model.weights, imaging_rate=30.0, indicator="GCaMP6f").ensemble(3.0)
    around = (ensemble.before, ensemble.after) if ensemble.fills_edges else (0, 0)
    expected = ensemble(
        np.pad(rows, ((0, 0), around)), np.pad(np.ones(rows.shape, bool), ((0, 0), around)), level, level / 3
    )
    assert received.shape == expected.shape
    assert received == pytest.approx(expected, abs=1e-5)


def test_missing_frames_are_nan_and_the_file_smoothed_is_what_infer_gives(tmp_path):
    model = load_model(BUNDLED["conditional"])
    export_onnx(model, tmp_path / "m.onnx")
    trace = np.random.default_rng(0).normal(0, 0.2, (1, 700)).astype(np.float32)
    trace[0, 200:230] = np.nan
    result = infer(trace, 30.0, model=model, indicator="GCaMP8m", threshold="raw")
    portable = architecture_of(model.config).portable(model.config, model.weights)
    told = tell_block(trace, 30.0)
    networks = build_networks(model.config, model.weights, imaging_rate=30.0, indicator=None)
    rest = told.rest(slice(None), 700) * isinstance(networks.reading, FromRest)
    arrays = portable.arrays(
        told.noise_level / (1 + rest.mean(axis=1)), told.activity, 30.0, result.parameters["indicator"]
    )
    (members,) = session(tmp_path / "m.onnx").run(None, {"trace": from_rest(trace, rest), **arrays})
    members[:, np.isnan(trace)] = np.nan
    kernel = smoothing_kernel(result.parameters["kernel"], result.parameters["smoothing_s"], 30.0)
    received = smooth(members[:, 0], kernel=kernel).mean(axis=0)
    assert received == pytest.approx(result.expected_spikes[0], abs=1e-5, nan_ok=True)


def test_a_file_with_other_numbers_is_not_written(tmp_path, monkeypatch):
    config = cascade_config()
    model = make_model(config, cascade_weights(config))
    monkeypatch.setattr(export, "build_networks", lambda *_, **__: _Others())
    with pytest.raises(ArithmeticError, match=r"engine's numbers to 1e-05 .* difference of .* for tiny; nothing was"):
        export_onnx(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


class _Others:
    """Networks whose values are those of no model."""

    before, after, fills_edges = 12, 11, False

    def ensemble(self, level):
        return self

    def __call__(self, rows, present, noise, activity):
        return np.full((2, len(rows), rows.shape[1] - 23), 7, np.float32)


def test_a_file_that_exists_is_kept_unless_told_otherwise(tmp_path):
    config = cascade_config()
    model = make_model(config, cascade_weights(config))
    path = tmp_path / "m.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"m\.onnx exists already; pass overwrite=True"):
        export_onnx(model, path)
    assert path.read_bytes() == b"mine"
    export_onnx(model, path, overwrite=True)
    assert session(path).get_modelmeta().custom_metadata_map["model"] == "tiny"


def test_a_name_that_is_no_onnx_file_is_refused(tmp_path):
    config = cascade_config()
    with pytest.raises(InputError, match=r"ends in \.onnx, received .*model\.pb"):
        export_onnx(make_model(config, cascade_weights(config)), tmp_path / "model.pb")


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    config = cascade_config()
    with pytest.raises(ImportError, match=r"pip install 'nwb-cascade\[onnx\]'"):
        export_onnx(make_model(config, cascade_weights(config)), tmp_path / "m.onnx")


def test_the_command_writes_and_says_how_close_it_is(tmp_path):
    result = CliRunner().invoke(main, ["models", "export", BUNDLED["cascade"], str(tmp_path / "m.onnx")])
    assert result.exit_code == 0, result.output
    assert "gives the numbers of the engine to" in result.output
    assert session(tmp_path / "m.onnx").get_inputs()[0].shape == ["batch", "frames"]
    again = CliRunner().invoke(main, ["models", "export", BUNDLED["cascade"], str(tmp_path / "m.onnx")])
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    anew = CliRunner().invoke(main, ["models", "export", BUNDLED["cascade"], str(tmp_path / "m.onnx"), "--overwrite"])
    assert anew.exit_code == 0, anew.output


def test_the_command_replaces_no_onnx_file_of_others(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08\x12\x07pytorch:")
    result = CliRunner().invoke(main, ["models", "export", BUNDLED["cascade"], str(path), "--overwrite"])
    assert result.exit_code == 2
    assert "is not a model that nwb-cascade exported: it is not replaced" in " ".join(result.output.split())
    assert path.read_bytes() == b"\x08\x08\x12\x07pytorch:"
