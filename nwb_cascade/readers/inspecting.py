"""Describe the series of ROI traces of a recording of any format: what they hold, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import NoRateError, OnePhotonError
from nwb_cascade.files.disk import require_plain
from nwb_cascade.nwb.candidate import Candidate, NoiseQuantiles
from nwb_cascade.nwb.choose import ALL
from nwb_cascade.nwb.statistics import noise_quantiles
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers import nwb
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.registry import reader_of
from nwb_cascade.readers.sources import Source, is_remote

if TYPE_CHECKING:
    from nwb_cascade.dandi.stream import StreamSettings
    from nwb_cascade.nwb.files import NWBSource

BLOCK_BYTES = 2**23
SOME_RATE = 30.0  # Hz; to read traces of which nobody said the rate


def inspect(
    source: Source | NWBSource,
    *,
    series: str | None = None,
    statistics: bool = True,
    scratch_dir: str | Path | None = None,
    streaming: StreamSettings | None = None,
) -> tuple[Candidate, ...]:
    """Describe every series of ROI traces of a recording: an NWB file, on disk or remote, or of another format.

    Parameters
    ----------
    source : path, str, Asset or NWBSource
        Path, address of one file, asset of an archive, or what `nwb_cascade.nwb.files.open_nwb` takes.
    series : str, optional
        Name, object path, end of an object path or object id of the one series to describe; the values of others are
        not read. Of suite2p the folder of a plane; other formats hold one.
    statistics : bool
        Read all traces (in blocks) for NaN shares, noise levels and per-ROI problems. Without, of NWB files only
        headers, the first thousand timestamps and a sample of at most 32 ROIs x 1000 frames (128 kB as float32) are
        read per series, plus what the file's chunks around them hold.
    scratch_dir : path, optional
        Folder for scratch files, needed where a large dataset is stored frame by frame.
    streaming : StreamSettings, optional
        How remote files are read.

    Returns
    -------
    tuple of Candidate
        In the order of their paths; empty if the file has no such series. Raw fluorescence of suite2p has the noise
        level of the dF/F that is computed from it.

    Raises
    ------
    OSError, InputError, ImportError
        If the file cannot be opened or read, or several series or none have the name that was given.
    LookupError, PermissionError, RemoteError
        If a remote file is not found, may not be read, or does not come.
    """
    path = Path(source) if isinstance(source, (str, Path)) and not is_remote(source) else None
    if path is not None:
        require_plain(path)
    if path is None or (reader := reader_of(path)).is_nwb:
        return nwb.inspect(source, series=series, statistics=statistics, scratch_dir=scratch_dir, streaming=streaming)
    asked = InferenceOptions(series=series or (ALL if "series" in reader.takes else None))
    return _described(reader, path, asked, statistics, ())


def _described(
    reader: Reader, source: Source, asked: InferenceOptions, statistics: bool, problems: tuple[str, ...]
) -> tuple[Candidate, ...]:
    """Describe what a reader opens; an option that is missing for that is a problem of the series."""
    try:
        reader.check(source, asked)
        with reader.open(source, asked) as recordings:
            has_rate = asked.imaging_rate is None
            return tuple(_candidate(reader, one, has_rate, statistics, problems) for one in recordings)
    except OnePhotonError as error:
        asked, problem = replace(asked, one_photon=True), str(error)
    except NoRateError as error:
        asked, problem = replace(asked, imaging_rate=SOME_RATE), str(error)
    return _described(reader, source, asked, statistics, (*problems, problem))


def _candidate(
    reader: Reader, recording: Recording, has_rate: bool, statistics: bool, problems: tuple[str, ...]
) -> Candidate:
    """Return an open recording as inspection describes a series."""
    traces, clock, choice, made = recording.traces, recording.clock, recording.traces.choice, recording.dff
    why = f"it is {reader.kind}"
    n_left = 0 if choice is None else int((~choice.asked).sum())
    left_out = () if choice is None else (f"{choice.column} is 0 for {n_left} of {counted(traces.n_rois, 'ROI')}.",)
    noise, nan = _statistics(recording, has_rate) if statistics else (None, None)
    return Candidate(
        object_path=recording.series or recording.label,
        object_id="",
        name=recording.series or recording.label or Path(recording.name).name,
        neurodata_type="",
        kind="dff" if made is None else "raw_fluorescence",
        why=why,
        n_rois=traces.n_rois,
        n_frames=traces.n_frames,
        region_problem="",
        imaging_rate=clock.imaging_rate if has_rate else None,
        imaging_rate_why=why if has_rate else "none is stated",
        stretches=() if clock.is_even else clock.stretches,
        unit="",
        scale=traces.source["scale"] if made is None else "counts",
        scale_why=why,
        scale_stated=False,
        conversion=1.0,
        offset=0.0,
        transposed=None,
        nan_fraction=nan,
        noise_levels=noise,
        plane=recording.label or None,
        plane_rate=None,
        indicator=recording.indicator,
        location=None,
        species=recording.species,
        genotype=None,
        roi_table=None,
        problems=(*problems, *(left_out if n_left else ()), *recording.notes),
    )


def _statistics(recording: Recording, has_rate: bool) -> tuple[NoiseQuantiles | None, float]:
    """Return noise levels and the share of NaN of the ROIs that are asked for."""
    traces, noise, n_nan, n_values = recording.traces, [np.empty(0, np.float32)], 0, 0
    for rois, block in traces.blocks(BLOCK_BYTES):
        values = block[traces.asked(rois)]
        n_nan, n_values = n_nan + int(np.isnan(values).sum()), n_values + values.size
        if has_rate:
            noise.append(noise_level(values, traces.imaging_rate))
    return noise_quantiles(np.concatenate(noise)), n_nan / max(1, n_values)
