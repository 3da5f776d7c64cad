"""The sections of a recording's report: HTML that can be read without its charts, and what the charts need."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.roi_warnings import WarningKind
from nwb_cascade.core.wording import counted, rounded
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.report.coverage import Coverage
from nwb_cascade.report.detail import PackedRoi, noise_units
from nwb_cascade.report.examples import Examples
from nwb_cascade.report.page import room_for_traces, table_html
from nwb_cascade.report.provenance import provenance_tables
from nwb_cascade.report.raster import Raster


def about_section(run: StoredRun) -> str:
    """What was run on what."""
    cards = "".join(f"<div><h3>{escape(title)}</h3>{table_html(rows)}</div>" for title, rows in provenance_tables(run))
    return f'<section id="about"><h2>What was run on what</h2><div class="cards">{cards}</div></section>'


def noise_section(coverage: Coverage, n_rois: int) -> str:
    """Noise levels in words, and the place of their histogram."""
    span = f"{coverage.low:g} to {coverage.high:g}"
    parts = [
        f"{count} of {counted(n_rois, 'ROI')} {where}"
        for count, where in (
            (coverage.within, f"lie within what the model was trained for ({span} % Hz^−1/2)"),
            (coverage.below, "are quieter than that"),
            (coverage.above, "are noisier than that: read their rates with caution"),
            (coverage.unknown, "have no noise level"),
        )
        if count
    ]
    median = f" The median is {rounded(coverage.median, 3)}." if np.isfinite(coverage.median) else ""
    return (
        '<section id="quality"><h2>Noise levels and what the model covers</h2>'
        f"<p>{escape('; '.join(parts))}.{median} ν is 100 times the median change of dF/F from frame to frame, divided "
        "by the square root of the imaging rate.</p>"
        '<div id="noise-chart" class="chart" role="img" aria-label="Histogram of noise levels, in words above."></div>'
        "</section>"
    )


def warning_section(kinds: Sequence[WarningKind], n_rois: int) -> str:
    """Warnings by kind, with buttons that show the ROIs concerned."""
    if not kinds:
        return '<section id="warnings"><h2>Warnings</h2><p>There is none.</p></section>'
    rows = "".join(
        f'<tr><td class="number">{len(kind.rois)} of {n_rois}</td><td>{escape(kind.example.message)}</td>'
        f'<td><button type="button" data-rois="{json.dumps(kind.rois)}">Show these ROIs</button></td></tr>'
        for kind in kinds
    )
    return (
        '<section id="warnings"><h2>Warnings</h2><table class="warnings"><thead><tr><th scope="col">ROIs</th>'
        '<th scope="col">For example</th><th scope="col"><span class="skip">Show</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


def raster_section(raster: Raster, run: StoredRun) -> str:
    """What the raster shows, and its place."""
    seconds = raster.frames_per_column / run.imaging_rate
    rows = "one ROI" if raster.rois_per_row == 1 else f"the mean of {raster.rois_per_row} ROIs"
    columns = "one frame" if raster.frames_per_column == 1 else f"the mean of {seconds:.3g} s"
    return (
        '<section id="population"><h2>The population</h2>'
        f"<p>Inferred rates; a row is {rows}, a column {columns}. The brightest colour stands for "
        f"{rounded(raster.top_hz, 3)} spikes/s and more. Click to see the traces of an ROI below.</p>"
        '<div id="raster-chart" class="chart" role="img" aria-label="Raster of inferred rates over time; the table '
        'below holds the mean rate of every ROI."></div></section>'
    )


def example_section(examples: Examples) -> str:
    """Where the examples come from, and their place."""
    return (
        '<section id="examples"><h2>What a spike looks like at this quality</h2>'
        f"<p>{escape(examples.source)} Brought to {examples.imaging_rate:.5g} Hz and to noise levels of this recording "
        "(10th, 50th and 90th percentile of its ROIs); a row is the same stretch of one cell. Marks below a trace are "
        "its true spikes.</p>"
        '<div id="example-chart" class="chart" role="img" aria-label="Excerpts of dF/F with true spikes at increasing '
        'noise."></div></section>'
    )


def example_facts(examples: Examples) -> dict[str, Any]:
    """Plain values for the chart; each heading tells a noise level and what it means for one frame."""
    per_frame = [100 * noise_std(level, examples.imaging_rate) for level in examples.noise_levels]
    return {
        "imaging_rate": examples.imaging_rate,
        "noise_levels": list(examples.noise_levels),
        "headings": [
            f"ν = {level:g}: frame noise {rounded(percent, 2)} % dF/F"
            for level, percent in zip(examples.noise_levels, per_frame, strict=True)
        ],
        "cells": [
            {
                "name": cell.name,
                "panels": [
                    panel
                    and {
                        "dff": [round(float(value), 4) if np.isfinite(value) else None for value in panel.dff],
                        "spikes": [round(float(time), 4) for time in panel.spike_times_s],
                    }
                    for panel in cell.panels
                ],
            }
            for cell in examples.cells
        ],
    }


def browser_text(run: StoredRun, packed: Sequence[PackedRoi]) -> str:
    """What the page holds of the traces, plainly."""
    held = Counter(one.frames_per_step for one in packed)
    full = held.pop(1, 0)
    if not held:
        what = "This page holds every frame of every ROI."
    else:
        step = next(iter(held))
        what = (
            f"This page holds every frame of {full} of {counted(len(packed), 'ROI')} (those asked for, then those with "
            f"most expected spikes), and of the others the smallest and largest value of every {step} frames "
            f"({step / run.imaging_rate:.2g} s): all of them would not fit into one page."
        )
    rounding = "Rates are rounded to 1/250 of the largest of their ROI"
    if run.dff is not None:
        n_rois, n_frames = run.shape
        units = noise_units(n_rois * n_frames, room_for_traces(n_rois))
        rounding = f"dF/F is rounded to 1/{units} of the noise of a frame, rates to 1/250 of the largest of their ROI"
    return " ".join(filter(None, (what, f"{rounding}.", run.dff_absent)))
