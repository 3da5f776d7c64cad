"""Copies are exact whichever way they are made; a full disk is told in one sentence."""

import errno
import os
from pathlib import Path

import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.files import disk
from nwb_cascade.files.disk import clear_disk_errors, copy, flush, require_space, reserve


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_file_is_copied_exactly_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    if not in_kernel:

        def refuse(*_: int) -> int:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    monkeypatch.setattr(disk, "COPY_BYTES", 2**20)
    source, reports = tmp_path / "a b ü.bin", []
    source.write_bytes(os.urandom(3 * 2**20 + 17))
    copy(source, tmp_path / "copy", lambda done, total: reports.append((done, total)))
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert reports[-1] == (3, 3)
    assert len(reports) >= 4


def test_a_folder_is_copied_with_its_empty_folders(tmp_path: Path) -> None:
    source = tmp_path / "store"
    (source / "deep" / "empty").mkdir(parents=True)
    (source / "deep" / ".zattrs").write_text("{}")
    copy(source, tmp_path / "copy")
    flush(tmp_path / "copy")
    assert (tmp_path / "copy/deep/.zattrs").read_text() == "{}"
    assert (tmp_path / "copy/deep/empty").is_dir()


def test_a_source_that_grows_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(bytes(100))

    def grow(done: int, total: int) -> None:
        with source.open("ab") as file:
            file.write(bytes(10) if source.stat().st_size == 100 else b"")
        os.truncate(source, 50)

    with pytest.raises(InputError, match=r"a\.bin changed while it was copied"):
        copy(source, tmp_path / "copy", grow)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        RuntimeError("Can't write (file write failed: errno = 28, error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_becomes_one_sentence(tmp_path: Path, error: Exception) -> None:
    match = r"^No space left for a\.nwb in .*nothing there was changed"
    with pytest.raises(OSError, match=match), clear_disk_errors(tmp_path / "a.nwb"):
        raise error


def test_reserved_room_is_behind_the_end_and_errors_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    reserve(path, 10_000)
    assert path.read_bytes()[:7] == b"content"
    assert path.stat().st_size == 10_007
    with pytest.raises(OSError, match=r"No space left|File too large"):
        reserve(path, 2**62)


def test_without_a_way_to_reserve_the_free_space_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    (tmp_path / "a.bin").touch()
    reserve(tmp_path / "a.bin", 10)
    assert (tmp_path / "a.bin").stat().st_size == 0
    with pytest.raises(OSError, match=r"No space left for a\.bin"):
        reserve(tmp_path / "a.bin", 10**21)


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error"), clear_disk_errors(tmp_path / "a.nwb"):
        raise OSError(errno.EIO, "Input/output error")


def test_space_is_checked_before_the_work(tmp_path: Path) -> None:
    require_space(tmp_path, 1000, "spikes")
    with pytest.raises(OSError, match=r"No space left for spikes in .*: up to 1000000000000000 MB are needed"):
        require_space(tmp_path, 10**21, "spikes")
