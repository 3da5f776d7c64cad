"""Names and places that a command meets and did not expect: each is one sentence, or works."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from nwb_cascade.archive.listing import list_sources
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError
from nwb_cascade.readers.nwb import inspect
from nwb_cascade.writers.sidecar_names import label
from tests.support.recordings import dff_recording, simulated_dff

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    return result.exit_code, result.stderr


@pytest.mark.parametrize("words", [("inspect",), ("infer",), ("archive", "plan", "-o", "manifest.jsonl")])
def test_an_empty_name_is_no_folder(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dff_recording(tmp_path / "a.nwb", simulated_dff(2, 100))
    status, said = run(*words, "")
    assert status == 1
    assert "Expected a path or address of a recording, received an empty text" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are files on Unix only")
@pytest.mark.parametrize("name", ["pipe.nwb", "pipe.npy", "pipe.mat"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    for words in (("inspect",), ("infer", "--imaging-rate", 30), ("spikes", "-o", "b.nwb"), ("report", "-o", "b.html")):
        status, said = run(*words, path)
        assert (words[0], status) == (words[0], 1)
        assert "which is a pipe, socket or device" in said
    assert [source["content_id"] for source in list_sources([str(path)])] == [""]


def test_subjects_with_long_names_have_short_labels_of_their_own(tmp_path: Path) -> None:
    assert label("m" * 200) != label("m" * 199 + "n")
    assert len(label("m" * 200)) == 48
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(2, 100))
    with h5py.File(path, "r+") as file:
        del file["/general/subject/subject_id"]
        file["/general/subject/subject_id"] = "m" * 200
        del file["/general/session_id"]
        file["/general/session_id"] = "s" * 300
    status, said = run("infer", "--dry-run", "--sidecar", path)
    assert (status, said) == (0, "")


def test_a_start_that_is_no_number_is_refused_when_the_file_is_opened(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(2, 100))
    with h5py.File(path, "r+") as file:
        file[f"{SERIES}/starting_time"][()] = np.nan
    status, said = run("infer", "--dry-run", path)
    assert status == 1
    assert "Expected the starting_time of RoiResponseSeries in seconds, received nan" in said


def test_a_missing_chunk_of_a_zarr_store_is_told(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb.zarr", simulated_dff(2, 1000))
    group = zarr.open_group(path / SERIES[1:])
    values, attributes = group["data"][:], group["data"].attrs.asdict()
    group.create_dataset("data", data=values, chunks=(100, 2), overwrite=True).attrs.update(attributes)
    zarr.consolidate_metadata(path)
    assert inspect(path)[0].problems == ()
    (path / SERIES[1:] / "data" / "3.0").unlink()
    assert inspect(path)[0].problems[0].startswith("1 of 10 chunks of its data is not in the store")


def test_a_zarr_store_of_format_3_is_called_that(tmp_path: Path) -> None:
    path = tmp_path / "a.nwb.zarr"
    path.mkdir()
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match=r"a\.nwb\.zarr is a Zarr store of format 3, which hdmf-zarr cannot read"):
        inspect(path)
