"""The files that a public project has beside its code agree with each other and with the code."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.pages import read_page

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/[0-9]*.yml"))
RECIPES = ("nwb-cascade", "ndx-spike-inference")


def settings():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def extension_metadata():
    """Version and requirements of the extension, which Python 3.10 has no reader for."""
    text = (ROOT / "ndx-spike-inference/pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return re.search(r'^version = "(.+)"', text, re.MULTILINE)[1], re.findall(r'^ *"(.+?)"', block[1], re.MULTILINE)


def test_every_file_states_the_same_version():
    version = settings()["metadata"]["version"]
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == version
    newest = re.findall(r"^## (\d\S*) \((\d{4}-\d\d-\d\d)\)", read_page("CHANGELOG.md"), re.MULTILINE)[0]
    assert newest == (version, citation["date-released"])
    assert read_yaml("recipes/conda/nwb-cascade/recipe.yaml")["context"]["version"] == version
    of_types, _ = extension_metadata()
    assert read_yaml("recipes/conda/ndx-spike-inference/recipe.yaml")["context"]["version"] == of_types
    assert read_yaml("ndx-spike-inference/ndx-meta.yaml")["version"] == of_types


@pytest.mark.parametrize("name", RECIPES)
def test_a_conda_recipe_asks_for_what_the_metadata_ask_for(name):
    wanted = extension_metadata()[1] if name == "ndx-spike-inference" else []
    wanted = wanted or settings()["options"]["install_requires"].split("\n")
    recipe = read_yaml(f"recipes/conda/{name}/recipe.yaml")
    asked = {str(Requirement(line.replace(" ", "", 1))) for line in recipe["requirements"]["run"]}
    python = {line for line in asked if line.startswith("python<") or line.startswith("python>")}
    assert asked - python == {str(Requirement(line)) for line in wanted if line.strip()}
    assert len(python) == 1
    assert (ROOT / f"recipes/conda/{name}" / recipe["source"]["path"] / "LICENSE").is_file()


def test_the_tests_run_on_every_python_that_is_allowed():
    bounds = Requirement(f"python{settings()['options']['python_requires']}").specifier
    allowed = [f"3.{minor}" for minor in range(5, 30) if bounds.contains(f"3.{minor}.1")]
    matrix = read_yaml(".github/workflows/tests.yml")["jobs"]["suite"]["strategy"]["matrix"]
    assert matrix["python"] == allowed
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    named = re.findall(r"Python :: (3\.\d+)", settings()["metadata"]["classifiers"])
    assert named == allowed
    assert f"Python {allowed[0]} to {allowed[-1]}" in read_page("README.md")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_parts_of_the_one_check_and_may_do_little(path):
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"].values()
    assert all("timeout-minutes" in job for job in jobs)
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    steps = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called = [words.split() for step in steps for words in re.findall(r"bash \.ci/run(.*)", step)]
    assert called
    assert all(not words or re.search(rf"^{words[0]}\(\) {{", script, re.MULTILINE) for words in called)
    # No other way to test, build or publish stands in a workflow.
    assert not [step for step in steps if re.search(r"\b(pytest|mkdocs|twine|pip install|python -m build)\b", step)]


def test_reports_of_problems_begin_with_the_doctor():
    asking = [form for form in FORMS if "doctor" in form.read_text(encoding="utf-8")]
    assert [form.name for form in asking] == ["1_problem.yml", "2_numbers.yml"]
    for form in asking:
        fields = {field.get("id"): field for field in read_yaml(form)["body"]}
        assert fields["doctor"]["validations"]["required"] is True
        assert "`nwb-cascade doctor" in fields["doctor"]["attributes"]["label"]


@pytest.mark.parametrize("recipe", ["recipes/Dockerfile", "recipes/nwb-cascade.def"])
def test_a_container_takes_all_that_the_package_is_built_from(recipe):
    text = (ROOT / recipe).read_text(encoding="utf-8")
    lines = re.findall(r"^(?:COPY| {4})(?!.*pip|rm) *(.+) /source\S*$", text, re.MULTILINE)
    taken = {name for line in lines for name in line.split()}
    needed = {"README.md", "LICENSE", "setup.cfg", "pyproject.toml", "nwb_cascade", "ground_truth_nwb"}
    assert taken == needed | {"ndx-spike-inference"}
    assert all((ROOT / name).exists() for name in taken)
    extras = set(re.search(r"/source\[(.+?)\]", text)[1].split(","))
    assert extras <= set(settings()["options.extras_require"])
    assert "nwb-cascade doctor" in text


def test_security_reports_have_a_page():
    assert "Report a vulnerability" in read_page("SECURITY.md")
    assert "SECURITY.md" in FORMS[0].read_text(encoding="utf-8")
