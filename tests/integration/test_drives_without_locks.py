"""Drives that lock no files, as network drives may: recordings are read and results written all the same."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import h5py
import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.files import locks
from nwb_cascade.nwb.discover import inspect
from nwb_cascade.report.recording_report import write_report
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording

WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, 524)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    return dff_recording(tmp_path / "mouse.nwb")


def lock_nothing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let HDF5 and our own locks fail as on a drive whose system calls give this number."""

    class Unlockable(h5py.File):  # type: ignore[misc]  # h5py has no type hints
        def __init__(self, name: Any, mode: str = "r", **options: Any) -> None:
            if isinstance(name, (str, os.PathLike)) and options.get("locking") is not False:
                raise OSError(number, f"Unable to synchronously open file (unable to lock file, errno = {number})")
            super().__init__(name, mode, **options)

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, "No locks")

    monkeypatch.setattr(h5py, "File", Unlockable)
    monkeypatch.setattr(locks.fcntl, "flock", refused)


@pytest.mark.parametrize("number", WITHOUT_LOCKS)
def test_a_recording_on_a_drive_without_locks_is_read(
    recording: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    lock_nothing(monkeypatch, number)
    (series,) = inspect(recording)
    assert series.n_frames == 300


def test_results_are_written_on_a_drive_without_locks(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_nothing(monkeypatch, errno.ENOLCK)
    for how in ({}, {"sidecar": True}, {"in_place": True}, {"output": recording.with_suffix(".mat")}):
        assert not annotate(recording, **how).skipped  # type: ignore[arg-type]
        assert annotate(recording, **how).skipped  # type: ignore[arg-type]
    annotate_spikes(recording, in_place=True)
    assert write_report(recording, recording.with_suffix(".html")).exists()


def test_a_lock_that_is_held_is_told_with_what_a_drive_may_need(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_nothing(monkeypatch, errno.EAGAIN)
    with pytest.raises(BlockingIOError, match=r"mouse\.nwb is locked: .* set HDF5_USE_FILE_LOCKING=FALSE"):
        inspect(recording)
