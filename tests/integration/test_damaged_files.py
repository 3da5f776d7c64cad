"""A damaged file costs its own result only: one sentence about it, exit status 1, the others done.

Ten of what ``scripts/fuzz_files.py`` does by chance.
"""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording, simulated_dff

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"
TABLE = "/processing/ophys/ImageSegmentation/rois_RoiResponseSeries"


def name_that_is_no_text(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.move(SERIES.encode(), SERIES.encode()[:-1] + b"\xff")


def hard_link_to_a_group_above(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file[f"{SERIES}/again"] = file["/processing"]


def soft_link_to_the_root(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["/processing/ophys/again"] = h5py.SoftLink("/")


def external_link_to_itself(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["/processing/ophys/again"] = h5py.ExternalLink(path.name, "/processing/ophys/again")


def traces_of_terabytes(path: Path) -> None:
    declare(path, f"{SERIES}/data", (10**12, 4), (2**20, 4))


def region_of_terabytes(path: Path) -> None:
    declare(path, f"{SERIES}/rois", (10**12,), (2**20,))


def declare(path: Path, place: str, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    """Let a dataset claim a shape, with nothing stored."""
    with h5py.File(path, "r+") as file:
        old = file[place]
        attributes, dtype = dict(old.attrs), old.dtype
        del file[place]
        file.create_dataset(place, shape, dtype, chunks=chunks).attrs.update(attributes)


def table_that_is_gone(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file[TABLE]


def conversion_in_words(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file[f"{SERIES}/data"].attrs["conversion"] = "much"


def second_half_of_zeros(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def address_beyond_the_end(path: Path) -> None:
    """The root group's table of links, at an address that the file does not have."""
    content = bytearray(path.read_bytes())
    with h5py.File(path, "r") as file:
        place = content.find(struct.pack("<Q", h5py.h5o.get_info(file["/processing"].id).addr))
    content[place + 6] = 0x77
    path.write_bytes(content)


DAMAGES = (
    name_that_is_no_text,
    hard_link_to_a_group_above,
    soft_link_to_the_root,
    external_link_to_itself,
    traces_of_terabytes,
    region_of_terabytes,
    table_that_is_gone,
    conversion_in_words,
    second_half_of_zeros,
    address_beyond_the_end,
)
HARMLESS = (external_link_to_itself,)  # it leads to nothing, and nothing of the series lies behind it


@pytest.fixture(params=DAMAGES, ids=lambda damage: damage.__name__)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path, bool]:
    """A damaged file, a sound one, and whether the damage must be told."""
    damaged, sound = (dff_recording(tmp_path / name, simulated_dff(4, 200)) for name in ("damaged.nwb", "sound.nwb"))
    request.param(damaged)
    return damaged, sound, request.param not in HARMLESS


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def told_once(stderr: str, damaged: Path) -> bool:
    return len(stderr.splitlines()) == 1 and str(damaged) in stderr and len(stderr) < 900


def test_inspect_tells_of_it_in_one_line_and_does_the_others(files: tuple[Path, Path, bool]) -> None:
    damaged, sound, is_told = files
    status, output, stderr = run("inspect", "--json", damaged, sound)
    assert status == (1 if is_told else 0)
    assert told_once(stderr, damaged) if is_told else not stderr
    assert len(json.loads(output)[1]["series"]) == 1


def test_infer_tells_of_it_in_one_line_and_does_the_others(files: tuple[Path, Path, bool]) -> None:
    damaged, sound, is_told = files
    status, output, stderr = run("infer", "--json", "--dry-run", damaged, sound)
    assert status == (1 if is_told else 0)
    assert told_once(stderr, damaged) if is_told else not stderr
    first, second = json.loads(output)
    assert ("error" in first) == is_told
    assert second["n_rois"] == 4


def test_a_plan_tells_of_it_and_has_the_others(files: tuple[Path, Path, bool], tmp_path: Path) -> None:
    damaged, sound, is_told = files
    manifest = tmp_path / "manifest.jsonl"
    status, _, _ = run("archive", "plan", "-o", manifest, damaged, sound)
    assert status == 0
    _, first, second = (json.loads(line) for line in manifest.read_text().splitlines())
    assert [one["n_rois"] for one in second["recordings"]] == [4]
    assert ("reason" in first) == is_told
    assert "Its header cannot be read" not in first.get("reason", "")


def test_values_that_a_conversion_makes_infinite_are_told_without_a_warning(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(4, 200))
    with h5py.File(path, "r+") as file:
        file[f"{SERIES}/data"].attrs["conversion"] = np.float64(1e300)
    status, output, stderr = run("inspect", path)
    assert (status, stderr) == (0, "")
    assert "4 of 4 ROIs have infinite values." in output


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("no_create_date", r"what NWB has there is missing or of another kind, at /"),
        (
            "integer_version",
            r"Expected the attribute nwb_version of .*damaged\.nwb to be text, received (np\.int64\()?2",
        ),
        ("data_that_lead_to_themselves", rf"links form a circle, at {SERIES}"),
        ("data_that_are_a_group", rf"what NWB has there is missing or of another kind, at {SERIES}"),
        ("groups_in_groups", r"its groups lie too deep within each other"),
        ("name_that_is_no_text", r"a name or text in it is not UTF-8, at /processing/ophys/DfOverF"),
        ("region_that_is_gone", rf"RoiResponseSeries\.__init__: missing argument 'rois', at {SERIES}"),
        ("circle_of_soft_links", r"links form a circle"),
    ],
)
def test_inspect_names_the_cause_first_and_shows_the_others(damage: str, words: str, tmp_path: Path) -> None:
    before, damaged, after = (
        dff_recording(tmp_path / f"{n}.nwb", simulated_dff(4, 200)) for n in ("a", "damaged", "z")
    )
    with h5py.File(damaged, "r+") as file:
        CAUSES[damage](file)
    status, output, stderr = run("inspect", before, damaged, after)
    assert status == 1
    assert re.search(words, stderr)
    assert told_once(stderr, damaged)
    assert len(stderr) < 400 + len(str(damaged))
    assert [line.split("\t")[0] for line in output.splitlines()[1:]] == [str(before), str(after)]


def group_for_data(file: h5py.File) -> None:
    del file[f"{SERIES}/data"]
    file.create_group(f"{SERIES}/data")


def deep_groups(file: h5py.File) -> None:
    group = file["/processing/ophys"]
    for _ in range(1200):
        group = group.create_group("g")


def replaced(place: str, link: h5py.SoftLink) -> Callable[[h5py.File], None]:
    def replace(file: h5py.File) -> None:
        if place in file:
            del file[place]
        file[place] = link

    return replace


def no_name(file: h5py.File) -> None:
    file.move(SERIES.encode(), SERIES.encode()[:-1] + b"\xff")


def circle(file: h5py.File) -> None:
    file["/processing/ophys/a"] = h5py.SoftLink("/processing/ophys/b")
    file["/processing/ophys/b"] = h5py.SoftLink("/processing/ophys/a")


CAUSES = {
    "no_create_date": lambda file: file.__delitem__("file_create_date"),
    "integer_version": lambda file: file.attrs.__setitem__("nwb_version", 2),
    "data_that_lead_to_themselves": replaced(f"{SERIES}/data", h5py.SoftLink(f"{SERIES}/data")),
    "data_that_are_a_group": group_for_data,
    "groups_in_groups": deep_groups,
    "name_that_is_no_text": no_name,
    "region_that_is_gone": lambda file: file.__delitem__(f"{SERIES}/rois"),
    "circle_of_soft_links": circle,
}


def test_a_filter_that_is_not_there_is_named_before_values_are_read(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(4, 200))
    with h5py.File(path, "r+") as file:
        data, attributes = file[f"{SERIES}/data"][:], dict(file[f"{SERIES}/data"].attrs)
        del file[f"{SERIES}/data"]
        file.create_dataset(f"{SERIES}/data", data=data, compression="lzf").attrs.update(attributes)
    content = path.read_bytes()
    assert content.count(b"\x00\x7d\x08\x00\x01\x00\x03\x00lzf\0") == 1
    path.write_bytes(
        content.replace(b"\x00\x7d\x08\x00\x01\x00\x03\x00lzf\0", b"\xff\x7e\x08\x00\x01\x00\x03\x00lzx\0")
    )
    for words in (("inspect",), ("infer", "--dry-run")):
        status, _, stderr = run(*words, path)
        assert status == 1
        assert f"{SERIES}/data is compressed by lzx (HDF5 filter 32511), which is not installed: pip" in stderr
        assert "damaged" not in stderr


@pytest.mark.parametrize("content", [b"{", b"[" * 10**5, b"\xff", b'{"metadata": 3}', b'{"metadata": {".zgroup": 1}}'])
def test_a_zarr_whose_list_of_descriptions_is_damaged_is_one_sentence_and_the_others_are_done(
    tmp_path: Path, content: bytes
) -> None:
    damaged, sound = (dff_recording(tmp_path / name, simulated_dff(4, 200)) for name in ("a.nwb.zarr", "b.nwb.zarr"))
    (damaged / ".zmetadata").write_bytes(content)
    (damaged / ".zgroup").write_bytes(content)
    status, output, stderr = run("inspect", "--json", damaged, sound)
    assert status == 1
    assert told_once(stderr, damaged)
    assert len(json.loads(output)[1]["series"]) == 1


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("processing/ophys/ImageSegmentation/.zgroup", b'{"zarr_format" 2}'),
        ("specifications/core/*/nwb.ophys/.zarray", b'{"zarr_format": 2}'),
    ],
)
def test_a_description_that_only_a_copy_meets_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, content: bytes
) -> None:
    """A Zarr is read by its one list of descriptions; its copy gets a new list, and the specifications once more."""
    monkeypatch.setattr("nwb_cascade.annotation.annotate.prepare_run", fake_run)
    damaged, sound = (dff_recording(tmp_path / name, simulated_dff(4, 200)) for name in ("a.nwb.zarr", "b.nwb.zarr"))
    (described,) = damaged.glob(place)
    described.write_bytes(content)
    status, output, stderr = run("infer", "--json", damaged, sound)
    assert status == 1
    assert told_once(stderr, damaged)
    assert "A description in it cannot be read" in stderr
    assert "error" not in json.loads(output)[1]
