"""Finding: one row of what the doctor found, and how a look that fails becomes a row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One row.

    Parameters
    ----------
    part : str
        What it belongs to: software, machine, models, places, settings, speed.
    name : str
        What was looked at.
    verdict : {"ok", "note", "problem"}
        A problem keeps something from working; a note makes it slow, or keeps a part that was not asked for.
    value : str
        What was found.
    advice : str
        What to do; empty if nothing.
    """

    part: str
    name: str
    verdict: Verdict
    value: str
    advice: str = ""


def looked(part: str, name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a look finds; if it fails, whatever the reason, what it found so far and a row that says so."""
    try:
        yield from look()
    except Exception as error:  # what is broken on a machine is unknown; the other rows must come all the same
        yield Finding(part, name, "problem", failure(error))


def failure(error: Exception) -> str:
    """Return an error in one line, with its type."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path without the user's name: reports of problems are public.

    Examples
    --------
    >>> shown(Path.home() / "models") == os.path.join("~", "models")
    True
    """
    text, home = os.fspath(path), os.fspath(Path.home())
    return f"~{text[len(home) :]}" if text == home or text.startswith(home + os.sep) else text
