"""What went wrong with one file of several, as the line that a person reads."""

from __future__ import annotations

import re

from nwb_cascade.cli import USER_ERRORS


def in_one_line(error: Exception) -> str:
    """Return an error as one line; one that no user can mend names its type."""
    kind = "" if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def of_file(name: str, message: str) -> str:
    """Return a message that names the file it is about, once.

    Examples
    --------
    >>> of_file("a.nwb", "There is no dF/F."), of_file("a.nwb", "a.nwb is truncated.")
    ('a.nwb: There is no dF/F.', 'a.nwb is truncated.')
    >>> of_file("a.nwb", "Expected NWB, received a.nwb."), of_file("a.nwb", "Expected a.nwb2.")
    ('Expected NWB, received a.nwb.', 'a.nwb: Expected a.nwb2.')
    """
    mentions = re.compile(rf"(?<![\w/.-]){re.escape(name)}(?![\w/-])") if re.search("[./]", name) else None
    is_told = message.startswith(name) or (mentions is not None and mentions.search(message) is not None)
    return message if is_told else f"{name}: {message}"
