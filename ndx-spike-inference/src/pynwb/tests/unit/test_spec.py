"""The committed specification is the generator's, describes every field and agrees with the code."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ndx_spike_inference
import pytest
import yaml
from hdmf.utils import get_docval
from ndx_spike_inference import ALIGNMENTS, KERNELS, THRESHOLDS

VERSION = "0.1.0"
NUMBERS = ("float32", "float64", "int32", "int64")


def types(project: Path) -> dict[str, dict[str, Any]]:
    """The types of the committed specification by name."""
    text = (project / "spec" / "ndx-spike-inference.extensions.yaml").read_text(encoding="utf-8")
    return {spec["neurodata_type_def"]: spec for spec in yaml.safe_load(text)["groups"]}


def fields(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Attributes, datasets, attributes of datasets and links of a type."""
    yield from spec.get("attributes", [])
    yield from spec.get("links", [])
    for dataset in spec.get("datasets", []):
        yield dataset
        yield from dataset.get("attributes", [])


@pytest.fixture
def generators(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the scripts, one of which imports the other as it does when it is run."""
    monkeypatch.syspath_prepend(project / "src" / "spec")
    return project / "src" / "spec"


def run_script(path: Path, argument: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script as the command line would."""
    monkeypatch.setattr(sys, "argv", [str(path), str(argument)])
    runpy.run_path(str(path), run_name="__main__")


def test_specification_is_up_to_date(
    project: Path, generators: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_script(generators / "create_extension_spec.py", tmp_path, monkeypatch)
    committed = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in (project / "spec").iterdir()}
    assert set(committed) == {
        "ndx-spike-inference.extensions.yaml",
        "ndx-spike-inference.namespace.yaml",
    }
    assert committed == {path.name: yaml.safe_load(path.read_text("utf-8")) for path in tmp_path.iterdir()}


def test_page_of_fields_is_up_to_date(
    project: Path, generators: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "fields.md"
    run_script(generators / "create_field_docs.py", page, monkeypatch)
    assert (project / "docs" / "fields.md").read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_page_of_fields_names_every_field(project: Path) -> None:
    page = (project / "docs" / "fields.md").read_text(encoding="utf-8")
    for spec in types(project).values():
        section = page.split(f"## {spec['neurodata_type_def']}\n")[1].split("\n## ")[0]
        named = [*spec.get("attributes", []), *spec.get("datasets", []), *spec.get("links", [])]
        assert len(named) == section.count("\n| `")
        for field in named:
            row = section.split(f"\n| `{field['name']}` |")[1].split("\n")[0]
            assert field["doc"] in row


def test_every_field_is_described(project: Path) -> None:
    specs = types(project)
    assert set(specs) == {"SpikeInferenceModel", "InferredSpikeRateSeries", "InferredSpikesTable"}
    for spec in specs.values():
        for field in fields(spec):
            assert field["doc"].endswith("."), field["name"]


def test_every_array_has_dimensions_and_a_shape(project: Path) -> None:
    scalars = {"configuration", "source_provenance"}
    for spec in types(project).values():
        for dataset in spec["datasets"]:
            if dataset["name"] not in scalars:
                assert len(dataset["dims"]) == len(dataset["shape"]) > 0, dataset["name"]


def test_every_number_has_a_unit(project: Path) -> None:
    for spec in types(project).values():
        for field in [*spec["attributes"], *spec["datasets"]]:
            if field.get("dtype") in NUMBERS:
                units = [sub for sub in field.get("attributes", []) if sub["name"] == "unit"]
                assert units or "no unit" in field["doc"] or "in seconds" in field["doc"], field["name"]


def test_vocabularies_of_the_code_stand_in_the_specification(project: Path) -> None:
    docs = {field["name"]: field["doc"] for spec in types(project).values() for field in fields(spec)}
    for name, words in (("alignment", ALIGNMENTS), ("threshold", THRESHOLDS), ("kernel", KERNELS)):
        assert all(f"'{word}'" in docs[name] for word in words)


def test_versions_agree(project: Path) -> None:
    namespace = yaml.safe_load((project / "spec" / "ndx-spike-inference.namespace.yaml").read_text())
    meta = yaml.safe_load((project / "ndx-meta.yaml").read_text())
    assert namespace["namespaces"][0]["version"] == VERSION
    assert version("ndx-spike-inference") == VERSION
    assert meta["version"] == VERSION
    assert f"\n## {VERSION}\n" in (project / "CHANGELOG.md").read_text()
    assert list((project / "src/pynwb/tests/back_compat").glob(f"{VERSION}_*.nwb"))


def test_catalog_record_has_the_keys_that_the_catalog_asks_for(project: Path) -> None:
    meta = yaml.safe_load((project / "ndx-meta.yaml").read_text())
    assert set(meta) == {"name", "version", "src", "pip", "license", "maintainers"}
    assert meta["name"] == "ndx-spike-inference"


def test_constructors_take_every_field_of_the_specification(project: Path) -> None:
    for name, spec in types(project).items():
        arguments = {argument["name"] for argument in get_docval(getattr(ndx_spike_inference, name).__init__)}
        named = [*spec["attributes"], *spec.get("links", [])]
        if name != "InferredSpikesTable":  # whose datasets are columns
            named += spec["datasets"]
        assert {field["name"] for field in named} <= arguments
