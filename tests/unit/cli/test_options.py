"""Options of commands: made from the fields of the options objects, shared, and taken once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from nwb_cascade.cli import COMMANDS, main
from nwb_cascade.cli.command import Command
from nwb_cascade.cli.options import inference_options, take_inference
from nwb_cascade.dff import DffMethod
from nwb_cascade.options import FromRaw, InferenceOptions, flag_of


def leaves(group: click.Group, context: click.Context, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, with the words that call it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, context, f"{path}{name} ")
        elif command is not None:
            yield f"{path}{name}", command


def every_command() -> dict[str, click.Command]:
    """All commands by the words that call them."""
    return dict(leaves(main, click.Context(main)))


def flags(command: click.Command) -> set[str]:
    return {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts}


def test_every_command_takes_an_option_once() -> None:
    commands = every_command()
    assert len(commands) > len(COMMANDS)
    assert [name for name, command in commands.items() if not isinstance(command, Command)] == []


def test_every_option_of_an_inference_is_one_of_infer_and_of_archive_plan() -> None:
    commands = every_command()
    wanted = {flag_of(one) for one in (*fields(InferenceOptions), *fields(FromRaw)) if one.metadata}
    wanted |= {"--supported-spikes"}
    assert {"--from-raw", "--neuropil", "--legacy-alignment", "--species", "--smoothing", "--std"} <= wanted
    assert wanted <= flags(commands["infer"])
    assert wanted <= flags(commands["archive plan"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("infer a.nwb --series a --series b", "Expected --series once, received it 2 times."),
        ("infer a.nwb -o x --output y -o z", "Expected --output once, received it 3 times."),
        ("infer a.nwb --std --no-std", "Expected --std once, received it 2 times."),
        ("infer a.nwb --spikes --supported-spikes", "Expected --spikes or --supported-spikes once"),
        ("inspect a.nwb --series a --series a", "Expected --series once"),
        ("spikes a.nwb --run-name a --run-name b", "Expected --run-name once"),
        ("archive plan a -o m --model x --model y", "Expected --model once"),
        ("archive run m --out a --out b", "Expected --out once"),
        ("models list --json --json", "Expected --json once"),
    ],
)
def test_a_second_value_of_an_option_is_a_usage_error(words: str, message: str) -> None:
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"Error: {message}")


def test_options_that_may_be_repeated_are(tmp_path: Any) -> None:
    words = ["archive", "run", str(tmp_path / "m"), "--out", str(tmp_path), "--jobqueue", "slurm"]
    result = CliRunner().invoke(main, [*words, "--jobqueue-option", "a=1", "--jobqueue-option", "b=2"])
    assert "Expected a manifest at" in result.stderr


@click.command(cls=Command)
@inference_options
def taken(**values: Any) -> None:
    """A command that shows what it takes."""
    options, unasked = take_inference(values)
    assert not values
    click.echo(repr((options, unasked)))


@pytest.mark.parametrize(
    ("words", "options", "unasked"),
    [
        ("", InferenceOptions(), ""),
        ("--supported-spikes --no-std", InferenceOptions(spikes="supported", ensemble_std=False), ""),
        ("--smoothing 0.1 --kernel causal", InferenceOptions(smoothing_s=0.1, kernel="causal"), ""),
        ("--from-raw", InferenceOptions(from_raw=FromRaw()), ""),
        ("--from-raw --neuropil 0.5", InferenceOptions(from_raw=FromRaw(neuropil=0.5)), ""),
        ("--window 10 --guard exclude", InferenceOptions(from_raw=FromRaw(window_s=10.0, guard="exclude")), "--window"),
        ("--dff-preset allen --from-raw", InferenceOptions(from_raw=FromRaw(preset="allen")), ""),
    ],
)
def test_what_is_given_becomes_the_object(words: str, options: InferenceOptions, unasked: str) -> None:
    result = CliRunner().invoke(taken, words.split())
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == repr((options, unasked))


def test_a_preset_is_the_method_of_that_pipeline() -> None:
    assert FromRaw(preset="allen").applied() == DffMethod.allen()
