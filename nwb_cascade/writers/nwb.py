"""Results in NWB files: an annotated copy of the recording, the recording itself, or a small file of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from nwb_cascade.core.progress import Progress
from nwb_cascade.core.wording import proposed
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import reserve, size
from nwb_cascade.files.private import make_file, mode_like
from nwb_cascade.files.replace import Stamp, beside, install, kept_from_writers, stamp
from nwb_cascade.nwb.check import check_runs
from nwb_cascade.nwb.existing import copy_holds_run, is_of_another, recording_holds_run, sidecar_holds_run
from nwb_cascade.nwb.files import other_files
from nwb_cascade.nwb.places import DEFAULT_RUN_NAME, place_of, spikes_tables
from nwb_cascade.nwb.sidecar import write_sidecar
from nwb_cascade.nwb.storage import SCHEMA_BYTES, require_links
from nwb_cascade.nwb.write import write_runs
from nwb_cascade.options import InferenceOptions, OutputOptions, words_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import NwbPart, Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of
from nwb_cascade.results.found_spikes import SpikesOptions, spikes_name
from nwb_cascade.results.inferred import Inferred
from nwb_cascade.results.result import AnnotationResult
from nwb_cascade.writers.nwb_records import foreign, record_bytes, run_record, spikes_record, store_spikes, stored_bytes
from nwb_cascade.writers.replacement import Replacement
from nwb_cascade.writers.sidecar_names import names_apart, placed, sidecar_folder, sidecar_name
from nwb_cascade.writers.targets import names_matrix, split_name, target_of
from nwb_cascade.writers.writer import Place


class NwbWriter:
    """What both forms have in common."""

    adds_spikes = True

    def spikes_place(self, result: AnnotationResult) -> tuple[str, str]:
        """Return the place beside the rates."""
        return result.output, f"{result.object_path.rpartition('/')[0]}/{spikes_name(result.run_name)}"


class CopyWriter(NwbWriter, Replacement):
    """The recording with the run in it, as a copy or in place of the recording."""

    makes = "the annotated copy"
    keeps_recording_open = False  # files that it links to are opened for writing with the copy

    def __init__(self, source: Source, reader: Reader, where: OutputOptions) -> None:
        target = self.named_target(source, reader, where)
        super().__init__(Path(name_of(source)), target, repairs=not where.dry_run)
        self.folder, self._where = target.parent, where
        self._options = InferenceOptions()
        self._paths: frozenset[str] = frozenset()
        self._lost: list[str] = []
        self.rebuilds = not where.in_place

    @classmethod
    def takes(cls, source: Source, reader: Reader, where: OutputOptions) -> bool:
        """The form that others leave over."""
        return True

    @classmethod
    def named_target(cls, source: Source, reader: Reader, where: OutputOptions) -> Path:
        """Return the file of the copy."""
        return target_of(Path(name_of(source)), where.output, where.in_place)

    def places(
        self, recordings: Sequence[Recording], options: InferenceOptions, planned: Mapping[str, str]
    ) -> tuple[Place, ...]:
        """Return the places in the target; raises if a copy there would lose parts of the recording."""
        require_links(_nwb(recordings[0]).nwbfile, self.source, self.folder)
        self._options = options
        found = _places(recordings, self.target, options.run_name)
        self._paths = frozenset(place.object_path for place in found)
        return found

    def holder(self, recording: Recording, result: AnnotationResult, spikes: SpikesOptions | None) -> str | None:
        """Return the recording or its copy if it holds the run; the spikes of a run that is replaced are noted."""
        nwbfile, overwrite = _nwb(recording).nwbfile, self._where.overwrite
        run = recording.traces.source["object_path"], result.run_name, result.run_key
        if recording_holds_run(nwbfile, *run, overwrite=overwrite):
            return recording.name
        is_new = self._where.in_place or not self.target.exists()
        if not is_new and copy_holds_run(
            self.target, nwbfile, *run, renewed=self._paths, overwrite=overwrite, adding=self._adding
        ):
            return str(self.target)
        self._lost += spikes_tables(nwbfile, result.object_path)
        return None

    def _adding(self, run_name: str) -> str:
        """Return the command that adds the run to the copy that is there."""
        what = words_of(self._options if len(self._paths) > 1 else replace(self._options, run_name=run_name))
        how = words_of(replace(self._where, output=None, in_place=True))
        return "" if what is None or how is None else proposed("infer", self.target, *what, *how)

    def needed_bytes(self, n_rois: int, matrix_bytes: int) -> int:
        """Return the size of recording and results."""
        return size(self.source) + stored_bytes(n_rois, matrix_bytes)

    def prepare(self, work: Path, runs: Sequence[Inferred], progress: Progress | None) -> tuple[str, ...]:
        """Make a checked copy of the recording with the runs in it."""
        notes = [f"{table} was found in the rates that were replaced, and is replaced or gone." for table in self._lost]
        prepared, records = self.copied(work, progress), [run_record(one) for one in runs]
        if prepared.is_file():
            reserve(prepared, sum(map(record_bytes, records)))
        paths = write_runs(prepared, records, overwrite=self._where.overwrite, progress=progress)
        notes += foreign(check_runs(prepared, dict(zip(paths, records, strict=True))))
        _store_spikes(prepared, runs)
        return tuple(notes)


class SidecarWriter(NwbWriter):
    """A small file of its own, see `nwb_cascade.nwb.sidecar`; the only form for remote recordings in NWB."""

    makes = "the sidecar"
    keeps_recording_open = True
    rebuilds = True

    def __init__(self, source: Source, reader: Reader, where: OutputOptions) -> None:
        self._source = None if is_remote(source) else Path(name_of(source))
        self._where = where
        self.folder, self._name = sidecar_folder(self._source, where.output)
        self._source_stamp = None if self._source is None else stamp(self._source)
        self._target = self._prepared = self.folder
        self._target_stamp: Stamp = None
        self._sources: tuple[Mapping[str, str], ...] = ()
        self._paths: frozenset[str] = frozenset()

    @classmethod
    def takes(cls, source: Source, reader: Reader, where: OutputOptions) -> bool:
        """What is asked for, and what is remote unless its output is named like a matrix."""
        return where.sidecar or (is_remote(source) and not names_matrix(where.output))

    @classmethod
    def named_target(cls, source: Source, reader: Reader, where: OutputOptions) -> None:
        """Return nothing: its name is made from the recording."""
        sidecar_folder(None if is_remote(source) else Path(name_of(source)), where.output)

    def places(
        self, recordings: Sequence[Recording], options: InferenceOptions, planned: Mapping[str, str]
    ) -> tuple[Place, ...]:
        """Return the file; unless a name is given, one made from the recording that no other recording has there."""
        recording, found = recordings[0], _places(recordings, self.folder, options.run_name)
        if self._name:
            target = self.folder / self._name
        else:
            named = found[0].run_name if len(found) == 1 else options.run_name or ""
            run = named.removeprefix(DEFAULT_RUN_NAME).lstrip("_")
            source = recording.traces.source
            identity = f"{source['file_identifier']} {_nwb(recording).series.identity}"
            key = hashlib.sha256(identity.encode()).hexdigest()
            name = sidecar_name(_nwb(recording).nwbfile, recording.name, run)
            places = [placed(self.folder, one) for one in names_apart(name, recording.name, key)]
            free = (place for place in places if planned.get(str(place), recording.name) == recording.name)
            target = next((place for place in free if not is_of_another(place, source)), places[-1])
        self._target, self._target_stamp = target, stamp(target)
        self._sources = tuple(one.traces.source for one in recordings)
        self._paths = frozenset(place.object_path for place in found)
        return tuple(replace(place, target=target) for place in found)

    def holder(self, recording: Recording, result: AnnotationResult, spikes: SpikesOptions | None) -> str | None:
        """Return the sidecar if it holds the run."""
        if not self._target.exists():
            return None
        run = self._sources, result.object_path, result.run_key
        is_held = sidecar_holds_run(self._target, *run, renewed=self._paths, overwrite=self._where.overwrite)
        return str(self._target) if is_held else None

    def needed_bytes(self, n_rois: int, matrix_bytes: int) -> int:
        """Return the size of the results and a guess for metadata and masks."""
        return SCHEMA_BYTES + stored_bytes(n_rois, matrix_bytes)

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Lock a local recording; a remote one cannot be locked, but what is read of it is checked."""
        return nullcontext() if self._source is None else kept_from_writers(self._source)

    def prepare(self, work: Path, runs: Sequence[Inferred], progress: Progress | None) -> tuple[str, ...]:
        """Make a checked sidecar."""
        self._prepared, records = beside(work, split_name(self._target.name)[1]), [run_record(one) for one in runs]
        nwb, room = _nwb(runs[0].recording), sum(map(record_bytes, records))
        make_file(self._prepared, mode_like(self._source, is_private=runs[0].recording.is_private))
        paths, notes = write_sidecar(
            self._prepared, nwb.nwbfile, records, nwb.access, reserve_bytes=room, progress=progress
        )
        if others := ", ".join(other_files(nwb.nwbfile)):
            notes += (f"Parts of the recording lie in {others}; what the sidecar repeats of them is in it.",)
        notes = (*notes, *foreign(check_runs(self._prepared, dict(zip(paths, records, strict=True)))))
        _store_spikes(self._prepared, runs)
        return notes

    def install(self) -> None:
        """Move the sidecar to its place."""
        if self._source is not None and stamp(self._source) != self._source_stamp:
            raise InputError(f"Another program changed {self._source} meanwhile; nothing was written. Run again.")
        install(self._prepared, self._target, expected=self._target_stamp)


def _nwb(recording: Recording) -> NwbPart:
    """Return the open file of a recording that is NWB."""
    if recording.nwb is None:
        raise InputError(f"Expected an NWB file, received {recording.name}.")
    return recording.nwb


def _places(recordings: Sequence[Recording], target: Path, run_name: str | None) -> tuple[Place, ...]:
    """Return where runs go in a file: they are named after their series if the file holds other dF/F."""
    found = []
    for one in recordings:
        is_alone = not one.label or (run_name is not None and len(recordings) == 1)
        name = "_".join([run_name or DEFAULT_RUN_NAME, *([] if is_alone else [one.label])])
        nwb = _nwb(one)
        found.append(Place(target, name, place_of(nwb.nwbfile, nwb.series.object_path, name).object_path))
    return tuple(found)


def _store_spikes(prepared: Path, runs: Sequence[Inferred]) -> None:
    """Add the spikes of runs that are in a file, if they are wanted."""
    for one in runs:
        if one.spikes is None:
            continue
        result = one.result
        record = spikes_record(
            one.spikes, run_name=result.run_name, rates_path=result.object_path, run_key=result.run_key
        )
        store_spikes(prepared, record)
