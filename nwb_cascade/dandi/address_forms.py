"""What addresses of files on DANDI look like; light to import, for telling them from paths."""

from __future__ import annotations

import os
import re

LOCATED = re.compile(
    r"(?:dandi://(?P<instance>[^/\s]+)/)?(?P<dandiset>[0-9]{6})(?:@(?P<version>[^/\s]+))?(?:/(?P<path>.*))?"
)
IDENTIFIER = re.compile(r"[A-Z-]+:[0-9]{6}(?:/[^/\s]+)?")


def is_remote(source: str) -> bool:
    """Tell whether a text is an address on the web and not a path on disk.

    A dandiset's bare number counts as an address unless a file or folder of that name is here.

    Examples
    --------
    >>> is_remote("dandi://dandi/000402"), is_remote("recordings/a.nwb")
    (True, False)
    """
    if source.startswith(("http://", "https://", "dandi://")) or IDENTIFIER.fullmatch(source):
        return True
    return LOCATED.fullmatch(source) is not None and not os.path.exists(source)
