"""Which files below a folder are ground truth, in which layout, and how to read each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ground_truth_nwb.cascade_mat import read_cell
from ground_truth_nwb.cells import Cell
from ground_truth_nwb.nwb_read import read_nwb_cell, read_source_record
from ground_truth_nwb.other_nwb import read_nwb_cells
from ground_truth_nwb.spikefinder_csv import is_calcium_file, read_spikefinder, spikes_file


@dataclass(frozen=True)
class SourceFile:
    """One file (or pair of files) that holds one or several cells, and the name of its layout."""

    path: Path
    layout: str

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files that belong to it."""
        return (self.path, spikes_file(self.path)) if self.layout == "spikefinder" else (self.path,)

    def sha256(self) -> str:
        """SHA-256 of its files, one after the other; a missing partner counts as empty."""
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(part.read_bytes() if part.exists() else b"")
        return digest.hexdigest()

    def read(self) -> tuple[Cell, ...]:
        """Read all cells; a ValueError says what is wrong with the file."""
        return _READERS[self.layout](self.path)


def _read_nwb(path: Path) -> tuple[Cell, ...]:
    """Read an NWB file of this package, or one of another layout."""
    return (read_nwb_cell(path),) if read_source_record(path) else read_nwb_cells(path)


def _read_mat(path: Path) -> tuple[Cell, ...]:
    """Read the one cell of a MATLAB file."""
    return (read_cell(path),)


_READERS: dict[str, Callable[[Path], tuple[Cell, ...]]] = {
    "cascade-mat": _read_mat,
    "nwb": _read_nwb,
    "spikefinder": read_spikefinder,
}


def find_sources(root: Path, *, leaving_out: Path | None = None) -> list[SourceFile]:
    """Return all ground truth below a folder (or the file itself), sorted by path.

    MATLAB files, NWB files and Spikefinder's calcium files count; names that begin with a dot do not, and nothing
    below the folder ``leaving_out`` does.

    Raises
    ------
    LookupError
        If there is none.
    """
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    wanted = [path for path in paths if leaving_out is None or leaving_out.resolve() not in path.resolve().parents]
    found = [SourceFile(path, layout) for path in wanted if (layout := _layout(path)) is not None]
    if not found:
        raise LookupError(
            f"Expected ground truth below {root} (.mat, .nwb or *.calcium*.csv files), found none. Pass the folder "
            "that holds the data sets."
        )
    return found


def _layout(path: Path) -> str | None:
    """Tell a file's layout from its name."""
    if path.name.startswith("."):
        return None
    if path.suffix == ".mat":
        return "cascade-mat"
    if path.suffix == ".nwb":
        return "nwb"
    return "spikefinder" if is_calcium_file(path) else None
