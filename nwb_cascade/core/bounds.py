"""Bounds of what others wrote: which numbers, texts and lists a field may hold, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nwb_cascade.errors import ModelFileError

SHOWN = 60  # characters of a value that an error shows
DEEPEST = 20


@dataclass(frozen=True)
class Bounds:
    """What one field may hold.

    Parameters
    ----------
    kind : type
        ``int``, ``float`` (whole numbers, too) or ``str``.
    low, high : float
        Least and largest number, or length of a text.
    count : (int, int), optional
        Fewest and most such values in a row, in a list or tuple; None for one value alone.

    Examples
    --------
    >>> Bounds(int, 1, 100).allows(5), Bounds(int, 1, 100).allows(5.0), Bounds(float, 0, 1).allows(float("nan"))
    (True, False, False)
    >>> str(Bounds(float, 0.1, 10, (2, 2)))
    '2 numbers from 0.1 to 10'
    """

    kind: type
    low: float
    high: float
    count: tuple[int, int] | None = None

    def allows(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.count is not None:
            if not isinstance(value, (list, tuple)) or not self.count[0] <= len(value) <= self.count[1]:
                return False
            return all(map(self._allows_one, value))
        return self._allows_one(value)

    def _allows_one(self, value: Any) -> bool:
        if self.kind is str:
            return (
                isinstance(value, str) and self.low <= len(value) <= self.high and "".join(value.split()).isprintable()
            )
        is_number = isinstance(value, (int, float) if self.kind is float else self.kind)
        return is_number and not isinstance(value, bool) and bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        nouns = {int: "whole number", float: "number", str: "text"}
        noun = nouns[self.kind]
        low, high = self.count or (1, 1)
        many = f"a {noun}" if self.count is None else f"{low} {noun}s" if low == high else f"{low} to {high} {noun}s"
        size = (
            f" of {self.low:g} to {self.high:g} characters"
            if self.kind is str
            else f" from {self.low:g} to {self.high:g}"
        )
        return many + size


def require(values: Mapping[str, Any], bounds: Mapping[str, Bounds], what: str) -> None:
    """Raise ModelFileError, in one sentence, unless all fields are within their bounds; others are not looked at."""
    for name, allowed in bounds.items():
        if not allowed.allows(values.get(name)):
            raise ModelFileError(f"Expected {name} of {what} as {allowed}, received {shown(values.get(name))}.")


def shown(value: object) -> str:
    """Return how an error shows a value: its beginning."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def is_shallow(value: object, levels: int = DEEPEST) -> bool:
    """Whether JSON values lie in each other no deeper than any of ours."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(is_shallow(one, levels - 1) for one in inside)
