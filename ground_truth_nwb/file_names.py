"""What the names of Cascade's ground truth files tell: data set, cell, animal, indicator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath

from ground_truth_nwb.catalogue import Dataset, find_dataset

# Suffixes of the MATLAB files; "mXini" and the like are misspellings of "mini" in the published files.
NAME_ENDING = re.compile(r"(_corrected|_neuropil_subtracted)?(_full)?_m\w?ini$")
ANIMAL_PATTERNS = {
    "zhang2023": (re.compile(r"_(\d{6})_\d+$"), "{0}", "six digits in the file name"),
    "date-and-fish": (re.compile(r"_(\d{6})_Fish(\d+)_"), "zf{0}fish{1}", "date and fish in the file name"),
    "date": (re.compile(r"_(\d{6})_cell"), "spinal{0}", "date in the file name, one animal per day assumed"),
    "khan2018": (re.compile(r"CAttached([A-Za-z]+\d+)_"), "{0}", "preparation in the file name"),
}
INDICATOR_IN_NAME = re.compile(r"_(j?GCaMP\d\w?|XCaMPgf)_", re.IGNORECASE)
DATED_RULES = ("date-and-fish", "date")
DATE = re.compile(r"_(\d{2})(\d{2})(\d{2})_")
SPELLINGS = {"xcampgf": "XCaMP-Gf"}


@dataclass(frozen=True)
class FileNameFacts:
    """What one file name tells; an animal of basis "unknown" is named after data set and cell."""

    dataset: str
    cell_id: str
    animal_id: str
    animal_basis: str
    indicator: str
    session_date: date | None


def parse_name(path: PurePath) -> FileNameFacts:
    """Read data set, cell, animal and indicator from the path of a Cascade ground truth file.

    The data set is the folder's (``DS30-GCaMP8f-m-V1``); a file elsewhere belongs to the data set
    ``"unknown"``.

    Examples
    --------
    >>> parse_name(PurePath("DS30-GCaMP8f-m-V1/CAttached_jGCaMP8f_471993_1_mini.mat")).animal_id
    '471993'
    """
    dataset = find_dataset(path.parent.name)
    stem = NAME_ENDING.sub("", path.stem)
    dataset_id = dataset.id if dataset else "unknown"
    cell_id = re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"^CAttached_?", "", stem)).strip("-")
    animal_id, basis = _animal(stem, dataset)
    return FileNameFacts(
        dataset=dataset_id,
        cell_id=cell_id,
        animal_id=animal_id or f"{dataset_id}-{cell_id}",
        animal_basis=basis,
        indicator=_indicator(stem, dataset),
        session_date=_session_date(stem, dataset),
    )


def _animal(stem: str, dataset: Dataset | None) -> tuple[str, str]:
    """Return the animal's name and how it is known, ("", "unknown") where the name does not tell."""
    rule = dataset.animal_rule if dataset else None
    if rule is None:
        return "", "unknown"
    pattern, form, basis = ANIMAL_PATTERNS[rule]
    match = pattern.search(stem)
    return (form.format(*match.groups()), basis) if match else ("", "unknown")


def _session_date(stem: str, dataset: Dataset | None) -> date | None:
    """Return the day in file names that hold one (year, month, day, two digits each)."""
    match = DATE.search(stem) if dataset is not None and dataset.animal_rule in DATED_RULES else None
    return date(2000 + int(match[1]), int(match[2]), int(match[3])) if match else None


def _indicator(stem: str, dataset: Dataset | None) -> str:
    """Return the data set's indicator, or the one in the file name where the data set mixes several."""
    if dataset is None or dataset.indicator != "mixed":
        return dataset.indicator if dataset else "unknown"
    match = INDICATOR_IN_NAME.search(stem)
    return SPELLINGS.get(match[1].lower(), match[1]) if match else "unknown"
