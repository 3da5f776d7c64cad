"""What people read and type: 1 ROI and 2 ROIs, 110 % instead of 1.1e+02 %, cell 2 before cell 10, commands that run."""

from __future__ import annotations

import re
from collections.abc import Iterable


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural unless there is one.

    Examples
    --------
    >>> counted(1, "ROI"), counted(0, "ROI"), counted(2, "series", "series")
    ('1 ROI', '0 ROIs', '2 series')
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def rounded(value: float, digits: int) -> str:
    """Return a number in so many significant digits, without the exponent that ``g`` gives to 112.

    Examples
    --------
    >>> rounded(112.3, 2), rounded(0.0571, 2), rounded(3.0, 3)
    ('110', '0.057', '3')
    """
    return f"{float(f'{value:.{digits}g}'):.15g}"


def ranged(low: float, high: float) -> str:
    """Return a range of numbers, or the one number that it is.

    Examples
    --------
    >>> ranged(1, 120), ranged(7.5, 7.5)
    ('1 to 120', '7.5')
    """
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def listed(numbers: Iterable[float]) -> str:
    """Return numbers with commas between them.

    Examples
    --------
    >>> listed([2, 2.5])
    '2, 2.5'
    """
    return ", ".join(f"{number:g}" for number in numbers)


def natural_key(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts names with numbers by these numbers.

    Examples
    --------
    >>> sorted(["cell-10", "cell-2", "cell-1"], key=natural_key)
    ['cell-1', 'cell-2', 'cell-10']
    """
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts]


def proposed(*words: object) -> str:
    """Return a command of ours as it is typed into a shell; all but commands, flags and numbers stands in quotes.

    Examples
    --------
    >>> print(proposed("infer", "mouse 7.nwb", "--smoothing", 0.1, "--in-place"))
    nwb-cascade infer 'mouse 7.nwb' --smoothing 0.1 --in-place
    """
    return " ".join(["nwb-cascade", *(_quoted(str(word)) for word in words)])


def _quoted(word: str) -> str:
    if re.fullmatch(r"-{0,2}[a-z]+(-[a-z]+)*|[\d.]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
