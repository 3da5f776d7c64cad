"""Failures of the libraries below that read a file, told as one sentence about the file."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hdmf.build import ConstructError

from nwb_cascade.errors import InputError, RemoteError

MOST_WORDS = 200  # characters of a reason; errors of hdmf may hold whole objects
IN_OUR_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (UnicodeDecodeError, "a name or text in it is not UTF-8"),
    (RecursionError, "its groups lie too deep within each other"),
    (MemoryError, "it asks for more memory than a recording may take"),
    ((AttributeError, TypeError, IndexError, AssertionError), "what NWB has there is missing or of another kind"),
)
READ_BY = (("h5obj", "name"), ("zarr_obj", "name"), ("builder", "path"))  # variables of hdmf


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
    """Say in words of bounded length why a library below failed, and where if it knows: the cause first."""
    words = next((words for kinds, words in IN_OUR_WORDS if isinstance(error, kinds)), "")
    place = _place(error)
    if isinstance(error, ConstructError):  # its text is everything that the object consists of
        builder, *rest = error.args[0] if isinstance(error.args[0], tuple) else error.args
        place = getattr(builder, "path", place)
        words = " ".join(map(str, rest)).rpartition(" due to: ")[2]
    text = " ".join((words or str(error) or type(error).__name__).split())
    text = "links form a circle" if "too many links" in text else text
    text = text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]} …"
    return f"{text}, at /{place.removeprefix('root').strip('/')}" if place and place not in text else text


def _place(error: BaseException) -> str:
    """Return the path of the object that a library was reading when it failed; empty if it is not known."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name, attribute in READ_BY:
            with suppress(Exception):  # of objects that cannot say what they are called
                path = str(getattr(frame.f_locals[name], attribute))
                found = path if path.startswith(("root", "/")) else found
    return found if len(found) <= MOST_WORDS else ""
