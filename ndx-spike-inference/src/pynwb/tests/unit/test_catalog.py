"""What the NDX catalog asks of an extension: layout, metadata, names, release notes.

From the guidelines at https://nwb-extensions.github.io and the README of nwb-extensions/staged-extensions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

SEMANTIC_VERSION = r"\d+\.\d+\.\d+"


@pytest.fixture
def meta(project: Path) -> dict[str, Any]:
    """The record of the catalog."""
    record: dict[str, Any] = yaml.safe_load((project / "ndx-meta.yaml").read_text(encoding="utf-8"))
    return record


@pytest.fixture
def namespace(project: Path) -> dict[str, Any]:
    """The namespace of the specification."""
    (path,) = (project / "spec").glob("*.namespace.yaml")
    (found,) = yaml.safe_load(path.read_text(encoding="utf-8"))["namespaces"]
    return found  # type: ignore[no-any-return]


def test_the_record_has_the_keys_of_the_catalog_and_they_are_true(project: Path, meta: dict[str, Any]) -> None:
    assert list(meta) == ["name", "version", "src", "pip", "license", "maintainers"]
    assert meta["name"] == project.name
    assert meta["pip"] == f"https://pypi.org/project/{meta['name']}/"
    assert "license" not in meta["license"].lower()
    assert isinstance(meta["maintainers"], list)
    assert meta["src"] is None or meta["src"].startswith("https://")


def test_one_version_everywhere_and_it_has_release_notes(
    project: Path, meta: dict[str, Any], namespace: dict[str, Any]
) -> None:
    build = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{meta["version"]}"' in build
    assert f'license = "{meta["license"]}"' in build
    assert namespace["version"] == meta["version"]
    assert re.fullmatch(SEMANTIC_VERSION, meta["version"])
    assert f"## {meta['version']}" in (project / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_namespace_is_named_and_made_as_the_catalog_wants_it(project: Path, namespace: dict[str, Any]) -> None:
    assert namespace["name"] == project.name
    assert re.fullmatch(r"ndx-[a-z0-9-]+", namespace["name"])
    assert namespace["author"]
    assert namespace["doc"]
    (core, own) = namespace["schema"]
    assert core == {"namespace": "core"}
    assert (project / "spec" / own["source"]).is_file()


def test_the_layout_is_that_of_the_template(project: Path) -> None:
    wanted = (
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "pyproject.toml",
        "src/spec/create_extension_spec.py",
        "src/pynwb",
    )
    assert [name for name in wanted if not (project / name).exists()] == []
    assert "BSD 3-Clause" in (project / "LICENSE").read_text(encoding="utf-8")
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert all(f"## {part}" in readme for part in ("Installation", "Example", "Development"))


def test_what_only_its_owners_know_is_said(project: Path, meta: dict[str, Any], namespace: dict[str, Any]) -> None:
    text = (project / "docs" / "catalog.md").read_text(encoding="utf-8")
    lacking = [key for key in ("src", "maintainers") if not meta[key]]
    lacking += ["contact"] if not namespace.get("contact") else []
    assert [key for key in lacking if f"`{key}`" not in text] == []
    assert f"**Add {meta['name']} {meta['version']}**" in text
