"""Commands that take each option once."""

from __future__ import annotations

from collections import Counter

import click

from nwb_cascade.cli.outputs import require_other_than_inputs


class Command(click.Command):
    """A command that refuses a second value of an option, where click would take the last, and inputs as outputs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of a command line, after a look for options that come more than once."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        single = (one for one in order if isinstance(one, click.Option) and not (one.multiple or one.count))
        for name, times in Counter(one.name for one in single).items():
            if times > 1:
                flags = [max(one.opts, key=len) for one in self.params if one.name == name]
                raise click.UsageError(f"Expected {' or '.join(flags)} once, received it {times} times.", ctx)
        rest = super().parse_args(ctx, args)
        require_other_than_inputs(ctx)
        return rest


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
