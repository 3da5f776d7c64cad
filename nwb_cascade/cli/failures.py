"""What went wrong with one file of several, as the line that a person reads."""

from __future__ import annotations

from nwb_cascade.cli import USER_ERRORS


def in_one_line(error: Exception) -> str:
    """Return an error as one line; one that no user can mend names its type."""
    kind = "" if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def of_file(name: str, message: str) -> str:
    """Return a message that begins with the file it is about, once.

    Examples
    --------
    >>> of_file("a.nwb", "There is no dF/F."), of_file("a.nwb", "a.nwb is truncated.")
    ('a.nwb: There is no dF/F.', 'a.nwb is truncated.')
    """
    return message if message.startswith(name) else f"{name}: {message}"
