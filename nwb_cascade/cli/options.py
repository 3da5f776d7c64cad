"""The options of inference on the command line, made from the fields of `nwb_cascade.options`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, TypeVar

import click

from nwb_cascade.options import FromRaw, InferenceOptions, OutputOptions, flag_of, taken

_Command = TypeVar("_Command", bound=Callable[..., Any])


def inference_options(command: _Command) -> _Command:
    """Add every option of an inference to a command; `take_inference` takes them."""
    for one in reversed(fields(InferenceOptions)):
        if one.name == "from_raw":
            for part in reversed(_raw_fields()):
                command = _option(part, f"raw_{part.name}")(command)
            command = click.option(flag_of(one), "from_raw", is_flag=True, help=one.metadata["help"])(command)
        else:
            command = _option(one, one.name)(command)
    return command


def output_options(command: _Command) -> _Command:
    """Add every option of an output to a command; `take_output` takes them."""
    for one in reversed(fields(OutputOptions)):
        command = _option(one, one.name)(command)
    return command


def take_inference(values: dict[str, Any]) -> tuple[InferenceOptions, str]:
    """Take the options of an inference out of the values of a command.

    Returns
    -------
    (InferenceOptions, str)
        And the first option about dF/F that was given although ``--from-raw`` was not; empty if there is none.

    Raises
    ------
    click.UsageError
        If ``--neuropil`` is no factor.
    InputError
        If a value cannot be used.
    """
    wanted = values.pop("from_raw")
    parts = {one.name: values.pop(f"raw_{one.name}") for one in _raw_fields()}
    given = {name: value for name, value in parts.items() if value is not None}
    if "neuropil" in given:
        given["neuropil"] = _factor(given["neuropil"])
    others = {one.name: values.pop(one.name) for one in fields(InferenceOptions) if one.name != "from_raw"}
    options = InferenceOptions(from_raw=FromRaw(**given) if wanted or given else None, **others)
    unasked = "" if wanted else next((flag_of(one) for one in _raw_fields() if one.name in given), "")
    return options, unasked


def take_output(values: dict[str, Any]) -> OutputOptions:
    """Take the options of an output out of the values of a command.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    return taken(OutputOptions, values)


def _raw_fields() -> tuple[Field[Any], ...]:
    """What can be asked for about dF/F."""
    return tuple(one for one in fields(FromRaw) if one.metadata)


def _option(one: Field[Any], name: str) -> Callable[[_Command], _Command]:
    """Return the decorator that adds the option of a field, or a flag for each of its values."""
    how, flag = one.metadata, flag_of(one)
    if "flags" in how:

        def add(command: _Command) -> _Command:
            for value, (word, help) in reversed(how["flags"].items()):
                command = click.option(f"--{word}", name, flag_value=value, help=help)(command)
            return command

        return add
    settings: dict[str, Any] = {"help": how["help"], "metavar": how.get("metavar")}
    if isinstance(one.default, bool):
        settings["is_flag"] = True
        flag = f"{flag}/--no-{flag[2:]}" if one.default else flag
    if one.default:
        settings |= {"default": one.default, "show_default": True}
    if "choices" in how:
        settings["type"] = click.Choice(how["choices"])
    elif "number" in how:
        settings["type"] = float if how["number"] is True else click.FloatRange(*how["number"])
    elif "folder" in how:
        settings["type"] = click.Path(exists=True, file_okay=False)
    return click.option(*([how["short"]] if "short" in how else []), flag, name, **settings)


def _factor(text: str) -> Any:
    """Return the share of neuropil that a text means."""
    if text in ("fit", "none"):
        return text
    try:
        return float(text)
    except ValueError as error:
        raise click.UsageError(f"Expected --neuropil as a number, 'fit' or 'none', received {text!r}.") from error
