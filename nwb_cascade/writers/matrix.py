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
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.matrices import needs_mat73, write_mat5, write_mat73, write_npy
from nwb_cascade.files.private import make_file, mode_like
from nwb_cascade.files.replace import Stamp, beside, install, stamp
from nwb_cascade.nwb.places import SPIKES_KEY
from nwb_cascade.nwb.write_spikes import flat_times
from nwb_cascade.options import InferenceOptions, OutputOptions
from nwb_cascade.provenance import canonical_json, file_name, software_versions
from nwb_cascade.readers.matrix import is_mat73, is_matrix
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, name_of
from nwb_cascade.readers.stored_runs import (
    DEVIATION,
    FIT_ERROR,
    PER_ROI,
    RATES,
    RECORD,
    SPIKES,
    SPIKES_INDEX,
    files_beside,
    record_of,
)
from nwb_cascade.results.found_spikes import FoundSpikes, SpikesOptions
from nwb_cascade.results.inferred import Inferred
from nwb_cascade.results.result import AnnotationResult
from nwb_cascade.writers.sidecar_names import label
from nwb_cascade.writers.targets import is_folder, names_matrix
from nwb_cascade.writers.writer import Place

SMALL_BYTES = 2**20  # everything but the matrices


class MatrixWriter:
    """``.npy`` or ``.mat``.

    A ``.mat`` file holds ``expected_spikes``, ``ensemble_std``, ``noise_levels``, ``model_noise_levels``,
    ``valid_frames`` (first and one past the last, counted from 0), ``roi_ids``, ``imaging_rate``, where spikes are
    wanted ``spike_times`` (s), ``spike_times_index`` (the end of each ROI in it) and ``spike_fit_error``, and the text
    ``nwb_cascade_record`` (JSON); it is a MATLAB 7.3 file if the source is one or a matrix is too large for version 5.
    Beside X.npy, which holds the expected spikes, X_std.npy, X_discrete.npz (the spikes) and X.json hold the rest.
    """

    makes = "the result"
    keeps_recording_open = True
    adds_spikes = False

    def __init__(self, source: Source, reader: Reader, where: OutputOptions) -> None:
        self._source, self._where = source, where
        self._target = self.named_target(source, reader, where)
        self.folder = self._target.parent
        self._stamps: dict[Path, Stamp] = {}
        self._prepared: list[tuple[Path, Path]] = []
        self._replaces_ours = False

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
        if not is_matrix(target):
            raise InputError(f"Expected an output ending in .npy or .mat for {path}, received {target}.")
        if target.exists() and path.exists() and target.samefile(path):
            raise InputError(f"Expected an output other than the input {path}.")
        reader.check_output(source, target)
        return target

    def place(self, recording: Recording, options: InferenceOptions) -> Place:
        """Return the target; unless it is named, the name of the run stands in its own."""
        target, run_name = self._target, options.run_name
        if run_name is not None and (self._where.output is None or is_folder(self._where.output)):
            target = target.with_name(f"{target.stem}_{label(run_name)}{target.suffix}")
        self._stamps = {path: stamp(path) for path in (target, *files_beside(target).values())}
        return Place(target, run_name or RATES, RATES)

    def holder(self, recording: Recording, result: AnnotationResult, spikes: SpikesOptions | None) -> str | None:
        """Return the target if it holds the run, and the spikes if they are wanted."""
        target, overwrite = Path(result.output), self._where.overwrite
        record = record_of(target) if target.exists() or target.suffix.lower() == ".npy" else {}
        self._replaces_ours, held = "run_key" in record, record.get("spikes")
        told = target if target.suffix.lower() == ".mat" else files_beside(target)["record"]
        if told.exists() and not self._replaces_ours:
            raise NameTakenError(f"{told} exists and is none of ours: it is not replaced. Choose another output (-o).")
        if not target.exists():
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
        return str(target if target.suffix.lower() == ".mat" else files_beside(target)["spikes"]), SPIKES

    def needed_bytes(self, n_rois: int, matrix_bytes: int) -> int:
        """Return the size of the matrices and a little."""
        return matrix_bytes + SMALL_BYTES

    def kept_from_writers(self) -> AbstractContextManager[None]:
        """Nothing is locked: the recording is read before anything is written."""
        return nullcontext()

    def prepare(self, work: Path, runs: Sequence[Inferred], progress: Progress | None) -> tuple[str, ...]:
        """Write the files beside their places."""
        (one,) = runs
        target, mode = Path(one.result.output), mode_like(Path(name_of(self._source)))
        main = make_file(beside(work, target.suffix), mode)
        if target.suffix.lower() == ".mat":
            as_mat73 = is_mat73(Path(name_of(self._source))) or needs_mat73(one.stored.expected_spikes)
            (write_mat73 if as_mat73 else write_mat5)(main, _mat_variables(one))
            self._prepared = [(main, target)]
            return ()
        places, record, deviation = (
            files_beside(target),
            make_file(beside(work, ".json"), mode),
            one.stored.ensemble_std,
        )
        write_npy(main, one.stored.expected_spikes)
        lists = {name: _json_list(values) for name, values in _small(one).items()}
        record.write_text(canonical_json({**_record(one), **lists}), encoding="utf-8")
        self._prepared = [(main, target), (record, places["record"])]
        if deviation is not None:
            write_npy(make_file(beside(work, "_std.npy"), mode), deviation)
            self._prepared.insert(0, (beside(work, "_std.npy"), places["std"]))
        if one.spikes is not None:
            ragged: Any = _ragged(one.spikes)
            np.savez_compressed(make_file(beside(work, ".npz"), mode), **ragged)
            self._prepared.insert(0, (beside(work, ".npz"), places["spikes"]))
        return ()

    def install(self) -> None:
        """Move the files to their places: what told of an earlier result goes first, what tells of this comes last."""
        if self._replaces_ours and len(self._prepared) > 1:
            for stale in files_beside(self._prepared[-2][1]).values():
                stale.unlink(missing_ok=True)
                self._stamps[stale] = None
        for prepared, place in self._prepared:
            install(prepared, place, expected=self._stamps[place])


def _small(one: Inferred) -> dict[str, NDArray[Any]]:
    """Everything per ROI."""
    stored = one.stored
    values = (stored.noise_levels, stored.model_noise_levels, stored.valid_frames, one.recording.traces.roi_ids)
    return dict(zip(PER_ROI, values, strict=True))


def _mat_variables(one: Inferred) -> dict[str, Any]:
    """Return the variables of a ``.mat`` file."""
    deviation = {} if one.stored.ensemble_std is None else {DEVIATION: one.stored.ensemble_std}
    return {
        RATES: one.stored.expected_spikes,
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
