"""What a user should know about single ROIs: warnings with a stable code, by kind, and as text that is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CODED = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*): (.*)")


@dataclass(frozen=True)
class RoiWarning:
    """What a user should know about one ROI: its index in the recording, a stable code and a sentence."""

    roi: int
    code: str
    message: str


@dataclass(frozen=True)
class WarningKind:
    """Warnings of one code: the first of them, and the indices of all ROIs concerned."""

    code: str
    example: RoiWarning
    rois: tuple[int, ...]


def warning_kinds(warnings: Iterable[RoiWarning]) -> tuple[WarningKind, ...]:
    """Group warnings by code, those without one by their sentence; the kind of most ROIs first.

    Examples
    --------
    >>> found = [RoiWarning(1, "missing-frames", "3 frames are NaN"), RoiWarning(2, "constant", "always 0")]
    >>> kinds = warning_kinds([*found, RoiWarning(2, "missing-frames", "7 frames are NaN")])
    >>> [(kind.code, kind.example.message, kind.rois) for kind in kinds]
    [('missing-frames', '3 frames are NaN', (1, 2)), ('constant', 'always 0', (2,))]
    """
    groups: dict[str, list[RoiWarning]] = {}
    for warning in warnings:
        groups.setdefault(warning.code or warning.message, []).append(warning)
    kinds = [
        WarningKind(members[0].code, members[0], tuple(dict.fromkeys(one.roi for one in members)))
        for members in groups.values()
    ]
    return tuple(sorted(kinds, key=lambda kind: -len(kind.rois)))


def warning_texts(warnings: Iterable[RoiWarning], n_rois: int) -> tuple[str, ...]:
    """Return one text per ROI, ``code: sentence`` in a line per warning, empty where there is none.

    Examples
    --------
    >>> warning_texts([RoiWarning(1, "constant", "every frame is 0")], 2)
    ('', 'constant: every frame is 0')
    """
    lines: list[list[str]] = [[] for _ in range(n_rois)]
    for one in warnings:
        lines[one.roi].append(f"{one.code}: {one.message}" if one.code else one.message)
    return tuple("\n".join(own) for own in lines)


def read_warning_texts(texts: Sequence[str]) -> tuple[RoiWarning, ...]:
    """Return the warnings that `warning_texts` wrote; what another program wrote has no code.

    Examples
    --------
    >>> read_warning_texts(["", "constant: every frame is 0", "Dim."])
    (RoiWarning(roi=1, code='constant', message='every frame is 0'), RoiWarning(roi=2, code='', message='Dim.'))
    """
    found = []
    for roi, text in enumerate(texts):
        for line in filter(None, text.split("\n")):
            coded = CODED.fullmatch(line)
            found.append(RoiWarning(roi, *coded.groups()) if coded else RoiWarning(roi, "", line))
    return tuple(found)
