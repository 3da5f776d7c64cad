"""Import of published models: synthetic ones of every kind, and the two real ones against Cascade's output."""

import shutil

import numpy as np
import pytest
from scipy.io import loadmat

from nwb_cascade.core.noise import noise_level
from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.bundle import load_bundle
from nwb_cascade.models.import_cascade import import_cascade
from nwb_cascade.models.published_names import parse_model_name
from tests.support.cascade_files import CascadeSpec, write_cascade_folder, write_torch, zip_folder
from tests.support.shared import shared_path
from tests.support.windowed_network import evaluate_ensemble, network
from tests.unit.models.test_published_names import published_names

REAL = {
    "Global_EXC_30Hz_smoothing25ms": (
        "Experiment_552195520_excerpt.mat",
        "reference_Global_EXC_30Hz_thresholds.npz",
        "raw",
    ),
    "OGB_zf_pDp_7.5Hz_smoothing200ms": (
        "zf_pDp_OGB1_7.5Hz_plane01.mat",
        "reference_OGB_zf_pDp_7.5Hz_smoothing200ms_first120.npz",
        "spike_prob",
    ),
}
SPREAD = {
    "small": CascadeSpec(),
    "asymmetric": CascadeSpec(name="a_30Hz_smoothing50ms_asymmetric_window_1_frame", before_frac=0.9375),
    "all-before": CascadeSpec(before_frac=0.0),
    "odd-window": CascadeSpec(window=23, before_frac=11 / 23),
    "wide-dense": CascadeSpec(dense=30),
    "one-member": CascadeSpec(members=1, levels=(7,)),
    "causal": CascadeSpec(name="G_4.25Hz_smoothing300ms_causalkernel", rate=4.25, smoothing=0.3, causal=1),
    "high-noise": CascadeSpec(levels=(2, 8, 10, 30), members=1),
    "half-levels": CascadeSpec(levels=(1.5, 2), members=1),
    "plus": CascadeSpec(name="Interneurons_GC8+_7.5Hz_smoothing100ms_high_noise", rate=7.5, smoothing=0.1),
    "many-members": CascadeSpec(members=12, levels=(2,), filter_numbers=(1, 1, 1)),
}


def assert_networks(model, networks):
    for (level, member), arrays in networks.items():
        received = network(model, level, member)
        assert received.keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(received[key], array, err_msg=f"{level}/{member}/{key}")


@pytest.mark.parametrize("kind", ["h5", "pth"])
@pytest.mark.parametrize("spec", SPREAD.values(), ids=SPREAD.keys())
def test_any_configuration_imports_exactly(tmp_path, spec, kind):
    if kind == "pth":
        pytest.importorskip("torch")
    networks = write_cascade_folder(tmp_path / "source", spec, kind=kind)
    model = import_cascade(tmp_path / "source", into=tmp_path / "models")
    assert_networks(model, networks)
    assert model.path == tmp_path / "models" / spec.name
    config = load_bundle(model.path).config
    assert config == model.config
    assert config.noise_levels == tuple(sorted(map(float, spec.levels)))
    assert config.ensemble_size == spec.members
    assert config.before_frames == pytest.approx(spec.before_frac * spec.window)
    assert config.extra["name_disagrees"] == []


def test_every_published_name_imports(tmp_path):
    for name in published_names():
        facts = parse_model_name(name)
        spec = CascadeSpec(
            name=name,
            rate=facts.model_rate,
            smoothing=facts.smoothing_s,
            causal=int(facts.causal),
            levels=(2,),
            members=1,
            filter_numbers=(1, 1, 1),
            before_frac=0.5 if facts.frames_after is None else 1 - facts.frames_after / 16,
        )
        write_cascade_folder(tmp_path / name, spec)
        model = import_cascade(tmp_path / name, into=tmp_path / "models")
        assert model.config.name == name
        assert model.config.extra["name_disagrees"] == []
        if facts.frames_after is not None:
            assert model.config.after_frames == facts.frames_after - 1
    assert len(list((tmp_path / "models").iterdir())) == 155


@pytest.mark.parametrize("rate", [40, 45, 60, 100])
def test_the_longer_windows_of_fast_models_import_at_full_size(tmp_path, rate):
    window = int((rate / 30) ** 0.25 * 64)
    spec = CascadeSpec(
        window=window, filter_sizes=(31, 19, 5), filter_numbers=(30, 40, 50), dense=10, levels=(2,), members=1
    )
    networks = write_cascade_folder(tmp_path / "source", spec)
    assert_networks(import_cascade(tmp_path / "source", into=tmp_path), networks)


@pytest.mark.parametrize("name", REAL)
def test_published_weights_reproduce_the_published_output(tmp_path, name):
    recording, reference, threshold = REAL[name]
    source = shared_path(f"cascade_models/{name}")
    if not any(source.glob("*.h5")):
        pytest.importorskip("torch")
    model = import_cascade(source, into=tmp_path)
    dff = loadmat(shared_path(f"example_datasets/{recording}"))["dF_traces"][:2]
    expected = np.load(shared_path(f"cascade_models/{reference}"))[threshold]
    levels = np.array(model.config.noise_levels)
    for roi, own in enumerate(noise_level(dff, model.config.model_rate)):
        nearest = levels[np.abs(levels - own).argmin()]
        output = evaluate_ensemble(dff[roi, :260].astype(np.float64), model, nearest)
        if threshold == "spike_prob":
            output = np.maximum(output, 0)
        first = model.config.extra["published_before_frames"]
        published = expected[roi, first : first + len(output)]
        compared = np.isfinite(published)
        assert compared.sum() >= 196
        np.testing.assert_allclose(output[compared], published[compared], atol=1e-5, rtol=0)


def test_keras_and_torch_files_of_one_network_give_the_same_hash(tmp_path):
    pytest.importorskip("torch")
    spec = CascadeSpec()
    for kind in ("h5", "pth"):
        write_cascade_folder(tmp_path / kind, spec, kind=kind)
    hashes = {import_cascade(tmp_path / kind, into=tmp_path / f"in-{kind}").sha256 for kind in ("h5", "pth")}
    assert len(hashes) == 1


@pytest.mark.parametrize("complete, kind", [(True, "h5"), (False, "pth")])
def test_of_two_kinds_the_more_complete_is_read_and_keras_if_equal(tmp_path, complete, kind):
    pytest.importorskip("torch")
    networks = write_cascade_folder(tmp_path / "source", CascadeSpec(), kind="h5")
    for (level, member), arrays in networks.items():
        write_torch(tmp_path / f"source/Model_NoiseLevel_{level:g}_Ensemble_{member}.pth", arrays, CascadeSpec())
    if not complete:
        for path in (tmp_path / "source").glob("*Level_3*.h5"):
            path.unlink()
    model = import_cascade(tmp_path / "source", into=tmp_path)
    assert model.config.extra["format"] == kind
    assert_networks(model, networks)


def test_levels_without_networks_are_dropped_and_recorded(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec(levels=(2, 3, 4)))
    for path in (tmp_path / "source").glob("*NoiseLevel_3_*"):
        path.unlink()
    config = import_cascade(tmp_path / "source", into=tmp_path).config
    assert config.noise_levels == (2.0, 4.0)
    assert config.extra["levels_without_networks"] == [3.0]


def test_networks_of_unlisted_levels_stay_out_and_are_recorded(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec(levels=(2, 3)))
    for member in range(2):
        path = tmp_path / f"source/Model_NoiseLevel_3_Ensemble_{member}.h5"
        shutil.copy(path, tmp_path / f"source/Model_NoiseLevel_9_Ensemble_{member}.h5")
    config = import_cascade(tmp_path / "source", into=tmp_path).config
    assert config.noise_levels == (2.0, 3.0)
    assert config.extra["levels_left_out"] == [9.0]


def test_what_file_systems_leave_beside_the_networks_is_ignored(tmp_path):
    networks = write_cascade_folder(tmp_path / "source", CascadeSpec())
    for name in ("._Model_NoiseLevel_2_Ensemble_0.h5", "Model_NoiseLevel_2_Ensemble_7.h5.part", ".DS_Store"):
        (tmp_path / "source" / name).write_bytes(b"rubbish")
    assert_networks(import_cascade(tmp_path / "source", into=tmp_path), networks)


def test_a_missing_member_is_an_error(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    (tmp_path / "source/Model_NoiseLevel_3_Ensemble_1.h5").unlink()
    with pytest.raises(ModelFileError, match=r"found 2 at level 2, 1 at level 3 in .*files are missing"):
        import_cascade(tmp_path / "source", into=tmp_path)


def test_no_network_of_any_listed_level_is_an_error(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec(levels=(5,)))
    path = tmp_path / "source/config.yaml"
    path.write_text(path.read_text().replace("- 5\nplaceholder_2", "- 8\nplaceholder_2"))
    with pytest.raises(ModelFileError, match=r"noise levels 8 of config\.yaml, found levels 5"):
        import_cascade(tmp_path / "source", into=tmp_path)


def test_no_network_files_is_an_error(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    for path in (tmp_path / "source").glob("*.h5"):
        path.unlink()
    with pytest.raises(ModelFileError, match=r"Expected files Model_NoiseLevel_.* none in .*source"):
        import_cascade(tmp_path / "source", into=tmp_path)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("dense_expansion: 2", "dense_expansion: 3", r"dense/kernel of shape \(5, 3\) as config\.yaml implies"),
        ("windowsize: 16", "windowsize: 32", r"output/kernel of shape \(12, 1\).*received \(4, 1\)"),
        ("- 5\n- 3\n- 2\n", "- 5\n- 4\n- 2\n", r"conv2/kernel of shape \(4, 3, 4\).*received \(3, 3, 4\)"),
        ("- 3\n- 4\n- 5\n", "- 3\n- 4\n- 6\n", r"conv3/kernel of shape \(2, 4, 6\).*received \(2, 4, 5\)"),
    ],
)
def test_sizes_that_disagree_with_the_arrays_are_an_error_with_both_shapes(tmp_path, old, new, message):
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    path = tmp_path / "source/config.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ModelFileError, match=message + r".*Ensemble_0\.h5"):
        import_cascade(tmp_path / "source", into=tmp_path)
    assert not (tmp_path / CascadeSpec().name).exists()


@pytest.mark.parametrize("prefix", ["", "Global_EXC_30Hz_smoothing50ms/"])
def test_a_zip_archive_imports_like_its_folder(tmp_path, prefix):
    networks = write_cascade_folder(tmp_path / "source", CascadeSpec())
    archive = zip_folder(tmp_path / "source", tmp_path / "a.zip", prefix=prefix)
    model = import_cascade(archive, into=tmp_path / "models")
    assert_networks(model, networks)
    assert model.sha256 == import_cascade(tmp_path / "source", into=tmp_path / "other").sha256


def test_a_folder_around_one_model_is_looked_into(tmp_path):
    networks = write_cascade_folder(tmp_path / "outer" / "inner", CascadeSpec())
    assert_networks(import_cascade(tmp_path / "outer", into=tmp_path), networks)


def test_a_folder_of_several_models_is_refused(tmp_path):
    for name in ("one", "two"):
        write_cascade_folder(tmp_path / "outer" / name, CascadeSpec())
    with pytest.raises(ModelFileError, match="has 2 models in it, name one"):
        import_cascade(tmp_path / "outer", into=tmp_path)


def test_a_folder_without_configuration_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"has no config\.yaml"):
        import_cascade(tmp_path, into=tmp_path)


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*nothing\.zip"):
        import_cascade(tmp_path / "nothing.zip", into=tmp_path)


def test_importing_twice_changes_nothing(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    first = import_cascade(tmp_path / "source", into=tmp_path / "models", origin={"from": "here"})
    before = {path: path.stat().st_mtime_ns for path in first.path.iterdir()}
    again = import_cascade(tmp_path / "source", into=tmp_path / "models", origin={"from": "there"})
    assert again.config == first.config
    assert {path: path.stat().st_mtime_ns for path in first.path.iterdir()} == before


def test_another_model_of_the_same_name_is_not_replaced_unless_asked(tmp_path):
    spec = CascadeSpec()
    write_cascade_folder(tmp_path / "one", spec, seed=1)
    write_cascade_folder(tmp_path / "two", spec, seed=2)
    first = import_cascade(tmp_path / "one", into=tmp_path / "models")
    with pytest.raises(FileExistsError, match=f"Another model named '{spec.name}' is installed"):
        import_cascade(tmp_path / "two", into=tmp_path / "models")
    assert load_bundle(first.path).sha256 == first.sha256
    renamed = import_cascade(tmp_path / "two", into=tmp_path / "models", name="second")
    assert renamed.config.extra["model_name"] == spec.name
    replaced = import_cascade(tmp_path / "two", into=tmp_path / "models", overwrite=True)
    assert load_bundle(first.path).sha256 == replaced.sha256 == renamed.sha256 != first.sha256


def test_the_source_is_never_replaced_by_its_own_bundle(tmp_path):
    source = tmp_path / CascadeSpec().name
    write_cascade_folder(source, CascadeSpec())
    before = sorted(path.name for path in source.iterdir())
    with pytest.raises(FileExistsError, match=r"holds more than a model \(Model_NoiseLevel"):
        import_cascade(source, into=tmp_path, overwrite=True)
    assert sorted(path.name for path in source.iterdir()) == before


def test_importing_again_repairs_a_damaged_model(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    first = import_cascade(tmp_path / "source", into=tmp_path / "models")
    (first.path / "weights.safetensors").write_bytes(b"")
    import_cascade(tmp_path / "source", into=tmp_path / "models")
    assert load_bundle(first.path).sha256 == first.sha256


@pytest.mark.parametrize("name", ["../escape", "a/b", "a\\b", ".hidden", "", "x" * 200, "trailing.", "nul\x00"])
def test_names_that_are_no_folder_names_are_refused(tmp_path, name):
    write_cascade_folder(tmp_path / "source", CascadeSpec())
    with pytest.raises(ModelFileError, match=r"[Ee]xpected a .*name"):
        import_cascade(tmp_path / "source", into=tmp_path / "models", name=name)
    assert not (tmp_path / "models").exists()


def test_progress_counts_the_networks(tmp_path):
    write_cascade_folder(tmp_path / "source", CascadeSpec(levels=(2, 3), members=2))
    calls = []
    import_cascade(tmp_path / "source", into=tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
