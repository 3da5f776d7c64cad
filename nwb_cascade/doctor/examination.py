"""All looks in their order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from nwb_cascade.doctor import machine, places, software, trials
from nwb_cascade.doctor.finding import Finding, looked

LOOKS = (
    ("software", "Python", software.python),
    ("software", "packages", software.packages),
    ("software", "imports", software.imports),
    ("software", "extras", software.extras),
    ("machine", "processors", machine.processors),
    ("machine", "memory", machine.memory),
    ("machine", "GPU", machine.gpus),
    ("models", "models", places.models),
    ("places", "folders", places.folders),
    ("settings", "environment", places.settings),
)


def examine(*, full: bool = False) -> Iterator[Finding]:
    """Look at everything, one row after the other; a look that fails is a row and stops no other.

    Parameters
    ----------
    full : bool
        Also try what takes seconds: TensorFlow's start, an inference, a file, the archive's answer.

    Yields
    ------
    Finding
        In the order of the parts.
    """
    for part, name, look in LOOKS:
        yield from looked(part, name, look)
    for name in trials.TRIALS if full else ():
        yield from looked(trials.PART, name, partial(trials.in_own_process, name))
