"""Series that several names lead to are one series."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from nwb_cascade.nwb.discover import inspect
from tests.support.nwb_early import as_pynwb_1_0
from tests.support.recordings import dff_recording

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"
TO_SERIES, TO_CONTAINER = h5py.SoftLink(SERIES), h5py.SoftLink("/processing/ophys/DfOverF")


@pytest.mark.parametrize(
    ("place", "link"),
    [
        ("processing/ophys/DfOverF/again", TO_SERIES),
        ("processing/ophys/DfOverF/again", h5py.SoftLink("RoiResponseSeries")),
        ("processing/ophys/again", h5py.SoftLink("DfOverF/RoiResponseSeries")),
        ("processing/again", h5py.SoftLink("/processing/ophys")),
        ("processing/ophys/DfOverF/again", "hard"),
        ("analysis/again", "hard"),
        ("processing/before/again", TO_SERIES),
        ("processing/zzz/again", TO_SERIES),
        ("processing/before/again", TO_CONTAINER),
        ("acquisition/again", TO_SERIES),
    ],
)
@pytest.mark.parametrize("has_ids", [True, False])
def test_a_series_of_two_names_is_offered_once(tmp_path: Path, place: str, link: object, has_ids: bool) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    if not has_ids:
        as_pynwb_1_0(path)
    with h5py.File(path, "r+") as file:
        _module_for(file, place, like="processing/ophys")
        file[place] = file[SERIES] if link == "hard" else link
    (series,) = inspect(path)
    assert (series.kind, series.n_rois, series.n_frames) == ("dff", 4, 300)


def test_two_series_that_share_their_data_are_two(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        container = file[SERIES].parent
        copied = container.create_group("percent")
        copied.attrs.update({**file[SERIES].attrs, "object_id": "60d1e000-0000-4000-8000-000000000001"})
        for name in file[SERIES]:
            copied[name] = h5py.SoftLink(f"{SERIES}/{name}")
    assert [one.name for one in inspect(path)] == ["RoiResponseSeries", "percent"]


def _module_for(file: h5py.File, place: str, *, like: str) -> None:
    """Make the processing module of a place if it is not there."""
    where = place.rpartition("/")[0]
    if where not in file:
        module = file.create_group(where)
        module.attrs.update(file[like].attrs)
        if "object_id" in module.attrs:
            module.attrs["object_id"] = "60d1e000-0000-4000-8000-000000000002"
