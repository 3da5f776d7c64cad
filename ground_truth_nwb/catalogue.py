"""The published ground truth data sets: facts from one data file, ``catalogue.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from itertools import combinations


@dataclass(frozen=True)
class Dataset:
    """One published ground truth data set; None means that the fact is not known here.

    Parameters
    ----------
    id, folder : str
        Short identifier (``"DS30"``) and the name of its folder in the source.
    indicator, indicator_family : str
        Calcium indicator in one spelling (``"mixed"``: see the file names) and its family for choosing
        relatives.
    species, region, cell_type, expression, preparation : str or None
        Species as a Latin name, region of mice in the words of the Allen atlas (CCF) where it has one.
    n_cells : int or None
        Number of cells (files) as published.
    imaging_rate_hz : tuple of float or None
        Lowest and highest imaging rate found in the files, Hz.
    cells_group : str
        Data sets with the same value share cells or animals, or may share them: keep them on one side of a
        split.
    cells_group_reason : str or None
        Why data sets share a group.
    shares_cells_with : tuple of str
        Further data sets, in other groups, with some of the same cells.
    animal_rule : str or None
        Which rule of :mod:`ground_truth_nwb.file_names` finds the animal in a file name.
    subject_age : str or None
        Age or age range as ISO 8601 duration, where published.
    references : tuple of str
        DOIs of the publications that describe the recordings.
    source : str
        Key of the source that ``fetch`` downloads from.
    notes : str or None
        What a user of the data should know.
    """

    id: str
    folder: str
    indicator: str
    indicator_family: str
    species: str | None
    region: str | None
    cell_type: str | None
    expression: str | None
    preparation: str | None
    n_cells: int | None
    imaging_rate_hz: tuple[float, float] | None
    cells_group: str
    cells_group_reason: str | None
    shares_cells_with: tuple[str, ...]
    animal_rule: str | None
    subject_age: str | None
    references: tuple[str, ...]
    source: str
    notes: str | None


@dataclass(frozen=True)
class Source:
    """A public place that data sets are downloaded from.

    Parameters
    ----------
    key, title, url : str
        Name used by :attr:`Dataset.source`, its title, and the page that describes it.
    kind : str
        How it is listed and downloaded: ``"github-tree"``, ``"dandi"`` or ``"files"``.
    location : str
        What ``kind`` needs: ``owner/repository@branch:folder``, a dandiset identifier, or a base URL.
    terms : str
        Licence or terms of use.
    references : tuple of str
        DOIs to cite.
    """

    key: str
    title: str
    url: str
    kind: str
    location: str
    terms: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """All data sets and sources, in the order of the data file."""

    datasets: tuple[Dataset, ...]
    sources: tuple[Source, ...]

    def dataset(self, dataset_id: str) -> Dataset:
        """Return the data set of this identifier; a LookupError lists the known ones."""
        for dataset in self.datasets:
            if dataset.id == dataset_id:
                return dataset
        known = ", ".join(dataset.id for dataset in self.datasets)
        raise LookupError(f"Expected a data set of the catalogue, received {dataset_id!r}. Known: {known}.")

    def source(self, key: str) -> Source:
        """Return the source of this name; a LookupError lists the known ones."""
        for source in self.sources:
            if source.key == key:
                return source
        known = ", ".join(source.key for source in self.sources)
        raise LookupError(f"Expected a source of the catalogue, received {key!r}. Known: {known}.")


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue that ships with the package.

    Examples
    --------
    >>> load_catalogue().dataset("DS30").indicator
    'jGCaMP8f'
    """
    raw = json.loads(files("ground_truth_nwb").joinpath("catalogue.json").read_text(encoding="utf-8"))
    return Catalogue(
        datasets=tuple(_dataset(entry) for entry in raw["datasets"]),
        sources=tuple(Source(**{**entry, "references": tuple(entry["references"])}) for entry in raw["sources"]),
    )


def cells_groups(dataset_ids: Iterable[str]) -> dict[str, str]:
    """Return a group for each data set, so that data sets which share cells or animals are in one group.

    Unlike ``cells_group`` alone this also joins groups through ``shares_cells_with``, but only as far as the
    data sets at hand ask for it. A group is named after its first data set.

    Examples
    --------
    >>> cells_groups(["DS01", "DS02", "DS22", "SPIKEFINDER"])
    {'DS01': 'DS01', 'DS02': 'DS02', 'DS22': 'DS02', 'SPIKEFINDER': 'DS01'}
    """
    datasets = [load_catalogue().dataset(dataset_id) for dataset_id in dataset_ids]
    groups = {dataset.id: dataset.id for dataset in datasets}
    for one, other in combinations(datasets, 2):
        linked = other.id in one.shares_cells_with or one.id in other.shares_cells_with
        if linked or one.cells_group == other.cells_group:
            new, old = sorted((groups[one.id], groups[other.id]), key=list(groups).index)
            groups = {dataset_id: new if group == old else group for dataset_id, group in groups.items()}
    return groups


def find_dataset(folder: str) -> Dataset | None:
    """Return the data set that a folder's name belongs to, which begins with the identifier."""
    for dataset in load_catalogue().datasets:
        if folder == dataset.folder or folder == dataset.id or folder.startswith(f"{dataset.id}-"):
            return dataset
    return None


def _dataset(entry: dict[str, object]) -> Dataset:
    """Build a Dataset from its JSON object; lists become tuples."""
    values = {field.name: entry[field.name] for field in fields(Dataset)}
    return Dataset(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]
