"""The files that a command line names: paths as they are, addresses as the assets that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nwb_cascade.dandi.assets import Asset


def listed(files: Iterable[str]) -> Iterator[tuple[str, Path | Asset | Exception]]:
    """Yield each recording with the argument that named it; where none is found, what went wrong instead."""
    for file in files:
        for source in _expanded(file):
            yield file, source


def _expanded(file: str) -> Iterator[Path | Asset | Exception]:
    from nwb_cascade.cli import USER_ERRORS
    from nwb_cascade.readers.sources import expand

    try:
        yield from expand(file)
    except USER_ERRORS as error:
        yield error
