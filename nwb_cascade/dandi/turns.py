"""Turns: how many requests to an archive's API are on their way at once, over all processes that share a folder.

A turn is a lock on one of a few files, which the system takes back from a process that dies. Requests to the storage
take none. As the cache explains, a thread may hold HDF5's global lock while it reads, and another thread of its process
that has a turn may wait for that lock: so nobody waits for ever for a turn of his own process.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from nwb_cascade.files.locks import lock
from nwb_cascade.files.private import make_private, shared_file

POLL_S = 0.02
PATIENCE_S = 90.0  # more than a request takes
_turns: list[Turns] = []
_since: dict[int, float] = {}


@contextmanager
def limited(folder: Path, most: int) -> Iterator[None]:
    """Limit the requests to APIs of this process, and of all others that name this folder, while the context is open.

    On a file system without locks, and on Windows, there is no limit.

    Parameters
    ----------
    folder : pathlib.Path
        Made if need be; on several machines one that all of them see.
    most : int
        Requests at once.
    """
    make_private(folder)
    turns = Turns(folder, most)
    _turns.append(turns)
    try:
        yield
    finally:
        _turns.remove(turns)


def turn() -> AbstractContextManager[None]:
    """Return the context in which a request to an API is made and its answer read; never raises."""
    turns = tuple(_turns)
    return turns[-1].one() if turns else nullcontext()


class Turns:
    """The turns of a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Holds a file per turn.
    most : int
        How many there are.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._paths = [folder / f"turn-{number}" for number in range(most)]

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn and hold it."""
        descriptor = self._take()
        try:
            yield
        finally:
            if descriptor is not None:
                _since.pop(descriptor, None)
                os.close(descriptor)

    def _take(self) -> int | None:
        """Return the open file of a turn; None to go on without one."""
        while True:
            for path in self._paths:
                try:
                    descriptor = _locked(path)
                except OSError:  # no locks here; or nothing can be written, which the job will find out by itself
                    return None
                if descriptor is not None:
                    _since[descriptor] = time.monotonic()
                    return descriptor
            if any(time.monotonic() - since > PATIENCE_S for since in list(_since.values())):
                return None
            time.sleep(POLL_S * random.uniform(0.5, 1.5))


def _locked(path: Path) -> int | None:
    """Return the file, locked; None if somebody else has it."""
    descriptor = shared_file(path)
    try:
        lock(descriptor)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor
