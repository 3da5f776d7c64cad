"""What the pages show is so: Python blocks run as scripts, commands run, and nothing is left out without a word."""

from __future__ import annotations

import ast
import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from scipy.io import savemat

import nwb_cascade
from ground_truth_nwb.simulated_set import simulated_set_folder
from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.cli import main
from nwb_cascade.cli.train import command as train_command
from nwb_cascade.models.bundle import save_bundle
from nwb_cascade.models.library import load_model
from tests.support.nwb_files import suite2p
from tests.support.pages import PAGES, ROOT, Block, blocks, commands, inline_commands, read_page
from tests.support.program_files import write_caiman
from tests.support.recordings import dff_recording, simulated_dff, two_planes
from tests.support.suite2p_files import write_suite2p

# Keras asks TensorFlow for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

RUN_ELSEWHERE = {
    "docs/interplay.md": "tests/integration/test_interplay.py",
    "ndx-spike-inference/README.md": "ndx-spike-inference/src/pynwb/tests/unit/test_package.py",
}
ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]
SHELL = [block for block in ALL if block.language == "bash" and list(block.calls())]
N_ROIS, N_FRAMES = 41, 2730  # docs/report.md draws ROI 40 and the time from 60 to 90 s
SOURCES = ("nwb_cascade", "ground_truth_nwb", "ndx-spike-inference/src", "scripts", "tests")
# Of sbatch, which is not ours.
OTHERS_OPTIONS = {"--constraint"}


def in_place(block: Block) -> str:
    """Name of a test: where its block stands."""
    return block.place


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models whose default is as small as a network can be; the pages' words stay as they are."""
    folder = tmp_path_factory.mktemp("models")
    bundled = load_model("conditional-1-120Hz").config
    sizes = ConditionalSizes(widths=(2, 2), depths=(1, 1), condition=2, embedding=2, indicators=bundled.indicators)
    generator = np.random.default_rng(0)
    weights = {
        f"0/{path}": (0.2 * generator.standard_normal(shape)).astype(np.float32)
        for path, shape in sizes.shapes().items()
    }
    small = replace(
        bundled,
        ensemble_size=1,
        network=sizes.to_network(),
        window_size=2 * sizes.halo + 1,
        before_frames=sizes.halo,
    )
    save_bundle(folder / bundled.name, small, weights)
    return folder


@pytest.fixture(scope="module")
def prepared(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the names that the pages use."""
    folder = tmp_path_factory.mktemp("prepared")
    dff = simulated_dff(N_ROIS, N_FRAMES)
    dff_recording(folder / "recording.nwb", dff)
    two_planes(folder / "planes.nwb")
    for name in ("data/a.nwb", "data/b.nwb", "recordings/a.nwb", "recordings/b.nwb"):
        (folder / name).parent.mkdir(exist_ok=True)
        dff_recording(folder / name)
    suite2p(folder / "raw.nwb", n_rois=(4,))
    write_caiman(folder / "results.hdf5", dff[:4])
    write_suite2p(folder / "session" / "suite2p" / "plane0")
    np.save(folder / "traces.npy", dff[:4])
    savemat(folder / "session.mat", {"dF_traces": dff[:4]})
    shutil.copytree(simulated_set_folder(), folder / "ground-truth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NWB_CASCADE_MODELS", str(library))
        nwb_cascade.annotate(folder / "recording.nwb", spikes="conserved")
    return folder


@pytest.fixture
def here(prepared: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a reader who has files of these names."""
    folder = tmp_path / "here"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(library))
    return folder


@pytest.mark.parametrize(
    "block", [b for b in PYTHON if b.not_run is None and b.page not in RUN_ELSEWHERE], ids=in_place
)
def test_a_python_block_runs_as_a_script(block: Block, here: Path) -> None:
    Path("example.py").write_text(block.text, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"MPLBACKEND": "agg"}
    run = subprocess.run([sys.executable, "example.py"], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("block", [block for block in PYTHON if block.not_run is not None], ids=in_place)
def test_a_python_block_that_is_not_run_imports_what_is_there(block: Block) -> None:
    """Everything but its imports is left out."""
    tree = ast.parse(block.text)
    imported = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imported
    exec(compile(ast.Module(imported, []), block.place, "exec"), {})


@pytest.mark.parametrize("block", [block for block in SHELL if block.not_run is None], ids=in_place)
def test_the_commands_of_a_block_run_one_after_the_other(block: Block, here: Path) -> None:
    ran = 0
    for words in block.calls():
        if not any(word.startswith("dandi://") for word in words):
            result = CliRunner().invoke(main, expanded(words), catch_exceptions=False)
            assert result.exit_code == 0, f"{words}: {result.output}"
            ran += 1
    assert ran


def expanded(words: Sequence[str]) -> list[str]:
    """Words as a shell hands them over."""
    return [path for word in words for path in (sorted(glob.glob(word)) if "*" in word else [word])]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_on_a_page_exists(page: str) -> None:
    for block in blocks(page):
        for words in block.calls():
            require_command(words, complete=True)
    for words in inline_commands(page):
        require_command(words, complete=False)


def require_command(words: Sequence[str], *, complete: bool) -> None:
    """Raise unless nwb-cascade has this command with these options, choices and, where complete, arguments."""
    command: click.Command = main
    rest, arguments = list(words), 0
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            option = options_of(command).get(word)
            assert option is not None, f"{' '.join(words)}: {command.name} has no {word}"
            value = None if option.is_flag or option.count else rest.pop(0)
            if value is not None and isinstance(option.type, click.Choice):
                assert value in option.type.choices, f"{' '.join(words)}: {word} takes no {value}"
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            assert found is not None, f"{' '.join(words)}: there is no {word}"
            command = found
        else:
            arguments += 1
    wanted = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    most = None if any(argument.nargs < 0 for argument in wanted) else len(wanted)
    assert most is None or arguments <= most, f"{' '.join(words)}: at most {most} arguments"
    if complete:
        assert arguments >= sum(argument.required for argument in wanted), " ".join(words)


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Options by every spelling."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    own = {spelling: option for option in options for spelling in (*option.opts, *option.secondary_opts)}
    return own | {"--help": click.Option(["--help"], is_flag=True)}


def all_commands(command: click.Command = main) -> Iterator[click.Command]:
    """A command and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from all_commands(found)


def script_options(path: Path) -> set[str]:
    """Options of a script: the words beginning with two hyphens that it hands to argparse."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    texts = [argument.value for call in calls for argument in call.args if isinstance(argument, ast.Constant)]
    return {text for text in texts if isinstance(text, str) and text.startswith("--")}


@pytest.mark.parametrize("page", PAGES)
def test_every_script_on_a_page_exists_and_has_the_options(page: str) -> None:
    for block in blocks(page):
        for line in block.lines():
            for words in commands(line, "python"):
                if words[0] == "-m" and not words[1].startswith("scripts."):
                    continue
                script = f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]
                given = {word for word in words if word.startswith("--")}
                assert given <= script_options(ROOT / script), line


def test_every_option_that_a_page_names_is_one_of_a_command_or_script() -> None:
    known = {spelling for command in all_commands() for spelling in options_of(command)} | OTHERS_OPTIONS
    for script in ROOT.glob("scripts/*.py"):
        known |= script_options(script)
    named = {
        (page, option)
        for page in PAGES
        for code in re.findall(r"`([^`\n]+)`", read_page(page))
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code)
    }
    assert {(page, option) for page, option in named if option not in known} == set()


@pytest.mark.parametrize("words", [["infer"], ["archive", "plan"]])
def test_help_and_answers_say_how_rates_are_smoothed_by_default(words: list[str]) -> None:
    default_s = load_model("conditional-1-120Hz").config.smoothing_s
    text = " ".join(CliRunner().invoke(main, [*words, "--help"]).output.split())
    assert f"[default: the model's, {default_s:g} for the bundled one]" in text
    assert f"deviation of {1000 * default_s:g} ms unless" in " ".join(read_page("docs/faq.md").split())


def test_every_example_in_a_docstring_is_run() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "--doctest-modules" in settings["tool:pytest"]["addopts"].split()
    run = [ROOT / path for path in settings["tool:pytest"]["testpaths"].split()]
    sources = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    examples = [path for path in sources if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)]
    assert len(examples) > 30
    assert [path for path in examples if not any(folder in path.parents for folder in run)] == []


def test_nothing_is_left_out_without_a_word() -> None:
    assert all(block.language in ("python", "bash", "yaml", "") for block in ALL)
    assert [block.place for block in ALL if block.language == "" and list(block.calls())] == []
    silent = {block.page for block in PYTHON if block.not_run is None} & set(RUN_ELSEWHERE)
    for page in silent:
        assert Path(page).name in (ROOT / RUN_ELSEWHERE[page]).read_text(encoding="utf-8")
    marked = [block for block in ALL if block.not_run is not None]
    assert all(len(block.not_run or "") > 10 for block in marked)
    # A mark that stands before no block, or a misspelt one, would leave a block out or run it unasked.
    marks = [mark for page in PAGES for mark in re.findall(r"^<!--.*run.*$", read_page(page), re.MULTILINE)]
    assert len(marks) == len(marked)
    n_python_run = sum(block.not_run is None for block in PYTHON)
    assert n_python_run >= len(PYTHON) - 3
    assert sum(block.not_run is None for block in SHELL) >= 9


def test_the_plan_on_the_page_is_taken_by_train(tmp_path: Path) -> None:
    (block,) = (block for block in ALL if block.language == "yaml")
    (tmp_path / "plan.yaml").write_text(block.text, encoding="utf-8")
    (tmp_path / "ground_truth").mkdir()
    plan = yaml.safe_load(block.text) | {"ground-truth": str(tmp_path / "ground_truth")}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    result = CliRunner().invoke(train_command, [str(tmp_path / "plan.yaml")])
    assert "Expected ground truth below" in str(result.exception)  # the next thing that is looked at
