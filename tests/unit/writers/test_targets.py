"""Names of results: beside the input, in a folder, never the input itself by accident."""

import re
from pathlib import Path

import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.writers.targets import default_output, shared_folder, split_name, target_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-1_ses-a_ophys.nwb", "sub-1_ses-a_desc-spikes_ophys.nwb"),
        ("sub-1_behavior+ophys.nwb", "sub-1_desc-spikes_behavior+ophys.nwb"),
        ("sub-1.nwb", "sub-1_desc-spikes.nwb"),
        ("sub-1_ses-a_obj-x_desc-raw_ophys.nwb", "sub-1_ses-a_obj-x_desc-rawSpikes_ophys.nwb"),
        ("sub-1_ses-a_ophys.nwb.zarr", "sub-1_ses-a_desc-spikes_ophys.nwb.zarr"),
        ("mouse 7 näher.nwb", "mouse 7 näher_spikes.nwb"),
        ("sub-1.npy", "sub-1_spikes.npy"),
        ("Traces.MAT", "Traces_spikes.MAT"),
        ("no_suffix", "no_suffix_spikes"),
    ],
)
def test_the_copy_is_named_after_its_source(name: str, expected: str) -> None:
    assert default_output(Path("folder") / name) == Path("folder") / expected


@pytest.mark.parametrize("name", ["sub-1_ses-a_ophys.nwb", "sub-1.nwb", "sub-1_obj-x_desc-raw_behavior+ophys.nwb"])
def test_names_for_dandi_pass_its_own_rules(name: str) -> None:
    rules = pytest.importorskip("dandi.organize").ORGANIZED_FILENAME_REGEX
    assert re.fullmatch(rules, name)
    assert re.fullmatch(rules, default_output(Path(name)).name)


def test_a_name_is_split_at_its_format() -> None:
    assert split_name("a.b.nwb.zarr") == ("a.b", ".nwb.zarr")
    assert split_name(".nwb") == (".nwb", "")


def test_a_folder_takes_files_by_their_own_names(tmp_path: Path) -> None:
    source = tmp_path / "in" / "a.nwb"
    (tmp_path / "there").mkdir()
    assert target_of(source, tmp_path / "there", False) == tmp_path / "there/a.nwb"
    assert target_of(source, f"{tmp_path}/new/", False) == tmp_path / "new/a.nwb"
    assert target_of(source, tmp_path / "new.nwb", False) == tmp_path / "new.nwb"


def test_in_place_follows_links(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").touch()
    (tmp_path / "link.nwb").symlink_to(tmp_path / "a.nwb")
    assert target_of(tmp_path / "link.nwb", None, True) == tmp_path / "a.nwb"


@pytest.mark.parametrize("output", ["a.nwb", "link.nwb", "./a.nwb", ""])
def test_the_input_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.nwb").touch()
    Path("link.nwb").symlink_to("a.nwb")
    with pytest.raises(InputError, match=r"output other than the input .*a\.nwb.*--in-place"):
        target_of(tmp_path / "a.nwb", output or tmp_path, False)


def test_output_and_in_place_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="either an output or in_place"):
        target_of(tmp_path / "a.nwb", "b.nwb", True)


@pytest.mark.parametrize(("source", "output"), [("a.nwb", "b.nwb.zarr"), ("a.nwb.zarr", "b.nwb")])
def test_the_format_stays(tmp_path: Path, source: str, output: str) -> None:
    with pytest.raises(InputError, match="Expected an output of the same kind"):
        target_of(tmp_path / source, tmp_path / output, False)


def test_a_zarr_store_is_a_file_not_a_folder_for_files(tmp_path: Path) -> None:
    (tmp_path / "a.nwb.zarr").mkdir()
    (tmp_path / "b.nwb.zarr").mkdir()
    assert target_of(tmp_path / "a.nwb.zarr", tmp_path / "b.nwb.zarr", False) == tmp_path / "b.nwb.zarr"


def test_several_files_need_a_folder(tmp_path: Path) -> None:
    assert shared_folder(str(tmp_path / "new"), 2) == f"{tmp_path}/new/"
    assert shared_folder(str(tmp_path / "c.nwb"), 1) == str(tmp_path / "c.nwb")
    with pytest.raises(InputError, match=r"folder as output of 2 files, received .*c\.nwb"):
        shared_folder(str(tmp_path / "c.nwb"), 2)
