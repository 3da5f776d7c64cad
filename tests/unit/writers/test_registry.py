"""Which form a result has, and options that apply to no such form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.options import InferenceOptions, OutputOptions
from nwb_cascade.readers.registry import reader_of
from nwb_cascade.writers.matrix import MatrixWriter
from nwb_cascade.writers.nwb import CopyWriter, SidecarWriter
from nwb_cascade.writers.registry import output_of, writer_of

REMOTE = "dandi://dandi/000402/a.nwb"


@pytest.mark.parametrize(
    ("source", "where", "writer"),
    [
        ("a.nwb", {}, CopyWriter),
        ("a.nwb", {"in_place": True}, CopyWriter),
        ("a.nwb", {"output": "folder/"}, CopyWriter),
        ("a.nwb", {"output": "a.npy"}, MatrixWriter),
        ("a.nwb", {"output": "A.MAT"}, MatrixWriter),
        ("a.nwb", {"sidecar": True}, SidecarWriter),
        (REMOTE, {}, SidecarWriter),
        (REMOTE, {"output": "b.nwb"}, SidecarWriter),
        (REMOTE, {"output": "b.npy"}, MatrixWriter),
        ("a.npy", {}, MatrixWriter),
        ("a.npy", {"output": "folder/"}, MatrixWriter),
    ],
)
def test_the_form_follows_from_source_and_output(source: str, where: dict[str, Any], writer: type) -> None:
    assert writer_of(source, reader_of(source), OutputOptions(**where)) is writer


@pytest.mark.parametrize(
    ("source", "where", "message"),
    [
        ("a.npy", {"sidecar": True}, r"--sidecar does not apply to a\.npy: it has no session"),
        ("a.npy", {"in_place": True}, r"--in-place does not apply to a\.npy: only NWB files"),
        (REMOTE, {"in_place": True}, "--in-place does not apply to sidecars and remote files"),
    ],
)
def test_what_a_source_cannot_give_is_refused(source: str, where: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        writer_of(source, reader_of(source), OutputOptions(**where))


def target_of(source: Path, where: OutputOptions) -> Path | None:
    reader = reader_of(source)
    return writer_of(source, reader, where).named_target(source, reader, where)


def test_several_results_go_to_different_files(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a.nwb", "b.npy", "c.mat")]
    options = InferenceOptions(imaging_rate=30.0)
    where = output_of(names, options, OutputOptions(str(tmp_path / "new")))
    assert where.output == f"{tmp_path}/new/"
    assert [target_of(name, where) for name in names] == [tmp_path / "new" / name.name for name in names]
    beside = output_of(names[1:], options, OutputOptions())
    assert [target_of(name, beside) for name in names[1:]] == [tmp_path / "b_spikes.npy", tmp_path / "c_spikes.mat"]
    with pytest.raises(InputError, match=r"several would be written to .*a\.nwb"):
        output_of([tmp_path / "x/a.nwb", tmp_path / "y/a.nwb"], options, OutputOptions(str(tmp_path)))


def test_a_matrix_is_named_like_one_and_never_its_source(tmp_path: Path) -> None:
    (tmp_path / "a.npy").touch()
    source = tmp_path / "a.npy"
    for output, message in ((tmp_path / "b.nwb", r"ending in \.npy, \.npz or \.mat"), (source, "other than the input")):
        with pytest.raises(InputError, match=message):
            MatrixWriter.named_target(source, reader_of(source), OutputOptions(output))
