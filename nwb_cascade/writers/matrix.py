"""Rates as files of numpy and MATLAB, with what made them; recognised when they are there already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.progress import Progress
from nwb_cascade.core.traces import TraceArray
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.disk import write_text
from nwb_cascade.files.matrices import needs_mat73, write_mat5, write_mat73, write_npy, write_npz
from nwb_cascade.files.private import make_file, mode_like
from nwb_cascade.files.replace import Stamp, beside, install, stamp
from nwb_cascade.nwb.places import SPIKES_KEY
from nwb_cascade.nwb.write_spikes import flat_times
from nwb_cascade.options import InferenceOptions, OutputOptions
from nwb_cascade.provenance import canonical_json, file_name, software_versions
from nwb_cascade.readers.matrix import is_mat73
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, name_of
from nwb_cascade.readers.stored_runs import (
    BY_FRAME,
    COUNTS,
    DEVIATION,
    FIT_ERROR,
    PER_ROI,
    RATES,
    RECORD,
    SPIKE_PROB,
    SPIKE_RATES,
    SPIKES,
    SPIKES_INDEX,
    files_beside,
    is_result,
    record_of,
    stands_alone,
)
from nwb_cascade.results.found_spikes import FoundSpikes, SpikesOptions
from nwb_cascade.results.inferred import Inferred
from nwb_cascade.results.result import AnnotationResult
from nwb_cascade.writers import pynapple
from nwb_cascade.writers.sidecar_names import label
from nwb_cascade.writers.targets import is_folder, names_matrix
from nwb_cascade.writers.writer import Place

SMALL_BYTES = 2**20  # everything but the matrices
UNFINISHED = "unfinished"  # in the record of a result that is being written


class MatrixWriter:
    """``.npy``, ``.npz`` or ``.mat``.

    A ``.mat`` file holds ``spike_prob``, Cascade's name of the expected spikes per frame, ``spike_rates`` (per second),
    ``ensemble_std``, ``noise_levels``, ``model_noise_levels``,
    ``valid_frames`` (first and one past the last, counted from 0), ``roi_ids``, ``imaging_rate``, where spikes are
    wanted ``spike_times`` (s), ``spike_times_index`` (the end of each ROI in it) and ``spike_fit_error``, and the text
    ``nwb_cascade_record`` (JSON); it is a MATLAB 7.3 file if the source is one or a matrix is too large for version 5.
    Beside X.npy, which holds the expected spikes, and X.npz, which holds them as a ``TsdFrame`` of pynapple, X_std.npy,
    X_discrete.npz (the spikes, as its ``TsGroup``) and X.json hold the rest.
    """

    makes = "the result"
    keeps_recording_open = True
    adds_spikes = False
    rebuilds = False

    def __init__(self, source: Source, reader: Reader, where: OutputOptions) -> None:
        self._source, self._reader, self._where = source, reader, where
        self._target = self.named_target(source, reader, where)
        self.folder = self._target.parent
        self._stamps: dict[Path, Stamp] = {}
        self._prepared: list[list[tuple[Path, Path]]] = []  # the files of each result
        self._ours: set[Path] = set()

    @classmethod
    def takes(cls, source: Source, reader: Reader, where: OutputOptions) -> bool:
        """Whatever is no NWB file gives matrices, and so does what is named like one."""
        return not reader.is_nwb or names_matrix(where.output)

    @classmethod
    def named_target(cls, source: Source, reader: Reader, where: OutputOptions) -> Path:
        """Return the file of the rates."""
        beside_source, name = reader.result_paths(source)
        if where.output is None:
            return beside_source
        if is_folder(where.output):
            return Path(where.output) / name
        target, path = Path(where.output), Path(name_of(source))
        if not is_result(target):
            raise InputError(f"Expected an output ending in .npy, .npz or .mat for {path}, received {target}.")
        if target.exists() and path.exists() and target.samefile(path):
            raise InputError(f"Expected an output other than the input {path}.")
        reader.check_output(source, target)
        return target

    def places(
        self, recordings: Sequence[Recording], options: InferenceOptions, planned: Mapping[str, str]
    ) -> tuple[Place, ...]:
        """Return the targets; unless they are named, the name of the run and what tells a series stands in theirs."""
        run_name = options.run_name
        is_named = self._where.output is not None and not is_folder(self._where.output)
        named = [] if is_named or run_name is None else [label(run_name)]
        found = []
        for one in recordings:
            target = self._target
            if self._reader.is_raw and not is_named:  # every plane has a folder
                target = self.named_target(one.name, self._reader, self._where)
            apart = len(recordings) > 1 and (is_named or not self._reader.is_raw)
            name = "_".join([target.stem, *named, *([label(one.label)] if apart else [])])
            variable = SPIKE_PROB if stands_alone(target) else RATES
            found.append(Place(target.with_name(f"{name}{target.suffix}"), run_name or RATES, variable))
        all_files = (path for one in found for path in (one.target, *files_beside(one.target).values()))
        self._stamps = {path: stamp(path) for path in all_files}
        return tuple(found)

    def holder(self, recording: Recording, result: AnnotationResult, spikes: SpikesOptions | None) -> str | None:
        """Return the target if it holds the run, and the spikes if they are wanted."""
        target, overwrite = Path(result.output), self._where.overwrite
        record = record_of(target) if target.exists() or not stands_alone(target) else {}
        held, is_ours = record.get("spikes"), not record.keys().isdisjoint(("run_key", UNFINISHED))
        if is_ours:
            self._ours.add(target)
        files = (target,) if stands_alone(target) else (files_beside(target)["record"], target)
        if not is_ours and (foreign := next(filter(Path.exists, files), None)):
            raise NameTakenError(
                f"{foreign} exists and is none of ours: it is not replaced. Choose another output (-o)."
            )
        if not target.exists():
            _require_lone_record(target)
            return None
        if record.get("run_key") != result.run_key:
            if not overwrite:
                raise NameTakenError(
                    f"The output {target} exists and was made from other inputs. Choose another (-o) or replace it "
                    "(--overwrite)."
                )
            return None
        if spikes is None or (held is not None and held[SPIKES_KEY] == spikes.key(result.run_key)):
            return str(target)
        if held is not None and not overwrite:
            raise NameTakenError(
                f"The output {target} holds discrete spikes that were found with other options. Replace them with "
                "--overwrite."
            )
        return None

    def spikes_place(self, result: AnnotationResult) -> tuple[str, str]:
        """Return the file of the spikes and their name in it."""
        target = Path(result.output)
        return str(target if stands_alone(target) else files_beside(target)["spikes"]), SPIKES

    def needed_bytes(self, n_rois: int, matrix_bytes: int) -> int:
        """Return the size of the matrices, of those in a ``.mat`` file twice for rates per second, and a little."""
        return matrix_bytes * (2 if stands_alone(self._target) else 1) + SMALL_BYTES

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Nothing is locked: the recording is read before anything is written."""
        return nullcontext()

    def prepare(self, work: Path, runs: Sequence[Inferred], progress: Progress | None) -> tuple[str, ...]:
        """Write the files beside their places."""
        self._prepared = [self._written(one, work, f"_{number}") for number, one in enumerate(runs)]
        return ()

    def _written(self, one: Inferred, work: Path, apart: str) -> list[tuple[Path, Path]]:
        """Write the files of one result; returns them with their places."""
        target, source = Path(one.result.output), Path(name_of(self._source))

        def made(ending: str) -> Path:
            mode = mode_like(source, is_private=one.recording.is_private)
            return make_file(beside(work, f"{apart}{ending}"), mode)

        main = made(target.suffix)
        if stands_alone(target):
            as_mat73 = is_mat73(source) or needs_mat73(one.stored.expected_spikes)
            (write_mat73 if as_mat73 else write_mat5)(main, _mat_variables(one))
            return [(main, target)]
        places, record, deviation = files_beside(target), made(".json"), one.stored.ensemble_std
        clock, roi_ids = one.recording.clock, one.recording.traces.roi_ids
        if target.suffix.lower() == ".npz":
            write_npz(main, pynapple.frames(clock, roi_ids), {BY_FRAME: one.stored.expected_spikes})
        else:
            write_npy(main, one.stored.expected_spikes)
        lists = {name: _json_list(values) for name, values in _small(one).items()}
        record.write_text(canonical_json({**_record(one), **lists}), encoding="utf-8")
        written = [(main, target), (record, places["record"])]
        if deviation is not None:
            written.insert(0, (made("_std.npy"), places["std"]))
            write_npy(written[0][0], deviation)
        if one.spikes is not None:
            ragged = _ragged(one.spikes)
            trains = pynapple.trains(ragged.pop(SPIKES), ragged[SPIKES_INDEX], clock, roi_ids)
            written.insert(0, (made("_discrete.npz"), places["spikes"]))
            write_npz(written[0][0], {**trains, **ragged})
        return written

    def install(self) -> None:
        """Move the files to their places; what tells of the result comes last, and says until then that it is not."""
        for written in self._prepared:
            if len(written) > 1:
                self._begin(*written[-2:])
            for prepared, place in written:
                install(prepared, place, expected=self._stamps[place])

    def _begin(self, main: tuple[Path, Path], record: tuple[Path, Path]) -> None:
        """Let the record say that a result is not complete, and take away what belonged to an earlier one."""
        target, (prepared, told) = main[1], record
        if stamp(told) == self._stamps[told]:  # else it is noticed when the record comes
            write_text(told, canonical_json({UNFINISHED: True}), mode=mode_like(prepared))
            self._stamps[told] = stamp(told)
        if target in self._ours:
            for stale in set(files_beside(target).values()) - {told}:
                stale.unlink(missing_ok=True)
                self._stamps[stale] = None


class PerSecond:
    """Values per frame, (n_rois, n_frames), as values per second; ``frame_rates`` (n_frames,) are in Hz."""

    dtype = np.dtype(np.float32)

    def __init__(self, per_frame: TraceArray, frame_rates: NDArray[np.float64]) -> None:
        self._per_frame, self._frame_rates = per_frame, frame_rates
        self.shape = tuple(per_frame.shape)

    def __getitem__(self, rois: slice) -> NDArray[np.float32]:
        return (np.asarray(self._per_frame[rois]) * self._frame_rates).astype(np.float32)


def _require_lone_record(target: Path) -> None:
    """Raise NameTakenError if what stands beside a new file would seem to belong to another one as well."""
    others = {".npy": ".npz", ".npz": ".npy"}
    other = target.with_suffix(others.get(target.suffix.lower(), target.suffix))
    if other != target and other.exists():
        record = files_beside(target)["record"].name
        raise NameTakenError(
            f"{other} exists: {record}, which tells how {target.name} was made, would seem to belong to it. Choose "
            "another output (-o)."
        )


def _small(one: Inferred) -> dict[str, NDArray[Any]]:
    """Everything per ROI."""
    stored = one.stored
    values = (stored.noise_levels, stored.model_noise_levels, stored.valid_frames, one.recording.traces.roi_ids)
    return dict(zip(PER_ROI, values, strict=True))


def _mat_variables(one: Inferred) -> dict[str, Any]:
    """Return the variables of a ``.mat`` file."""
    deviation = {} if one.stored.ensemble_std is None else {DEVIATION: one.stored.ensemble_std}
    return {
        SPIKE_PROB: one.stored.expected_spikes,
        SPIKE_RATES: PerSecond(one.stored.expected_spikes, one.recording.clock.frame_rates),
        **deviation,
        **_small(one),
        **({} if one.spikes is None else _ragged(one.spikes)),
        "imaging_rate": one.result.imaging_rate,
        RECORD: canonical_json(_record(one)),
    }


def _ragged(found: FoundSpikes) -> dict[str, NDArray[Any]]:
    """Return the spike times of all ROIs in a row, where in it each ROI ends, and the fit errors."""
    times, stops = flat_times(found.times)
    return {SPIKES: times, SPIKES_INDEX: stops.astype(np.int64), FIT_ERROR: found.fit_error}


def _record(one: Inferred) -> Mapping[str, Any]:
    """What made the result."""
    source = one.recording.traces.source
    named = {} if one.result.run_name == RATES else {"run_name": one.result.run_name}
    start_s = one.recording.clock.start_s
    return {
        "run_key": one.result.run_key,
        "file_name": file_name(one.result.path),
        "source": {name: value for name, value in source.items() if name != "path"},
        "parameters": dict(one.parameters),
        "imaging_rate": one.result.imaging_rate,
        "model": json.loads(one.run.model.config.to_json()),
        "model_choice": one.run.reason,
        "roi_warnings": [asdict(warning) for warning in one.stored.warnings],
        "software": software_versions(),
        **named,
        **({"start_s": start_s} if start_s else {}),
        **({} if one.stored.counts is None else {COUNTS: one.stored.counts.to_dict()}),
        **({} if one.spikes is None else {"spikes": _spikes_record(one.spikes, one.result.run_key)}),
    }


def _spikes_record(found: FoundSpikes, run_key: str) -> dict[str, Any]:
    """How the spikes were found."""
    return {**json.loads(found.options.parameters(run_key)), "method": found.options.method}


def _json_list(values: NDArray[Any]) -> list[Any]:
    """Values for JSON, NaN as null."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [float(value) if np.isfinite(value) else None for value in values]
