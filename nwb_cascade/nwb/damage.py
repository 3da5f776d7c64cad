"""Failures of the libraries below that read a file, told as one sentence about the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hdmf.build import ConstructError

from nwb_cascade.errors import InputError, RemoteError

MOST_WORDS = 400  # characters of a reason; errors of hdmf may hold whole objects


@contextmanager
def told_as_damage(name: str, what: str = "cannot be read") -> Iterator[None]:
    """Turn what h5py, hdmf and pynwb raise on a file into an InputError with its name.

    They have no common error (OSError, RuntimeError, KeyError, RecursionError, MemoryError, ConstructError, ... all
    occur), hence the broad ``except``; what is clear already, and what a server failed to deliver, passes.
    """
    try:
        yield
    except (InputError, RemoteError):
        raise
    except Exception as error:
        raise InputError(
            f"{name} {what} ({reason_of(error)}): it is damaged, incomplete or not valid NWB. Copy it anew, or check "
            "it with pynwb.validate."
        ) from error


def reason_of(error: BaseException) -> str:
    """Say in words of bounded length why a library below failed, and where if it knows."""
    if isinstance(error, ConstructError):  # its text is everything that the object consists of
        builder, *words = error.args[0] if isinstance(error.args[0], tuple) else error.args
        text = f"{getattr(builder, 'path', '')}: {' '.join(map(str, words))}"
    else:
        text = str(error) or type(error).__name__
    text = " ".join(text.split())
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]} …"
