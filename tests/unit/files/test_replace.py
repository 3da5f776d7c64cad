"""A target is always its old or its new self, and what dead runs left behind is found."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.files import replace
from nwb_cascade.files.replace import install, repair, stamp, workplace


def folder_with(path: Path, **files: str) -> Path:
    """Make a folder holding one text file per keyword."""
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def hidden(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.name.startswith(".")]


def killed_while_working(target: Path, body: str) -> None:
    """Run a process that kills itself inside the workplace of the target, after a piece of code."""
    code = f"""
        import os, signal
        from pathlib import Path
        from nwb_cascade.files import replace
        target = Path({str(target)!r})
        with replace.workplace(target) as work:
            {body}
            os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert process.returncode == -signal.SIGKILL


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "data.bin"
    target.write_text("old")
    target.chmod(0o640)
    with workplace(target) as work:
        (work / "prepared").write_text("new")
        install(work / "prepared", target, expected=stamp(target))
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert hidden(tmp_path) == []


def test_a_new_file_appears_complete(tmp_path: Path) -> None:
    target = tmp_path / "new file with blanks.bin"
    with workplace(target) as work:
        (work / "prepared").write_text("new")
        assert not target.exists()
        install(work / "prepared", target, expected=None)
    assert target.read_text() == "new"


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool) -> None:
    if not can_exchange:
        monkeypatch.setattr(replace, "exchange", lambda first, second: False)
    target = folder_with(tmp_path / "store.zarr", a="old", b="old")
    with workplace(target) as work:
        install(folder_with(work / "prepared", a="new"), target, expected=stamp(target))
    assert {p.name: p.read_text() for p in target.iterdir()} == {"a": "new"}
    assert hidden(tmp_path) == []


def test_the_workplace_goes_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="division"), workplace(tmp_path / "x") as work:
        (work / "half").write_text(str(1 / 0))
    assert hidden(tmp_path) == []


def test_a_target_changed_by_others_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "data.bin"
    target.write_text("old")
    before = stamp(target)
    with workplace(target) as work:
        (work / "prepared").write_text("new")
        target.write_text("edited by hand")
        with pytest.raises(InputError, match=r"Another program changed .*data\.bin meanwhile"):
            install(work / "prepared", target, expected=before)
    assert target.read_text() == "edited by hand"


def test_two_runs_do_not_work_on_one_target(tmp_path: Path) -> None:
    target = tmp_path / "data.bin"
    with (
        workplace(target),
        pytest.raises(InputError, match=r"Another nwb-cascade run is writing .*data\.bin"),
        workplace(target),
    ):
        pass
    with workplace(target), workplace(tmp_path / "other.bin"):
        assert len(hidden(tmp_path)) == 4


def test_what_a_killed_run_left_behind_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "data.bin"
    killed_while_working(target, "(work / 'big').write_bytes(bytes(10_000))")
    left = hidden(tmp_path)
    assert [p for p in left if p.is_dir()]
    with workplace(target) as work:
        assert list(work.iterdir()) == []
        assert [p for p in hidden(tmp_path) if p.is_dir()] == [work]
    assert hidden(tmp_path) == []


def test_a_folder_lost_between_two_renames_comes_back(tmp_path: Path) -> None:
    target = folder_with(tmp_path / "store.zarr", a="old")
    killed_while_working(target, "os.rename(target, work / (target.name + replace.PREVIOUS))")
    assert not target.exists()
    repair(target)
    assert (target / "a").read_text() == "old"
    assert hidden(tmp_path) == []


def test_repair_leaves_an_existing_target_alone(tmp_path: Path) -> None:
    target = folder_with(tmp_path / "store.zarr", a="new")
    repair(target)
    repair(tmp_path / "absent")
    assert (target / "a").read_text() == "new"


def test_the_stamp_of_a_folder_follows_its_files(tmp_path: Path) -> None:
    target = folder_with(tmp_path / "store.zarr", a="old")
    before = stamp(target)
    assert before == stamp(target)
    (target / "a").write_text("longer than before")
    assert stamp(target) != before
    assert stamp(tmp_path / "absent") is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_without_write_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path, flags: int, mode: int = 0) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(replace.os, "open", refuse)
    match = r"Cannot write in .*Choose another output folder"
    with pytest.raises(PermissionError, match=match), workplace(tmp_path / "data.bin"):
        pass


def test_without_file_locks_work_goes_on_and_nothing_of_others_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, *, shared: bool) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    target = tmp_path / "data.bin"
    killed_while_working(target, "pass")
    left = [p for p in hidden(tmp_path) if p.is_dir()]
    monkeypatch.setattr(replace, "lock", no_locks)
    with workplace(target) as work:
        assert sorted(p for p in hidden(tmp_path) if p.is_dir()) == sorted([*left, work])
