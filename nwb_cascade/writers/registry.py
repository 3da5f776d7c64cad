"""The forms that results may have, and which of them is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nwb_cascade.errors import InputError
from nwb_cascade.options import NEVER_INSIDE, InferenceOptions, OutputOptions
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.registry import reader_of
from nwb_cascade.readers.sources import Source, is_remote, name_of
from nwb_cascade.writers.matrix import MatrixWriter
from nwb_cascade.writers.nwb import CopyWriter, SidecarWriter
from nwb_cascade.writers.targets import shared_folder
from nwb_cascade.writers.writer import Writer

WRITERS: tuple[type[Writer], ...] = (SidecarWriter, MatrixWriter, CopyWriter)


def writer_of(source: Source, reader: Reader, where: OutputOptions) -> type[Writer]:
    """Return the form that the result of a source will have.

    Raises
    ------
    InputError
        If an option does not apply to the source.
    """
    name = name_of(source)
    if where.sidecar and not reader.is_nwb:
        raise InputError(f"--sidecar does not apply to {name}: it has no session to describe.")
    if where.in_place and not reader.is_nwb:
        raise InputError(f"--in-place does not apply to {name}: only NWB files can be added to in place.")
    if where.in_place and is_remote(source):
        raise InputError(NEVER_INSIDE)
    return next(writer for writer in WRITERS if writer.takes(source, reader, where))


def output_of(sources: Sequence[Source], options: InferenceOptions, where: OutputOptions) -> OutputOptions:
    """Check, before any is opened, that options apply to several sources; returns where the results of all go.

    Raises
    ------
    InputError
        If an option does not apply to one of them, or several results would go to one file.
    """
    where = replace(where, output=shared_folder(where.output, len(sources)))
    targets: Counter[Path | None] = Counter()
    for source in sources:
        reader = reader_of(source)
        reader.check(source, options)
        targets[writer_of(source, reader, where).named_target(source, reader, where)] += 1
    del targets[None]  # named after the recordings
    if targets and (most := targets.most_common(1)[0])[1] > 1:
        raise InputError(f"Expected files with different names, several would be written to {most[0]}.")
    return where
