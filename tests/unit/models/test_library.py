"""Installed models: where they are, by which name, and what is said of damaged or unknown ones."""

from pathlib import Path

import pytest

from nwb_cascade.errors import ModelFileError, NoModelError
from nwb_cascade.models import library
from nwb_cascade.models.bundle import save_bundle
from nwb_cascade.models.folders import bundle_folder, user_models_folder
from nwb_cascade.models.library import (
    installed_models,
    list_installed,
    load_model,
    model_reference,
    remove_model,
    unknown_name,
)
from tests.support.cascade_files import CascadeSpec, write_cascade_folder
from tests.support.networks import cascade_config, zero_weights


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty user and bundled folders, the only ones that the library sees."""
    user, bundled = tmp_path / "user", tmp_path / "bundled"
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(user))
    monkeypatch.setattr(library, "BUNDLED_FOLDER", bundled)
    monkeypatch.chdir(tmp_path)
    return user, bundled


def install(folder: Path, name: str, **changes):
    model_config = cascade_config(name=name, **changes)
    return save_bundle(folder / name, model_config, zero_weights(model_config))


def test_the_variable_names_the_users_folder(folders):
    assert user_models_folder() == folders[0]


def test_without_the_variable_the_platform_decides(monkeypatch):
    monkeypatch.delenv("NWB_CASCADE_MODELS", raising=False)
    folder = user_models_folder()
    assert folder.is_absolute()
    assert folder.parts[-2:] == ("nwb-cascade", "models")


def test_nothing_is_installed_at_first(folders):
    assert installed_models() == []
    assert list_installed() == []


def test_models_of_both_folders_are_listed_by_name(folders):
    user, bundled = folders
    install(user, "b")
    install(bundled, "a")
    install(user, "c.5Hz")
    assert [model.name for model in installed_models()] == ["a", "b", "c.5Hz"]
    assert [(entry.name, entry.origin) for entry in list_installed()] == [
        ("a", "bundled"),
        ("b", "user"),
        ("c.5Hz", "user"),
    ]
    assert load_model("a").path == bundled / "a"


def test_the_users_model_hides_a_bundled_one_of_its_name(folders):
    user, bundled = folders
    install(bundled, "a", version="bundled")
    install(user, "a", version="mine")
    assert [model.version for model in installed_models()] == ["mine"]
    assert load_model("a").config.version == "mine"


def test_other_folders_and_files_are_no_models(folders):
    user, _ = folders
    install(user, "a")
    (user / "Documents").mkdir()
    (user / ".downloads").mkdir()
    (user / "notes.txt").write_text("x")
    assert [entry.name for entry in list_installed()] == ["a"]


def test_a_damaged_model_is_listed_with_its_problem_and_left_out_with_a_warning(folders):
    user, _ = folders
    install(user, "good")
    (install(user, "bad").path / "config.json").write_text("{")
    with pytest.warns(UserWarning, match=r"'bad' is left out: .*config\.json"):
        assert [model.name for model in installed_models()] == ["good"]
    assert [bool(entry.problem) for entry in list_installed()] == [True, False]
    with pytest.raises(ModelFileError, match=r"config\.json"):
        load_model("bad")


def test_a_renamed_folder_is_a_problem_of_that_model_only(folders):
    user, _ = folders
    install(user, "good")
    install(user, "old").path.rename(user / "new")
    entries = {entry.name: entry for entry in list_installed()}
    assert entries["good"].config is not None
    assert "Expected the model 'old' in a folder of that name" in entries["new"].problem


def test_a_model_is_loaded_by_name_or_by_folder(folders, tmp_path):
    user, _ = folders
    installed = install(user, "a")
    elsewhere = install(tmp_path / "else where", "é")
    assert load_model("a").sha256 == installed.sha256
    assert load_model(elsewhere.path).config.name == "é"
    assert load_model(str(elsewhere.path)).config.name == "é"


def test_an_installed_name_goes_before_a_folder_of_the_working_directory(folders, tmp_path):
    user, _ = folders
    install(user, "a", version="installed")
    install(tmp_path, "a", version="beside")
    assert load_model("a").config.version == "installed"
    assert load_model(Path("a")).config.version == "beside"
    assert load_model("./a").config.version == "beside"


def test_loading_verifies_the_hash(folders):
    model = install(folders[0], "a")
    path = model.path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="Expected SHA-256"):
        load_model("a")


def test_an_unknown_name_brings_the_nearest_ones(folders):
    for name in ("Global_EXC_30Hz_smoothing50ms", "Global_EXC_30Hz_smoothing25ms", "other"):
        install(folders[0], name)
    with pytest.raises(NoModelError, match=r"No model named 'global_exc_30hz_smoothing50' is installed") as caught:
        load_model("global_exc_30hz_smoothing50")
    assert "Nearest names: Global_EXC_30Hz_smoothing50ms, Global_EXC_30Hz_smoothing25ms." in str(caught.value)
    assert "other" not in str(caught.value)


def test_without_a_near_name_none_is_suggested():
    assert unknown_name("zzz", ["a", "b"], "is installed") == "No model named 'zzz' is installed."


def test_a_published_folder_is_imported_once_and_stays_out_of_the_list(folders, tmp_path, monkeypatch):
    write_cascade_folder(tmp_path / "cascade", CascadeSpec())
    model = load_model(tmp_path / "cascade")
    assert model.config.extra["imported_from"] == "cascade"
    assert list_installed() == []
    monkeypatch.setattr("nwb_cascade.models.import_cascade.READERS", {})
    assert load_model(str(tmp_path / "cascade")).sha256 == model.sha256


def test_a_published_folder_that_changes_is_imported_anew(folders, tmp_path):
    write_cascade_folder(tmp_path / "cascade", CascadeSpec())
    before = load_model(tmp_path / "cascade")
    write_cascade_folder(tmp_path / "cascade", CascadeSpec(), seed=9)
    assert load_model(tmp_path / "cascade").sha256 != before.sha256


def test_an_import_that_was_damaged_is_made_again(folders, tmp_path):
    write_cascade_folder(tmp_path / "cascade", CascadeSpec())
    before = load_model(tmp_path / "cascade")
    (before.path / "weights.safetensors").write_bytes(b"")
    assert load_model(tmp_path / "cascade").sha256 == before.sha256


def test_a_published_folder_is_used_where_nothing_can_be_kept(folders, tmp_path):
    write_cascade_folder(tmp_path / "cascade", CascadeSpec())
    folders[0].write_text("a file in place of the folder of models")
    assert load_model(tmp_path / "cascade").path is None


def test_a_published_folder_without_networks_is_named(folders, tmp_path):
    write_cascade_folder(tmp_path / "cascade", CascadeSpec())
    for path in (tmp_path / "cascade").glob("Model_*"):
        path.unlink()
    with pytest.raises(ModelFileError, match=r"Expected files Model_NoiseLevel_.*none in .*cascade"):
        load_model(tmp_path / "cascade")


def test_a_model_is_named_for_other_folders_by_its_name_or_its_whole_path(folders, tmp_path):
    install(folders[0], "a")
    assert model_reference("a") == "a"
    assert model_reference("b") == str(tmp_path / "b")


def test_a_folder_without_a_model_is_named(folders, tmp_path):
    with pytest.raises(ModelFileError, match=r"Expected a model bundle.*there is no .*config\.json"):
        load_model(tmp_path)


def test_removal_deletes_the_users_model_only(folders):
    user, bundled = folders
    install(user, "a")
    install(bundled, "b")
    assert remove_model("a") == user / "a"
    assert [entry.name for entry in list_installed()] == ["b"]
    with pytest.raises(NoModelError, match="No model named 'b' was installed in"):
        remove_model("b")
    assert (bundled / "b").exists()


def test_removal_spares_folders_with_other_files(folders):
    model = install(folders[0], "a")
    (model.path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds more than a model"):
        remove_model("a")
    assert (model.path / "notes.txt").exists()


def test_removal_of_a_linked_model_removes_the_link(folders, tmp_path):
    model = install(tmp_path / "shared", "a")
    folders[0].mkdir()
    (folders[0] / "a").symlink_to(model.path)
    assert load_model("a").sha256 == model.sha256
    remove_model("a")
    assert list_installed() == []
    assert load_model(model.path).sha256 == model.sha256


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../user"])
def test_removal_takes_names_not_paths(folders, name):
    install(folders[0], "a")
    with pytest.raises(NoModelError, match="No model named"):
        remove_model(name)
    assert (folders[0] / "a").exists()


@pytest.mark.parametrize("name", ["Global_EXC_7.5Hz", "Interneurons_GC8+_7.5Hz", "β-model", "two words", "7"])
def test_published_and_foreign_names_are_accepted(folders, name):
    assert bundle_folder(name) == folders[0] / name
