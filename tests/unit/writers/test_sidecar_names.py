"""Sidecars are named by DANDI's rules, whatever the recording calls its subject and session."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from pynwb import NWBFile
from pynwb.file import Subject

from nwb_cascade.errors import InputError
from nwb_cascade.writers.sidecar_names import label, names_apart, placed, sidecar_folder, sidecar_name


@pytest.mark.parametrize(
    ("subject", "session", "source", "run", "name"),
    [
        ("1", "a", "x.nwb", "", "sub-1_ses-a_desc-spikes_ophys.nwb"),
        ("mouse_7 ü", "day 3_b", "x.nwb", "", "sub-mouse-7_ses-day-3-b_desc-spikes_ophys.nwb"),
        ("1", "a", "x.nwb", "plane_0", "sub-1_ses-a_desc-spikes-plane-0_ophys.nwb"),
        ("1", "a", "sub-1_ses-a_desc-raw_obj-2_image+ophys.nwb", "", "sub-1_ses-a_desc-raw-spikes_obj-2_ophys.nwb"),
        ("1", None, "dandi://dandi/000001@draft/sub-9/sub-9_ses-b_ophys.nwb", "", "sub-1_ses-b_desc-spikes_ophys.nwb"),
        (None, None, "sub-9_ophys.nwb", "", "sub-9_ses-20240501T120000_desc-spikes_ophys.nwb"),
        (None, "a", "C:\\data\\mouse 7.nwb.zarr", "", "sub-mouse-7_ses-a_desc-spikes_ophys.nwb"),
        ("ü", "a", "x.nwb", "", "sub-unknown_ses-a_desc-spikes_ophys.nwb"),
    ],
)  # fmt: skip
def test_names(subject: str | None, session: str | None, source: str, run: str, name: str) -> None:
    start = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
    nwbfile = NWBFile("Mouse looks at gratings.", "recording-1", start, session_id=session)
    nwbfile.subject = None if subject is None else Subject(subject_id=subject)
    assert sidecar_name(nwbfile, source, run) == name


@pytest.mark.parametrize(
    ("source", "second"),
    [
        ("dandi://dandi/000001@draft/sub-1/sub-1_ses-b_ophys.nwb", "sub-1_ses-b_desc-spikes_ophys.nwb"),
        ("sub-mouse 2_ophys.nwb", "sub-mouse-2_ses-a_desc-spikes_ophys.nwb"),
        ("sub-1_ses-a_ophys.nwb", "sub-1_ses-a_desc-spikes_ophys.nwb"),
        ("C:\\data\\second.nwb", "sub-1_ses-a_desc-spikes_ophys.nwb"),
    ],
)
def test_recordings_of_one_session_are_told_apart_by_their_names_else_by_a_hash(source: str, second: str) -> None:
    name = "sub-1_ses-a_desc-spikes_ophys.nwb"
    assert list(names_apart(name, source, "ab" * 32)) == [
        name,
        second,
        "sub-1_ses-a_desc-spikes-abababab_ophys.nwb",
    ]


def test_labels_are_letters_digits_and_single_hyphens() -> None:
    assert label("_a--b..c ") == "a-b-c"


def test_the_output_is_a_folder_or_an_nwb_file(tmp_path: Path) -> None:
    source = tmp_path / "a.nwb"
    source.touch()
    assert sidecar_folder(source, None) == (tmp_path, None)
    assert sidecar_folder(None, None) == (Path(), None)
    assert sidecar_folder(None, tmp_path / "new") == (tmp_path / "new", None)
    assert sidecar_folder(None, tmp_path / "new.nwb") == (tmp_path, "new.nwb")
    with pytest.raises(InputError, match="output other than the input"):
        sidecar_folder(source, source)
    (tmp_path / "text").touch()
    for wrong in ("text", "b.nwb.zarr", "c.npy"):
        with pytest.raises(InputError, match=r"Expected a folder, or a file that ends with \.nwb, for a sidecar"):
            sidecar_folder(source, tmp_path / wrong)


def test_in_a_dandiset_a_sidecar_goes_into_the_folder_of_its_subject(tmp_path: Path) -> None:
    name = "sub-1_ses-a_desc-spikes_ophys.nwb"
    assert placed(tmp_path, name) == tmp_path / name
    (tmp_path / "dandiset.yaml").touch()
    assert placed(tmp_path, name) == tmp_path / "sub-1" / name
