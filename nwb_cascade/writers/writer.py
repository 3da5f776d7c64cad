"""Writer: what every form of a result answers; a new one is a class in a module of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nwb_cascade.core.progress import Progress
from nwb_cascade.options import InferenceOptions, OutputOptions
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source
from nwb_cascade.results.found_spikes import SpikesOptions
from nwb_cascade.results.inferred import Inferred
from nwb_cascade.results.result import AnnotationResult


@dataclass(frozen=True)
class Place:
    """Where a run goes: the file, the name of the run, and the path of its rates in the file."""

    target: Path
    run_name: str
    object_path: str


class Writer(Protocol):
    """Where results go and how they are made; one object per source.

    It is made before the source is opened, so that a change by others is noticed from there on.

    Attributes
    ----------
    folder : pathlib.Path
        Where results go.
    makes : str
        What that is, in messages.
    keeps_recording_open : bool
        Whether `prepare` reads the open recording; else it must be closed before.
    adds_spikes : bool
        Whether discrete spikes can be added to a run that is stored already; else `holder` looks for them as well.
    rebuilds : bool
        Whether a target that lacks one run is made anew with all of them.
    """

    folder: Path
    makes: str
    keeps_recording_open: bool
    adds_spikes: bool
    rebuilds: bool

    def __init__(self, source: Source, reader: Reader, where: OutputOptions) -> None: ...

    @classmethod
    def takes(cls, source: Source, reader: Reader, where: OutputOptions) -> bool:
        """Tell whether this is the form that is asked for."""

    @classmethod
    def named_target(cls, source: Source, reader: Reader, where: OutputOptions) -> Path | None:
        """Return the file that a result will be, None if it is named after the recording; raises if it cannot be."""

    def places(
        self, recordings: Sequence[Recording], options: InferenceOptions, planned: Mapping[str, str]
    ) -> tuple[Place, ...]:
        """Return where the runs of all recordings of the source go; raises if they cannot be made there.

        ``planned`` are files that other recordings are going to have, and the names of these.
        """

    def holder(self, recording: Recording, result: AnnotationResult, spikes: SpikesOptions | None) -> str | None:
        """Return the file that holds this very run already; raises if what is in its place may not be replaced."""

    def spikes_place(self, result: AnnotationResult) -> tuple[str, str]:
        """Return the file that the discrete spikes of a run go to, and their path in it."""

    def needed_bytes(self, n_rois: int, matrix_bytes: int) -> int:
        """Return the most bytes that are needed on the disk for results with matrices of this size."""

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Keep other programs from writing to the source."""

    def prepare(self, work: Path, runs: Sequence[Inferred], progress: Progress | None) -> tuple[str, ...]:
        """Make and check the results in or beside a `nwb_cascade.files.replace.workplace`; returns what to know."""

    def install(self) -> None:
        """Move the results to their places; raises if somebody changed the source or the target meanwhile."""
