"""No output option of any command replaces a file of another kind, or an input of the command."""

import click
import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.cli.outputs import OutputFile, OutputFolder
from nwb_cascade.files.kinds import MANIFEST, PAGE, require_kind
from tests.support.recordings import dff_recording

PRECIOUS = b"\x89HDF\r\n\x1a\n a recording that exists once"
WORDS = ("write", "draw", "folder of the results", "manifest.", "output", "target", "derived", "csv", "report")
NAMED_BY_WRITERS = {("infer", "output"), ("spikes", "output")}  # a file or folder, judged when the input is known
NO_OUTPUT = {("archive collect", "manifest"), ("archive upload", "derived"), ("infer", "report"), ("demo", "report")}


def leaves(command=main, path=(), parent=None):
    """(words, command) of every command that does something."""
    context = click.Context(command, info_name=path[-1] if path else "nwb-cascade", parent=parent)
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), (*path, name), context)


COMMANDS = dict(leaves())


def says_output(parameter):
    """Whether a parameter's names or help speak of something that is written."""
    text = " ".join((*parameter.opts, parameter.name, getattr(parameter, "help", "") or "")).lower()
    return any(word in text for word in WORDS)


def outputs(kind):
    return [
        (words, parameter)
        for words, command in COMMANDS.items()
        for parameter in command.params
        if isinstance(parameter.type, kind)
    ]


def test_every_output_is_declared_as_one():
    for words, command in COMMANDS.items():
        for parameter in command.params:
            is_path = isinstance(parameter.type, click.Path) and not parameter.type.exists
            if (words, parameter.name) in NAMED_BY_WRITERS | NO_OUTPUT or not (is_path and says_output(parameter)):
                continue
            if parameter.name in ("manifest", "cache", "checkpoints"):
                continue
            assert isinstance(parameter.type, (OutputFile, OutputFolder)), f"{words} {parameter.opts}"
    declared = {(words, parameter.name) for words, parameter in outputs((OutputFile, OutputFolder))}
    assert {("archive plan", "path"), ("report", "output"), ("evaluate", "csv_file"), ("demo", "output")} <= declared


def arguments(command, folder, **given):
    """A command line with some values by the parameters' names, and something that exists for all that is needed."""
    words = []
    for one in command.params:
        value = given.get(one.name)
        if value is None and one.required:
            value = folder / ("input" if getattr(one.type, "file_okay", True) else "folder")
            value = folder / f"new {one.name}" if isinstance(one.type, (OutputFile, OutputFolder)) else value
        if one.required and getattr(one, "is_flag", False):
            words += one.opts
        elif value is not None:
            words += [str(value)] if isinstance(one, click.Argument) else [max(one.opts, key=len), str(value)]
    return words


@pytest.fixture
def place(tmp_path):
    (tmp_path / "input").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(("words", "output"), outputs((OutputFile, OutputFolder)))
def test_a_file_of_another_kind_is_refused_before_any_work(words, output, place):
    precious = place / "recording.nwb"
    precious.write_bytes(PRECIOUS)
    line = arguments(COMMANDS[words], place, **{output.name: precious})
    result = CliRunner().invoke(main, [*words.split(), *line])
    assert result.exit_code == 2, result.output
    assert "is not replaced" in result.output or "is a file" in result.output
    assert precious.read_bytes() == PRECIOUS


def pairs():
    """Every output with every input that the same path could be given to."""
    found = []
    for words, output in outputs((OutputFile, OutputFolder)):
        needs = "dir_okay" if isinstance(output.type, OutputFolder) else "file_okay"
        for one in COMMANDS[words].params:
            is_input = isinstance(one, click.Argument) or (isinstance(one.type, click.Path) and one.type.exists)
            is_input &= not isinstance(one.type, (OutputFile, OutputFolder)) and one.name not in ("datasets", "models")
            if is_input and getattr(one.type, needs, True):
                found.append((words, output, one.name))
    return found


@pytest.mark.parametrize(("words", "output", "taken"), pairs())
def test_an_input_is_refused_as_output(words, output, taken, place):
    same = place / ("folder" if isinstance(output.type, OutputFolder) else "input")
    line = arguments(COMMANDS[words], place, **{output.name: same, taken: same})
    result = CliRunner().invoke(main, [*words.split(), *line])
    assert result.exit_code == 2, result.output
    assert "is an input" in result.output


def test_what_was_written_by_the_same_command_may_be_replaced(tmp_path):
    page = '<!DOCTYPE html>\n<html><meta name="generator" content="nwb-cascade 1">'
    for kind, text in ((PAGE, page), (MANIFEST, "")):
        path = tmp_path / "earlier"
        path.write_text(text)
        require_kind(path, kind)


def test_infer_replaces_no_foreign_file(tmp_path):
    """Its output may be a folder or a file of several kinds, so that it is judged by what writes it."""
    recording = dff_recording(tmp_path / "recording.nwb")
    other = tmp_path / "other.nwb"
    for content in (PRECIOUS, b"a text"):
        other.write_bytes(content)
        result = CliRunner().invoke(main, ["infer", str(recording), "-o", str(other), "--overwrite"])
        assert result.exit_code == 1
        assert "is not replaced" in result.output
        assert other.read_bytes() == content
