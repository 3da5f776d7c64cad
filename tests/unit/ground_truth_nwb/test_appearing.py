"""Files that appear whole, and what is left of those whose process was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ground_truth_nwb import appearing as module
from ground_truth_nwb.appearing import appearing, host_name
from tests.support.fresh_process import dead_process


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with appearing(path) as draft:
        draft.write_text("first")
        assert not path.exists()
        assert draft.name.startswith(".")
    with pytest.raises(TypeError), appearing(path) as draft:
        draft.write_text(2)  # type: ignore[arg-type]  # fails when the file is there and empty
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("table.csv", "first")]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal; from ground_truth_nwb.appearing import appearing\n"
        f"with appearing(pathlib.Path({str(tmp_path / 'table.csv')!r})) as draft:\n"
        "    draft.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert [path.read_text() for path in tmp_path.iterdir()] == ["half"]
    with appearing(tmp_path / "other.csv") as draft:
        draft.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


@pytest.mark.parametrize(
    ("who", "is_left"),
    [
        (f"{host_name()}-{os.getppid()}", True),
        (f"{host_name()}-{dead_process()}", False),
        (f"elsewhere-{dead_process()}", True),
        ("somebody", True),
    ],
    ids=["a process that lives", "a dead one", "one of another machine", "what is not ours"],
)
def test_only_what_is_certainly_abandoned_is_removed(tmp_path: Path, who: str, is_left: bool) -> None:
    other = tmp_path / f".table.{who}.partial.csv"
    other.write_text("half")
    with appearing(tmp_path / "table.csv") as draft:
        draft.write_text("whole")
    assert other.exists() == is_left


def test_what_another_machine_left_is_removed_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / ".table.elsewhere-1.partial"
    other.write_text("half")
    monkeypatch.setattr(module, "ABANDONED_S", -1.0)
    with appearing(tmp_path / "table.csv") as draft:
        draft.write_text("whole")
    assert not other.exists()
