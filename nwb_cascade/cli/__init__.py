"""The ``nwb-cascade`` command: one group, one module per command, each loaded when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import click

from nwb_cascade.cli.terminal import echo, printable
from nwb_cascade.errors import RemoteError

COMMANDS = {
    "archive": "nwb_cascade.cli.archive",
    "calibrate": "nwb_cascade.cli.calibrate",
    "demo": "nwb_cascade.cli.demo",
    "doctor": "nwb_cascade.cli.doctor",
    "evaluate": "nwb_cascade.cli.evaluate",
    "ground-truth": "nwb_cascade.cli.ground_truth",
    "infer": "nwb_cascade.cli.infer",
    "inspect": "nwb_cascade.cli.inspect",
    "listen": "nwb_cascade.cli.listen",
    "models": "nwb_cascade.cli.models",
    "report": "nwb_cascade.cli.report",
    "spikefinder": "nwb_cascade.cli.spikefinder",
    "spikes": "nwb_cascade.cli.spikes",
    "train": "nwb_cascade.cli.train",
}
_FORMAT = warnings.formatwarning
USER_ERRORS = (ValueError, LookupError, TypeError, OSError, ImportError, RemoteError)


class LazyGroup(click.Group):
    """A group whose commands are attributes ``command`` of modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        command.name = cmd_name  # as which the documentation lists it
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Turn an error that a user can mend into one line and exit status 1; ``--debug`` keeps the traceback."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = printable(error.message)  # type: ignore[misc]  # final by its types only
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except USER_ERRORS as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            echo(f"Error: {' '.join(str(error).split())}", err=True)
            sys.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nwb-cascade", prog_name="nwb-cascade")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Calibrated spike inference for calcium imaging, in NWB files and on DANDI."""
    # TensorFlow writes about missing GPUs to stderr at every start; who wants to read it sets the variable to 0.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.formatwarning = in_our_words


def in_our_words(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Write a warning of this package as one line for people, without the line of code that it came from."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        return f"Warning: {printable(' '.join(str(message).split()))}\n"
    return _FORMAT(message, category, filename, lineno, line)
