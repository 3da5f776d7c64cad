"""What a trained model says of its data: whose they are and under which terms, from the datasets it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ground_truth_nwb.catalogue import Catalogue, Dataset, load_catalogue
from ground_truth_nwb.simulate import SIMULATED_DATASET
from nwb_cascade.core.config import ModelConfig


@dataclass(frozen=True)
class DataTerms:
    """What to cite for some datasets, and the terms that they came under, each one sentence per kind of origin."""

    citation: str
    licence: str


def data_terms(datasets: Iterable[str]) -> DataTerms:
    """Citation and terms of datasets, as far as the catalogue knows them.

    Parameters
    ----------
    datasets : iterable of str
        Identifiers as training data has them: ``"DS30"`` of the catalogue, ``"SIM"`` of simulated cells, or others.

    Returns
    -------
    DataTerms
        For datasets that are in no catalogue both say that nothing is recorded and which option records it.

    Examples
    --------
    >>> data_terms(["SIM"]).citation
    'SIM: simulated by ground_truth_nwb, nothing to cite.'
    >>> data_terms(["DS31", "DS30", "LAB7"]).licence
    'DS30, DS31: GPL-3.0 repository; terms of the authors of each data set apply. LAB7: not recorded, give --licence.'
    """
    catalogue = load_catalogue()
    known = {dataset.id: dataset for dataset in catalogue.datasets}
    citations: dict[str, list[str]] = {}
    licences: dict[str, list[str]] = {}
    for name in sorted(set(datasets), key=lambda name: (name not in known, name)):
        if name == SIMULATED_DATASET:
            citation, licence = "simulated by ground_truth_nwb, nothing to cite", "simulated, no terms of others"
        elif name in known:
            citation, licence = _references(known[name], catalogue), catalogue.source(known[name].source).terms
        else:
            citation, licence = "not recorded, give --citation", "not recorded, give --licence"
        citations.setdefault(citation, []).append(name)
        licences.setdefault(licence, []).append(name)
    return DataTerms(_sentences(citations), _sentences(licences))


def with_terms(
    config: ModelConfig, *, citation: str = "", licence: str = "", start: ModelConfig | None = None
) -> ModelConfig:
    """A configuration that says what to cite and under which terms the model stands.

    Parameters
    ----------
    config : ModelConfig
        Of the trained model; its ``training_datasets`` decide where nothing is given.
    citation, licence : str
        What its maker says; empty: what the datasets imply.
    start : ModelConfig, optional
        The model that the training began with, whose own terms are then told too.
    """
    implied = data_terms(config.training_datasets)
    begun = () if start is None else (f"Begun with {start.name}, {start.licence or 'no licence recorded'}.",)
    return replace(
        config,
        citation=citation or implied.citation,
        licence=licence or " ".join((f"Terms of the training data: {implied.licence}", *begun)),
    )


def _references(dataset: Dataset, catalogue: Catalogue) -> str:
    """The publications of a dataset and of where it was collected, each once."""
    references = (*dataset.references, *catalogue.source(dataset.source).references)
    return ", ".join(f"doi:{reference}" for reference in dict.fromkeys(references))


def _sentences(said: Mapping[str, list[str]]) -> str:
    """One sentence for all datasets of which the same is said."""
    return " ".join(f"{', '.join(names)}: {text}." for text, names in said.items())
