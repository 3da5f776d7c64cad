"""The headline of a page: a few numbers to see first, each with what it counts and how to read it."""

from __future__ import annotations

from dataclasses import dataclass

from nwb_cascade.core.wording import rounded


@dataclass(frozen=True)
class KeyNumber:
    """A number as it is shown, what it counts, and a few words on it."""

    value: str
    label: str
    note: str = ""


def key_count(number: int, noun: str, note: str = "", *, plural: str = "") -> KeyNumber:
    """Return a count with its noun, in the plural unless there is one.

    Examples
    --------
    >>> key_count(1200, "cell")
    KeyNumber(value='1,200', label='cells', note='')
    """
    return KeyNumber(f"{number:,}", noun if number == 1 else plural or f"{noun}s", note)


def lasting(seconds: float) -> str:
    """Return a time in seconds or, from two minutes on, in minutes.

    Examples
    --------
    >>> lasting(90), lasting(600), lasting(7200)
    ('90 s', '10 min', '120 min')
    """
    return f"{rounded(seconds, 3)} s" if seconds < 120 else f"{rounded(seconds / 60, 3)} min"
