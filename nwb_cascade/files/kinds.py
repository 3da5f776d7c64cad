"""What a file is by its first bytes: an output replaces a file of its own kind, and no other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nwb_cascade.errors import InputError

READ_BYTES = 4096


@dataclass(frozen=True)
class Kind:
    """A kind of file, in words, and a pattern that its first bytes match."""

    name: str
    mark: re.Pattern[bytes]

    def fits(self, path: Path) -> bool:
        """Tell whether a file is of this kind; an empty file is of any."""
        with open(path, "rb") as file:
            start = file.read(READ_BYTES)
        return not start or self.mark.match(start) is not None


def require_kind(path: Path, kind: Kind) -> None:
    """Raise InputError if a file exists that is of another kind; devices and pipes hold nothing that could be lost."""
    if path.is_file() and not kind.fits(path):
        raise InputError(f"{path} exists and is not {kind.name}: it is not replaced. Name another output.")


MANIFEST = Kind("a manifest of nwb-cascade", re.compile(rb'\{"check": "'))
PAGE = Kind(
    "a page of nwb-cascade", re.compile(rb'<!DOCTYPE html>.{,400}name="generator" content="nwb-cascade', re.DOTALL)
)
BATCH_SCRIPT = Kind(
    "a batch script of nwb-cascade", re.compile(rb"#!/bin/bash\n# Written by 'nwb-cascade archive submit'")
)
CELLS_TABLE = Kind("a table of cells", re.compile(rb"source,status,path,dataset,cell_id,"))
SPIKES_TABLE = Kind("a table of spikes", re.compile(rb"roi_id,spike_time_s,fit_error"))
SCORES_TABLE = Kind("a table of scores", re.compile(rb"imaging_rate,"))
SCORES_JSON = Kind("a list of scores", re.compile(rb'\[\s*(\]|\{\s*"imaging_rate":)'))
FIGURE = Kind("a figure", re.compile(rb"\x89PNG|%PDF|%!PS|<\?xml|<svg|\xff\xd8\xff|RIFF|II\*\0|MM\0\*"))
ONLINE_STATE = Kind("a state of the online inference", re.compile(rb"PK\x03\x04.{26}record\.npy", re.DOTALL))
NOTHING_YET = Kind("empty", re.compile(rb"(?!)"))
CALIBRATION = Kind("a calibration", re.compile(rb'\{\s*"evidence":'))
EXPORTED_MODEL = Kind("a model that nwb-cascade exported", re.compile(rb"\x08.\x12\x0bnwb-cascade", re.DOTALL))
