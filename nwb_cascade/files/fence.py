"""Work on what strangers wrote, in a child process with limits of time and memory: it never ends its parent.

libhdf5 goes round for ever in some damaged files, allocates gigabytes for others or crashes in them, where Python
cannot stop it. The child is a fork: 15 ms, nothing to import, and it sees what its parent has open. Where forking is
not safe (macOS, Windows) work is done in this process, without limits.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from typing import Any, NoReturn, TypeVar, cast

from nwb_cascade.errors import InputError

IS_AVAILABLE = sys.platform == "linux"
PROCESSOR_S = 20.0  # and what a sound file of this size may take; reading most takes less than one
BYTES_PER_S = 2**21
MEMORY_BYTES = 2**30  # beyond what the process holds; the largest known recordings take a fifth
CLOCK_PER_PROCESSOR = 3  # a busy machine stretches the clock, but not the processor's time
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, Linux's prctl(2)

Result = TypeVar("Result")
_inside = False


class FencedError(Exception):
    """The traceback of an error that was raised within a fence, as text: the cause of the error that is raised."""


class Served:
    """Stands within a fence for an object outside: what is asked of it here is done there, one question at a time."""

    def __init__(self, target: Any) -> None:
        self._target, self._turn = target, threading.Lock()
        self.line: Any = None  # within a fence the way out

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return partial(self._ask, name) if callable(value) else value

    def _ask(self, name: str, *given: Any) -> Any:
        with self._turn:
            self.line.send((name, given))
            value, error = self.line.recv()
        if error is not None:
            raise error
        return value

    def answer(self, name: str, given: tuple[Any, ...]) -> tuple[Any, Exception | None]:
        """Return what a method gives or raises."""
        try:
            return getattr(self._target, name)(*given), None
        except Exception as error:  # raised again where it was asked for
            return None, error


def fenced(
    name: str,
    work: Callable[[], Result],
    *,
    n_bytes: int = 0,
    serves: Served | None = None,
    processor_s: float = PROCESSOR_S,
) -> Result:
    """Return what ``work`` returns, or raise what it raises, as if it were done in this process.

    Parameters
    ----------
    name : str
        Path or address of what is worked on, for messages.
    work : callable
        Its result has to be picklable; what else it changes in this process is lost.
    n_bytes : int
        Size of what is read, which gives it more time.
    serves : Served, optional
        An object of this process that the work calls; the time that it takes does not count.
    processor_s : float
        Seconds of the processor for a small file.

    Raises
    ------
    InputError
        If the work does not end in its time, or ends its process.
    """
    global _inside  # the child is a process of its own; it builds no fence within the fence
    if not IS_AVAILABLE or _inside:
        return work()
    limit_s = processor_s + n_bytes / BYTES_PER_S
    here, there = Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, none of which the child uses
        child = os.fork()
    if child == 0:
        _inside = True
        if serves is not None:
            serves.line = there
        _work(work, there, limit_s)
    there.close()
    content, has_ended = b"", False
    try:
        content, has_ended = _waited(here, CLOCK_PER_PROCESSOR * limit_s, serves)
    finally:  # on KeyboardInterrupt as well
        here.close()
        if not has_ended:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not content:
        why = _end(status) if has_ended else ""
        why = why or f"reading it did not end within {limit_s:.3g} s"
        raise InputError(f"{name} cannot be read ({why}): it is damaged or made to do harm. Leave it out.")
    value, error, told, words = pickle.loads(content)
    for message, category, filename, line in words:
        warnings.warn_explicit(message, category, filename, line)
    if error is not None:
        raise error from FencedError(f"\n{told}")
    return cast(Result, value)


def _end(status: int) -> str:
    """Say how a child ended that sent nothing; empty if its time was up."""
    if not os.WIFSIGNALED(status):
        return "the process that read it ended without a word"
    ended_by = signal.Signals(os.WTERMSIG(status))
    return "" if ended_by is signal.SIGXCPU else f"the process that read it was ended by {ended_by.name}"


def _waited(here: Any, limit_s: float, serves: Served | None) -> tuple[bytes, bool]:
    """Answer the child's questions until it sends what came of its work; that, and whether it ended in time."""
    try:
        while here.poll(limit_s):
            name, given = here.recv()
            if not name:
                return given, True
            here.send(serves.answer(name, given) if serves else None)
    except (EOFError, ConnectionError):
        return b"", True
    return b"", False


def _work(work: Callable[[], Any], there: Any, limit_s: float) -> NoReturn:
    """Work in the child, send what comes of it, and end without any of the parent's clean-up."""
    try:
        _confine(limit_s)
        with warnings.catch_warnings(record=True) as told:
            try:
                outcome: tuple[Any, ...] = (work(), None, "")
            except Exception as error:  # raised again in the parent
                outcome = (None, error, traceback.format_exc())
                # The cause may hold open files; other packages (tblib) have exceptions pickled with it.
                error.__cause__ = error.__context__ = error.__traceback__ = None
            words = [(str(each.message), each.category, each.filename, each.lineno) for each in told]
        try:
            content = pickle.dumps((*outcome, words))
            pickle.loads(content)
        except Exception as error:  # of another package, with arguments of its own
            known = RuntimeError(f"{type(outcome[1]).__name__}: {outcome[1]}")
            content = pickle.dumps((None, known, outcome[2] or str(error), []))
        there.send(("", content))
    finally:
        os._exit(0)


def _confine(limit_s: float) -> None:
    """Limit this process, the child, and let go of what belongs to the parent."""
    import resource

    gc.freeze()  # what the parent left as garbage is not finalized here, as its temporary files
    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the C library writes when it aborts
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    with open("/proc/self/status", encoding="ascii") as status:
        held = next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmData")), 0)
    seconds = int(limit_s) + 1
    for kind, limit in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_DATA, held + MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
