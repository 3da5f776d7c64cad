"""Types of options that name what a command writes: nothing of another kind is replaced, and no input."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from nwb_cascade.errors import InputError
from nwb_cascade.files.kinds import Kind, require_kind


class OutputFile(click.Path):
    """A file to write; one that exists has to be of the kind that is written."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(dir_okay=False, path_type=Path)
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path = Path(str(super().convert(value, param, ctx)))
        try:
            require_kind(path, self._kind)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return path


class OutputFolder(click.Path):
    """A folder to write to."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)


def require_other_than_inputs(ctx: click.Context) -> None:
    """Raise a usage error if an output of a command is one of its inputs."""
    named = [one for one in ctx.command.params if not is_output(one)]
    named = [one for one in named if isinstance(one, click.Argument) or getattr(one.type, "exists", False)]
    inputs = [path for one in named for path in _paths(ctx.params.get(one.name or ""))]
    for output in filter(is_output, ctx.command.params):
        for path in _paths(ctx.params.get(output.name or "")):
            if any(path.samefile(given) for given in inputs):
                raise click.UsageError(f"{path} is an input, it is not written to: name another output.", ctx)


def is_output(parameter: click.Parameter) -> bool:
    """Tell whether a parameter names what is written."""
    return isinstance(parameter.type, (OutputFile, OutputFolder))


def _paths(value: Any) -> Iterator[Path]:
    """Yield what exists by the names that a parameter was given."""
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, (str, Path)) and os.path.exists(one):
            yield Path(one)
