"""The two forms of a result: an annotated copy of the recording, and a small sidecar file beside or far from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from nwb_cascade.annotation.result import AnnotationResult
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import copy, reserve, size
from nwb_cascade.files.replace import Stamp, install, kept_from_writers, repair, stamp
from nwb_cascade.nwb.check import check_run
from nwb_cascade.nwb.existing import copy_holds_run, recording_holds_run
from nwb_cascade.nwb.sidecar import is_of_another, sidecar_holds_run, write_sidecar
from nwb_cascade.nwb.storage import require_links
from nwb_cascade.nwb.write import RunRecord, write_run
from nwb_cascade.readers.nwb import Recording
from nwb_cascade.writers.sidecar_names import names_apart, placed, sidecar_folder, sidecar_name
from nwb_cascade.writers.targets import target_of

DEFAULT_RUN_NAME = "InferredSpikeRates"
SCHEMA_BYTES = 2**22  # cached schemas, links and chunk indices of one run, generously


class Output(Protocol):
    """Where a result goes and how it is made.

    Attributes
    ----------
    folder : pathlib.Path
        Where it goes.
    keeps_recording_open : bool
        Whether `prepare` reads the open recording; else it must be closed before.
    """

    folder: Path
    keeps_recording_open: bool

    def target(self, recording: Recording, run_name: str) -> Path:
        """Return the file that the result will be; raises if it cannot be made there."""

    def holder(self, recording: Recording, plan: AnnotationResult, *, overwrite: bool) -> str | None:
        """Return the file that holds this very run already; raises if what is in its place may not be replaced."""

    def needed_bytes(self) -> int:
        """Return the room on the disk that is needed beside that of the results."""

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Keep other programs from writing to the recording."""

    def prepare(
        self, prepared: Path, recording: Recording, record: RunRecord, *, overwrite: bool, progress: Progress | None
    ) -> tuple[str, ...]:
        """Make and check the result under another name; returns what to know about it."""

    def install(self, prepared: Path, target: Path) -> None:
        """Move the result to its place; raises if somebody changed the recording or the target meanwhile."""


class CopyOutput:
    """The recording with the run in it, as a copy or in place of the recording.

    Parameters
    ----------
    source : pathlib.Path
        The recording.
    output, in_place
        As for `nwb_cascade.writers.targets.target_of`.
    repairs : bool
        Whether to bring back what a killed run left aside.
    """

    keeps_recording_open = False  # files that it links to are opened for writing with the copy

    def __init__(self, source: Path, output: str | os.PathLike[str] | None, *, in_place: bool, repairs: bool) -> None:
        self._source, self._in_place = source, in_place
        self._target = target_of(source, output, in_place)
        self.folder = self._target.parent
        if repairs:
            repair(self._target)
        self._stamps = stamp(source), stamp(self._target)

    def target(self, recording: Recording, run_name: str) -> Path:
        """Return the target; raises if a copy there would lose parts of the recording."""
        require_links(self._source, self.folder)
        return self._target

    def holder(self, recording: Recording, plan: AnnotationResult, *, overwrite: bool) -> str | None:
        """Return the recording or its copy if it holds the run."""
        if recording_holds_run(
            recording.nwbfile, recording.series.object_id, plan.run_name, plan.run_key, overwrite=overwrite
        ):
            return recording.name
        if self._in_place or not self._target.exists():
            return None
        is_held = copy_holds_run(
            self._target,
            recording.nwbfile,
            recording.series.object_id,
            plan.run_name,
            plan.run_key,
            overwrite=overwrite,
        )
        return str(self._target) if is_held else None

    def needed_bytes(self) -> int:
        """Return the size of the recording."""
        return size(self._source)

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Lock the recording."""
        return kept_from_writers(self._source)

    def prepare(
        self, prepared: Path, recording: Recording, record: RunRecord, *, overwrite: bool, progress: Progress | None
    ) -> tuple[str, ...]:
        """Make a checked copy of the recording with the run in it."""
        copy(self._source, prepared, progress)
        if prepared.is_file():
            reserve(prepared, record_bytes(record))
        object_path = write_run(prepared, record, overwrite=overwrite, progress=progress)
        return _foreign(check_run(prepared, object_path, record))

    def install(self, prepared: Path, target: Path) -> None:
        """Replace the target."""
        _require_unchanged(self._source, self._stamps[0])
        install(prepared, target, expected=self._stamps[1])


class SidecarOutput:
    """A small file of its own, see `nwb_cascade.nwb.sidecar`.

    Parameters
    ----------
    source : pathlib.Path or None
        The recording; None for a remote one.
    output : path, optional
        As for `nwb_cascade.writers.sidecar_names.sidecar_folder`.
    """

    keeps_recording_open = True

    def __init__(self, source: Path | None, output: str | os.PathLike[str] | None) -> None:
        self._source = source
        self.folder, self._name = sidecar_folder(source, output)
        self._source_stamp = None if source is None else stamp(source)
        self._target_stamp: Stamp = None

    def target(self, recording: Recording, run_name: str) -> Path:
        """Return the file; unless a name is given, one made from the recording that no other recording has there."""
        if self._name:
            target = self.folder / self._name
        else:
            run = run_name.removeprefix(DEFAULT_RUN_NAME).lstrip("_")
            source = recording.traces.source
            key = hashlib.sha256(f"{source['file_identifier']} {source['object_id']}".encode()).hexdigest()
            name = sidecar_name(recording.nwbfile, recording.name, run)
            places = [placed(self.folder, one) for one in names_apart(name, recording.name, key)]
            target = next((place for place in places if not is_of_another(place, source)), places[-1])
        self._target_stamp = stamp(target)
        return target

    def holder(self, recording: Recording, plan: AnnotationResult, *, overwrite: bool) -> str | None:
        """Return the sidecar if it holds the run."""
        target = Path(plan.output)
        if not target.exists():
            return None
        source = recording.traces.source
        is_held = sidecar_holds_run(target, source, plan.object_path, plan.run_key, overwrite=overwrite)
        return str(target) if is_held else None

    def needed_bytes(self) -> int:
        """Return a guess for metadata and masks."""
        return SCHEMA_BYTES

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Lock a local recording; a remote one cannot be locked, but what is read of it is checked."""
        return nullcontext() if self._source is None else kept_from_writers(self._source)

    def prepare(
        self, prepared: Path, recording: Recording, record: RunRecord, *, overwrite: bool, progress: Progress | None
    ) -> tuple[str, ...]:
        """Make a checked sidecar."""
        object_path, notes = write_sidecar(
            prepared, recording.nwbfile, record, reserve_bytes=record_bytes(record), progress=progress
        )
        return (*notes, *_foreign(check_run(prepared, object_path, record)))

    def install(self, prepared: Path, target: Path) -> None:
        """Move the sidecar to its place."""
        if self._source is not None:
            _require_unchanged(self._source, self._source_stamp)
        install(prepared, target, expected=self._target_stamp)


def stored_bytes(n_rois: int, matrix_bytes: int) -> int:
    """Return the most bytes that a run takes in a file: matrices that do not compress, texts per ROI, schemas."""
    return matrix_bytes + matrix_bytes // 64 + 1024 * n_rois + SCHEMA_BYTES


def record_bytes(record: RunRecord) -> int:
    """Return the most bytes that a run takes in a file."""
    n_rois, n_frames = record.expected_spikes.shape
    n_matrices = 1 if record.ensemble_std is None else 2
    return stored_bytes(n_rois, 4 * n_rois * n_frames * n_matrices)


def _foreign(violations: Sequence[str]) -> tuple[str, ...]:
    """Say what is wrong with parts of the file that others wrote."""
    if not violations:
        return ()
    return (f"Elsewhere the file violates the NWB schema {counted(len(violations), 'time')}, first: {violations[0]}",)


def _require_unchanged(source: Path, before: Stamp) -> None:
    if stamp(source) != before:
        raise InputError(f"Another program changed {source} meanwhile; nothing was written. Run again.")
