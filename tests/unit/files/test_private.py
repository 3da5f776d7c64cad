"""Nothing planted is written to, and nothing is more open than what it was made from, at no time."""

import os
import stat
from pathlib import Path

import pytest

import nwb_cascade.annotation.annotate
from ground_truth_nwb.appearing import appearing
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.dandi.store import ExtentStore
from nwb_cascade.dandi.turns import Turns
from nwb_cascade.errors import InputError
from nwb_cascade.files import private
from nwb_cascade.files.disk import copy
from nwb_cascade.files.private import make_private, new_file, shared_file
from nwb_cascade.files.replace import workplace
from nwb_cascade.report import write_report
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has other modes")
KEY, CONTENT = "content", b"precious" * 8


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch):
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def opened_modes(monkeypatch):
    """Modes by which files are created, as they are right after that."""
    seen = {}
    creating = private.new_file

    def noting(path, *arguments):
        descriptor = creating(path, *arguments)
        seen[Path(path).suffix] = stat.S_IMODE(os.fstat(descriptor).st_mode)
        return descriptor

    for module in ("nwb_cascade.files.private", "nwb_cascade.files.disk"):
        monkeypatch.setattr(f"{module}.new_file", noting)
    return seen


@pytest.mark.parametrize("where", [{}, {"sidecar": True}, {"in_place": True}, {"output": "rates.npy"}])
def test_results_have_the_mode_of_the_recording_from_their_first_byte(where, tmp_path, opened_modes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recording = dff_recording(tmp_path / "a.nwb")
    recording.chmod(0o600)
    output = Path(annotate(recording, **where).output)
    assert mode(output) == 0o600
    assert set(opened_modes.values()) == {0o600}
    assert all(mode(path) == 0o600 for path in tmp_path.iterdir())


def test_a_page_has_the_mode_of_what_it_tells_of(tmp_path):
    pytest.importorskip("plotly")
    recording = dff_recording(tmp_path / "a.nwb")
    annotate(recording, in_place=True)
    recording.chmod(0o640)
    assert mode(write_report(recording, tmp_path / "page.html")) == 0o640


def test_a_copied_store_has_the_modes_of_the_original(tmp_path):
    (tmp_path / "a.zarr" / "x").mkdir(parents=True)
    (tmp_path / "a.zarr" / "x" / "0").write_bytes(b"1")
    (tmp_path / "a.zarr").chmod(0o700)
    (tmp_path / "a.zarr" / "x" / "0").chmod(0o600)
    copy(tmp_path / "a.zarr", tmp_path / "b.zarr")
    assert (mode(tmp_path / "b.zarr"), mode(tmp_path / "b.zarr" / "x" / "0")) == (0o700, 0o600)


def test_a_file_of_the_cache_that_is_a_link_is_not_written_to(tmp_path, victim):
    """The first bytes of a foreign file were overwritten so."""
    store = ExtentStore(tmp_path / "cache", 10**6)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "usage").symlink_to(victim)
    assert not store.save(KEY, 0, b"bytes")
    assert victim.read_bytes() == CONTENT


def test_a_hard_link_in_the_cache_is_not_written_to(tmp_path, victim):
    (tmp_path / "cache").mkdir()
    os.link(victim, tmp_path / "cache" / "usage")
    assert not ExtentStore(tmp_path / "cache", 10**6).save(KEY, 0, b"bytes")
    assert victim.read_bytes() == CONTENT


def test_a_cache_that_others_can_write_is_made_private(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    store = ExtentStore(tmp_path / "cache", 10**6)
    assert store.extents(KEY) == []
    assert mode(tmp_path / "cache") == 0o700
    assert store.save(KEY, 0, b"bytes")
    assert {mode(path) for path in (tmp_path / "cache").rglob("*") if path.is_file()} == {0o600}


def test_the_cache_of_another_user_is_not_used(tmp_path, monkeypatch):
    store = ExtentStore(tmp_path / "cache", 10**6)
    assert store.save(KEY, 0, b"bytes")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert store.extents(KEY) == []
    assert store.load(KEY, (0, 5)) is None
    assert store.capacity_bytes == 0
    with pytest.raises(PermissionError, match="belongs to another user"):
        make_private(tmp_path / "cache")


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    target = tmp_path / "a.nwb"
    with workplace(target):
        (lock,) = tmp_path.glob("*lock")
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((OSError, InputError), match="symbolic"), workplace(target):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_link_in_the_place_of_a_turn_is_not_followed(tmp_path):
    (tmp_path / "turn-0").symlink_to(tmp_path / "elsewhere")
    with Turns(tmp_path, 1).one():
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_new_file_replaces_and_follows_nothing(tmp_path, victim):
    (tmp_path / "link").symlink_to(victim)
    for path in (victim, tmp_path / "link"):
        with pytest.raises(FileExistsError, match="File exists"):
            new_file(path)
    with pytest.raises(PermissionError, match="symbolic link"):
        shared_file(tmp_path / "link")
    assert victim.read_bytes() == CONTENT


def test_a_file_that_appears_is_there_with_its_mode_before_it_is_written(tmp_path):
    with appearing(tmp_path / "a", mode=0o600) as partial:
        assert mode(partial) == 0o600


def test_a_ledger_is_its_users_alone(tmp_path):
    Ledger(tmp_path / "out").prepare()
    assert mode(tmp_path / "out" / "jobs") == 0o700


def test_hidden_workplaces_are_entered_by_their_user_alone(tmp_path):
    with workplace(tmp_path / "a.nwb") as work:
        assert mode(work) == 0o700
