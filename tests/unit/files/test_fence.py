"""Work in a process of its own: what it may take, and how its end is told."""

import copyreg
import os
import signal
import warnings

import h5py
import numpy as np
import pytest

from nwb_cascade.errors import InputError
from nwb_cascade.files import fence
from nwb_cascade.files.fence import FencedError, Served, fenced

pytestmark = pytest.mark.skipif(not fence.IS_AVAILABLE, reason="processes are forked on Linux only")


def test_a_result_comes_back_from_another_process():
    process, value = fenced("a.nwb", lambda: (os.getpid(), np.arange(10_000_000)))
    assert process != os.getpid()
    np.testing.assert_array_equal(value, np.arange(10_000_000))


def test_a_failure_is_raised_with_the_traceback_of_the_other_process():
    def fail():
        raise InputError("a.nwb holds nothing")

    with pytest.raises(InputError, match=r"^a\.nwb holds nothing$") as raised:
        fenced("a.nwb", fail)
    assert isinstance(raised.value.__cause__, FencedError)
    assert "in fail" in str(raised.value.__cause__)


def test_a_failure_that_cannot_travel_is_told_in_words():
    class OwnError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def fail():
        raise OwnError("this", "that")

    with pytest.raises(RuntimeError, match="OwnError: this and that"):
        fenced("a.nwb", fail)


def test_a_failure_travels_without_the_open_files_of_its_cause(tmp_path, monkeypatch):
    def fail():
        try:
            raise ValueError(open(tmp_path / "a", "w"))  # noqa: SIM115
        except ValueError as error:
            raise InputError("a.nwb is damaged") from error

    def with_cause(error):
        return type(error), error.args, {"cause": error.__cause__}

    monkeypatch.setitem(copyreg.dispatch_table, InputError, with_cause)  # as tblib does
    with pytest.raises(InputError, match=r"a\.nwb is damaged"):
        fenced("a.nwb", fail)


def test_warnings_of_the_other_process_are_given_in_this_one():
    with pytest.warns(UserWarning, match="look out"):
        fenced("a.nwb", lambda: warnings.warn("look out", UserWarning, stacklevel=1))


def test_work_without_end_is_ended():
    def go_round():
        while True:
            pass

    with pytest.raises(InputError, match=r"^a\.nwb cannot be read \(reading it did not end within 0.5 s\)"):
        fenced("a.nwb", go_round, processor_s=0.5)


@pytest.mark.skipif(h5py.version.hdf5_version_tuple > (1, 14, 6), reason="the newest libhdf5 known to go round in it")
def test_a_file_that_libhdf5_reads_without_end_is_ended(tmp_path):
    """An object of the global heap, where texts of any length lie, whose size and header together are 0 by overflow."""
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "any"
    content = bytearray(path.read_bytes())
    size = content.index(b"GCOL") + 16 + 8
    content[size : size + 8] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(content)

    def read():
        with h5py.File(path) as file:
            return file.attrs["text"]

    with pytest.raises(InputError, match=r"a\.nwb cannot be read \(reading it did not end within 1 s\)"):
        fenced(str(path), read, processor_s=1.0)


def test_work_that_waits_without_end_is_ended():
    with pytest.raises(InputError, match=r"did not end within 0\.1 s"):
        fenced("a.nwb", signal.pause, processor_s=0.1)


def test_work_that_takes_too_much_memory_fails_with_a_sentence():
    with pytest.raises(MemoryError):
        fenced("a.nwb", lambda: np.ones(2**28).sum())  # 2 GiB


def test_a_crash_is_told_and_ends_nobody_else():
    with pytest.raises(InputError, match=r"a\.nwb cannot be read .*was ended by SIGSEGV"):
        fenced("a.nwb", lambda: os.kill(os.getpid(), signal.SIGSEGV))


def test_the_work_asks_an_object_outside_and_what_that_learns_stays():
    known = {"a": 1}
    served = Served(known)
    assert fenced("a.nwb", lambda: (served.get("a"), served.setdefault("b", 2)), serves=served) == (1, 2)
    assert known == {"a": 1, "b": 2}


def test_what_an_object_outside_raises_is_raised_within():
    served = Served({})
    with pytest.raises(KeyError, match="a"):
        fenced("a.nwb", lambda: served.pop("a"), serves=served)


def test_within_a_fence_is_no_further_one():
    outer, inner = fenced("a.nwb", lambda: (os.getpid(), fenced("a.nwb", os.getpid)))
    assert inner == outer
