"""Bundles: round trip, damage, and what is left after a failure."""

import hashlib
import mmap

import numpy as np
import pytest

from nwb_cascade.errors import ModelFileError
from nwb_cascade.models import bundle
from nwb_cascade.models.bundle import load_bundle, load_config, make_model, save_bundle
from tests.support.networks import cascade_config, zero_weights

PUBLISHED = {
    "name": "m",
    "noise_levels": (2.0, 2.5),
    "window_size": 64,
    "before_frames": 32,
    "network": {"filter_sizes": [31, 19, 5], "filter_numbers": [30, 40, 50], "dense_width": 10},
}


def config(**changes):
    return cascade_config(**{**PUBLISHED, **changes})


@pytest.fixture
def weights():
    rng = np.random.default_rng(1)
    return {key: rng.normal(size=array.shape).astype(np.float32) for key, array in zero_weights(config()).items()}


@pytest.fixture
def saved(tmp_path, weights):
    return save_bundle(tmp_path / "models" / "m", config(), weights)


def test_a_saved_model_comes_back_equal(saved, weights):
    loaded = load_bundle(saved.path)
    assert loaded.config == saved.config == config()
    assert loaded.sha256 == saved.sha256
    assert loaded.weights.keys() == weights.keys()
    for key, array in weights.items():
        np.testing.assert_array_equal(loaded.weights[key], array)
        assert loaded.weights[key].dtype == np.float32


def test_weights_are_read_only(saved):
    for model in (saved, load_bundle(saved.path)):
        with pytest.raises(ValueError, match="read-only"):
            model.weights["2/0/conv1/kernel"][0] = 1


def test_the_hash_is_that_of_the_weights_file_and_recorded_as_sha256sum_does(saved):
    content = (saved.path / "weights.safetensors").read_bytes()
    assert saved.sha256 == hashlib.sha256(content).hexdigest()
    assert f"{saved.sha256}  weights.safetensors\n" in (saved.path / "SHA256SUMS").read_text()


def test_the_same_weights_give_the_same_hash_in_any_order(weights):
    backwards = dict(reversed(weights.items()))
    assert make_model(config(), weights).sha256 == make_model(config(), backwards).sha256


def test_the_weights_file_can_be_memory_mapped(saved, weights):
    with (saved.path / "weights.safetensors").open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        assert content.find(weights["2.5/1/conv2/kernel"].tobytes()) > 0
        content.close()


def test_half_precision_is_half_as_large_and_read_as_float32(saved, weights, tmp_path):
    half = save_bundle(tmp_path / "half", config(), weights, half=True)
    assert (half.path / "weights.safetensors").stat().st_size < 0.6 * (
        saved.path / "weights.safetensors"
    ).stat().st_size
    loaded = load_bundle(half.path)
    for key, array in weights.items():
        assert loaded.weights[key].dtype == np.float32
        np.testing.assert_array_equal(loaded.weights[key], array.astype(np.float16))
        np.testing.assert_array_equal(loaded.weights[key], half.weights[key])


def test_weights_too_large_for_half_precision_are_not_saved(weights, tmp_path):
    weights["2/0/conv1/kernel"][0] = 1e6
    with pytest.raises(ModelFileError, match="finite"):
        save_bundle(tmp_path / "half", config(), weights, half=True)
    assert not (tmp_path / "half").exists()


def test_an_existing_bundle_is_kept_unless_overwriting(saved, weights):
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save_bundle(saved.path, config(), weights)
    changed = weights | {"2/0/output/bias": np.ones(1, np.float32)}
    again = save_bundle(saved.path, config(), changed, overwrite=True)
    assert load_bundle(saved.path).sha256 == again.sha256 != saved.sha256
    assert [path.name for path in saved.path.parent.iterdir()] == ["m"]


def test_a_folder_with_other_files_is_never_replaced(saved, weights):
    (saved.path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds more than a model \(notes\.txt\)"):
        save_bundle(saved.path, config(), weights, overwrite=True)
    assert (saved.path / "notes.txt").read_text() == "mine"


def test_an_interrupted_save_leaves_the_old_bundle_and_nothing_else(saved, weights, monkeypatch):
    def stop(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "install", stop)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(saved.path, config(version="2"), weights, overwrite=True)
    assert load_bundle(saved.path).config.version == "1"
    assert [path.name for path in saved.path.parent.iterdir()] == ["m"]


def test_wrong_weights_are_not_saved(tmp_path):
    with pytest.raises(ModelFileError, match="lacks 40"):
        save_bundle(tmp_path / "m", config(), {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "SHA256SUMS"])
def test_a_missing_file_is_named(saved, name):
    (saved.path / name).unlink()
    with pytest.raises(ModelFileError, match=f"Expected a model bundle.*there is no .*{name}"):
        load_bundle(saved.path)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "SHA256SUMS"])
def test_a_folder_in_the_place_of_a_file_is_named(saved, name):
    (saved.path / name).unlink()
    (saved.path / name).mkdir()
    with pytest.raises(ModelFileError, match=rf"^Expected a file as .*/{name}, received a folder: [^.]*\.$"):
        load_bundle(saved.path)


@pytest.mark.parametrize("kept", [0, 5, 300, -4])
def test_truncated_weights_are_recognised(saved, kept):
    path = saved.path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    for verify in (True, False):
        with pytest.raises(ModelFileError, match=r"weights\.safetensors is truncated or damaged \(\d+ bytes"):
            load_bundle(saved.path, verify=verify)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "SHA256SUMS"])
def test_what_is_larger_than_a_model_is_not_read(saved, name):
    with open(saved.path / name, "r+b") as file:
        file.truncate(2**42)  # takes no room on disk
    with pytest.raises(ModelFileError, match=rf"at most \d{{7}} bytes as .*{name}, received {2**42} bytes"):
        load_bundle(saved.path)


def test_a_kind_of_number_that_numpy_has_not_is_named(saved):
    path = saved.path / "weights.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"BF8"'))
    with pytest.raises(ModelFileError, match=r"weights\.safetensors is truncated or damaged"):
        load_bundle(saved.path, verify=False)
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    with pytest.raises(ModelFileError, match=r"truncated or damaged \(\d+ bytes, 'BF16'\)"):
        load_bundle(saved.path, verify=False)


def test_one_changed_bit_is_recognised(saved):
    path = saved.path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"Expected SHA-256 \w{64} of .*weights.*was changed or damaged"):
        load_bundle(saved.path)
    load_bundle(saved.path, verify=False)


def test_a_changed_configuration_is_recognised(saved):
    path = saved.path / "config.json"
    path.write_text(path.read_text().replace('"smoothing_s": 0.05', '"smoothing_s": 0.06'))
    with pytest.raises(ModelFileError, match=r"Expected SHA-256 \w{64} of .*config\.json"):
        load_bundle(saved.path)


def test_shapes_are_checked_against_the_configuration_even_unverified(saved):
    path = saved.path / "config.json"
    path.write_text(path.read_text().replace('"dense_width": 10', '"dense_width": 30'))
    with pytest.raises(ModelFileError, match=r"of shape \(50, 30\).*received \(50, 10\)"):
        load_bundle(saved.path, verify=False)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}', "\ufffd\x00"])
def test_a_configuration_that_is_none_is_named(saved, text):
    (saved.path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"config\.json: .*Expected a model configuration"):
        load_config(saved.path)


def test_a_hash_record_without_the_weights_is_refused(saved):
    (saved.path / "SHA256SUMS").write_text("abc  config.json\n")
    with pytest.raises(ModelFileError, match=r"hash of weights\.safetensors in .*SHA256SUMS"):
        load_bundle(saved.path)


def test_names_with_blanks_and_unicode_are_kept(tmp_path, weights):
    saved = save_bundle(tmp_path / "mo dèle" / "β 1", config(name="β 1"), weights)
    assert load_bundle(saved.path).config.name == "β 1"
