"""The cache on disk: whole pieces or none, a limit that holds, several processes."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nwb_cascade.dandi import store as module
from nwb_cascade.dandi.store import ExtentStore, default_folder

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def stored_bytes(folder):
    return sum(path.stat().st_size for path in folder.glob("*/*/*"))


def pieces(folder):
    return sorted(folder.glob("*/*/*"))


def test_a_stored_piece_comes_back_in_another_process_too(folder):
    assert ExtentStore(folder, 1000).save("a", 5, b"hello")
    other = ExtentStore(folder, 1000)
    assert other.extents("a") == [(5, 10)]
    assert other.load("a", (5, 10)) == b"hello"
    assert other.extents("b") == []
    assert other.load("b", (5, 10)) is None


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: b"X" + raw[1:], lambda raw: b""])
def test_a_damaged_piece_is_not_believed_and_goes_away(folder, damage):
    store = ExtentStore(folder, 1000)
    store.save("a", 0, b"hello")
    (path,) = pieces(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert store.load("a", (0, 5)) is None
    assert pieces(folder) == []


def test_the_limit_holds_and_the_pieces_used_last_stay(folder):
    store = ExtentStore(folder, 1000)
    for n in range(9):
        assert store.save("a", 100 * n, bytes(96))
        os.utime(pieces(folder)[-1], ns=(n, n))
    assert store.load("a", (0, 96)) is not None
    assert store.save("a", 900, bytes(96))
    assert store.save("a", 1000, bytes(96))
    assert stored_bytes(folder) <= 1000
    kept = store.extents("a")
    assert (0, 96) in kept
    assert (1000, 1096) in kept
    assert (100, 196) not in kept


def test_a_piece_larger_than_the_limit_is_not_stored(folder):
    store = ExtentStore(folder, 100)
    assert not store.save("a", 0, bytes(97))
    assert store.save("a", 0, bytes(96))


def test_without_a_limit_above_zero_nothing_is_written(folder):
    store = ExtentStore(folder, 0)
    assert not store.save("a", 0, b"hello")
    assert store.extents("a") == []
    assert store.capacity_bytes == 0
    assert not folder.exists()


def test_what_a_killed_process_left_unfinished_is_not_read_and_goes_away(folder):
    store = ExtentStore(folder, 300)
    store.save("a", 0, bytes(96))
    unfinished = pieces(folder)[0].with_name("64-c8.part")
    unfinished.write_bytes(bytes(90))
    assert store.extents("a") == [(0, 96)]
    for n in range(1, 4):
        store.save("a", 100 * n, bytes(96))
    assert not unfinished.exists()
    assert stored_bytes(folder) <= 300


def test_a_ledger_that_is_wrong_is_made_anew(folder):
    store = ExtentStore(folder, 300)
    store.save("a", 0, bytes(96))
    for content in [b"", b"nonsense", b"%032d" % 10**9]:
        (folder / "usage").write_bytes(content)
        assert store.save("a", 100, bytes(96))
    assert int((folder / "usage").read_bytes()) == stored_bytes(folder) + 100


def test_a_full_disk_ends_storing_with_one_warning_but_not_reading(folder, monkeypatch, caplog):
    store = ExtentStore(folder, 1000)
    store.save("a", 0, b"hello")

    def fail(path, mode):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nwb_cascade.dandi.store.new_file", fail)
    assert not store.save("a", 5, b"world")
    assert not store.save("a", 5, b"world")
    assert [record.getMessage() for record in caplog.records] == [
        f"The cache in {folder} cannot be used ([Errno 28] No space left on device); reading goes on without it."
    ]
    assert store.load("a", (0, 5)) == b"hello"
    assert store.capacity_bytes == 0


def test_a_folder_deleted_in_between_is_made_again(folder):
    store = ExtentStore(folder, 1000)
    store.save("a", 0, b"hello")
    subprocess.run(["rm", "-r", str(folder)], check=True)
    assert store.load("a", (0, 5)) is None
    assert store.save("a", 0, b"hello")
    assert store.load("a", (0, 5)) == b"hello"


def test_a_lock_that_stays_taken_costs_a_bounded_wait(folder, monkeypatch):
    monkeypatch.setattr(module, "LOCK_PATIENCE_S", 0.02)
    store = ExtentStore(folder, 1000)
    store.save("a", 0, b"hello")
    with open(folder / "usage") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        assert not store.save("a", 5, b"world")
    assert store.save("a", 5, b"world")


WRITER = """
import sys
from pathlib import Path
from nwb_cascade.dandi.store import ExtentStore

store = ExtentStore(Path(sys.argv[1]), int(sys.argv[2]))
me, limit = int(sys.argv[3]), int(sys.argv[2])
for n in range(80):
    start = 100 * ((7 * n + me) % 40)
    content = bytes([start % 251]) * 96
    held = store.load("shared", (start, start + 96))
    assert held in (None, content), "another content"
    store.save("shared", start, content)
    used = 0
    for path in Path(sys.argv[1]).glob("*/*/*"):
        try:
            used += path.stat().st_size
        except FileNotFoundError:
            pass
    assert used <= limit, used
"""


def test_processes_share_a_folder_without_mixing_contents_or_passing_the_limit(folder):
    command = [sys.executable, "-c", WRITER, str(folder), "1500"]
    processes = [
        subprocess.Popen([*command, str(me)], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) for me in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    assert stored_bytes(folder) <= 1500
    assert len(ExtentStore(folder, 1500).extents("shared")) > 5


def test_the_folder_comes_from_the_environment_or_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("NWB_CASCADE_CACHE")
    assert default_folder().parts[-2:] == ("nwb-cascade", "dandi")
