"""Figures for papers by matplotlib: one ROI, the population, noise levels, ground truth at the same quality.

Every function returns a `matplotlib.figure.Figure`: ``figure.savefig("roi.pdf")``. Colours are those of Okabe and Ito
and cividis, which people with any colour vision tell apart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.wording import rounded
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.pages.figure_style import BLUE, DARK, LIGHT_BLUE, VERMILLION, WIDTH_INCHES, figure_style, new_figure
from nwb_cascade.readers.stored_runs import open_run
from nwb_cascade.report.coverage import noise_coverage
from nwb_cascade.report.examples import Examples
from nwb_cascade.report.raster import NO_VALUE, RasterMaker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PathLike = str | os.PathLike[str]


def roi_figure(
    path: PathLike,
    roi_id: int,
    *,
    start_s: float | None = None,
    stop_s: float | None = None,
    run_name: str | None = None,
) -> Figure:
    """Draw dF/F, expected spikes ± the ensemble's deviation and discrete spikes of one ROI.

    Parameters
    ----------
    path : path
        NWB file with inferred rates.
    roi_id : int
        Id of the ROI in its table.
    start_s, stop_s : float, optional
        Part of the recording to draw, s on the file's clock; left out: to its ends.
    run_name : str, optional
        Name or path of the run, where the file holds several.

    Raises
    ------
    InputError
        If there is no such ROI or run, or no frame between the times.
    ImportError
        If matplotlib is not installed.
    """
    with open_run(Path(path), run_name) as run:
        found = np.flatnonzero(run.roi_ids == roi_id)
        if not found.size:
            raise InputError(f"Expected the id of an ROI in {path}:{run.object_path}, received {roi_id}.")
        times = run.clock.frame_times
        first = 0 if start_s is None else int(np.searchsorted(times, start_s))
        stop = times.size if stop_s is None else int(np.searchsorted(times, stop_s, side="right"))
        if stop <= first:
            raise InputError(f"Expected frames between {start_s} and {stop_s} s; {path} has {_span(times)}.")
        return _draw_roi(run, int(found[0]), times, slice(first, stop))


def population_figure(path: PathLike, *, run_name: str | None = None) -> Figure:
    """Draw the inferred rates of all ROIs over time, averaged to at most 400 rows and 800 columns.

    Parameters and errors as for `roi_figure`.
    """
    with open_run(Path(path), run_name) as run:
        (n_rois, _), ids = run.shape, run.roi_ids
        maker = RasterMaker(n_rois, run.clock)
        for roi in range(n_rois):
            maker.add(roi, run.rates[roi])
        raster = maker.make()
        extent = (run.start_s, run.start_s + raster.shades.shape[1] * raster.column_s, n_rois - 0.5, -0.5)
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 3.0)
        axes = figure.subplots()
        rates_hz = np.ma.masked_equal(raster.shades, NO_VALUE) / (NO_VALUE - 1) * raster.top_hz
        image = axes.imshow(
            rates_hz, aspect="auto", extent=extent, cmap="cividis", vmin=0, vmax=raster.top_hz, interpolation="nearest"
        )
        figure.colorbar(image, ax=axes, label="Spikes/s", extend="max")
        axes.set(xlabel="Time (s)", ylabel="ROI" if _is_counted(ids) else "ROI, position in the file")
        _whole_ticks(axes)
    return figure


def noise_figure(
    noise_levels: NDArray[np.floating[Any]], model_levels: Sequence[float] = (), *, quieter_is_covered: bool = False
) -> Figure:
    """Draw the distribution of noise levels (n_rois,), % Hz^-1/2, and which of them a model was trained for.

    Parameters as for `nwb_cascade.report.coverage.noise_coverage`.
    """
    coverage = noise_coverage(noise_levels, model_levels, quieter_is_covered=quieter_is_covered)
    widths = np.diff(coverage.edges)
    with figure_style():
        figure = new_figure(WIDTH_INCHES / 2, 2.4)
        axes = figure.subplots()
        bars: dict[str, Any] = {"align": "edge", "edgecolor": "white", "linewidth": 0.3}
        axes.bar(coverage.edges[:-1], coverage.covered, widths, color=BLUE, label="trained for", **bars)
        if coverage.uncovered.any():
            bars |= {"bottom": coverage.covered, "hatch": "///"}
            axes.bar(coverage.edges[:-1], coverage.uncovered, widths, color=VERMILLION, label="not trained for", **bars)
        for level in coverage.model_levels:
            axes.axvline(level, color="#666666", linewidth=0.6, linestyle=":")
        axes.set(xlabel="Noise level (% Hz$^{-1/2}$)", ylabel="ROIs")
        _whole_ticks(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    return figure


def examples_figure(examples: Examples) -> Figure:
    """Draw ground truth at several noise levels, from `nwb_cascade.report.examples.spike_examples`."""
    n_rows, n_columns = len(examples.cells), len(examples.noise_levels)
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 1.1 * n_rows + 0.5)
        grid = figure.subplots(n_rows, n_columns, sharex=True, sharey="row", squeeze=False)
        for axes, level in zip(grid[0], examples.noise_levels, strict=True):
            axes.set_title(f"ν = {level:g}")
        for row, cell in zip(grid, examples.cells, strict=True):
            row[0].set_ylabel(f"{cell.name.split(' ')[0]}\ndF/F")
            for axes, panel in zip(row, cell.panels, strict=True):
                if panel is None:
                    axes.text(0.5, 0.5, "noisier itself", transform=axes.transAxes, ha="center")
                    continue
                axes.plot(np.arange(panel.dff.size) / examples.imaging_rate, panel.dff, color=DARK, linewidth=0.6)
                _spike_marks(axes, panel.spike_times_s)
        for axes in grid[-1]:
            axes.set_xlabel("Time (s)")
    return figure


def accuracy_figure(
    scores: Mapping[str, Mapping[str, NDArray[np.floating[Any]]]], *, label: str = "Correlation"
) -> Figure:
    """Draw a score of every cell (dots) and the median (bar) per dataset, estimators side by side.

    Parameters
    ----------
    scores : mapping
        Estimator to dataset to scores (n_cells,); NaN is left out.
    label : str
        Of the score.

    Raises
    ------
    InputError
        If there is no finite score.
    ImportError
        If matplotlib is not installed.
    """
    datasets = sorted({name for one in scores.values() for name, values in one.items() if np.isfinite(values).any()})
    if not datasets:
        raise InputError("Expected scores of at least one cell to draw, received none.")
    colours = (BLUE, VERMILLION, DARK, LIGHT_BLUE)
    step = 0.8 / len(scores)
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 2.8)
        axes = figure.subplots()
        for number, (estimator, by_dataset) in enumerate(scores.items()):
            colour = colours[number % len(colours)]
            centres = np.arange(len(datasets)) - 0.4 + step * (number + 0.5)
            found = [np.asarray(by_dataset.get(name, ()), np.float64) for name in datasets]
            for centre, values in zip(centres, found, strict=True):
                finite = np.sort(values[np.isfinite(values)])
                spots = centre + step * np.linspace(-0.3, 0.3, finite.size) if finite.size > 1 else [centre]
                axes.plot(spots[: finite.size], finite, ".", color=colour, markersize=2, alpha=0.6)
            medians = [np.median(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan for v in found]
            axes.hlines(medians, centres - 0.45 * step, centres + 0.45 * step, color=colour, label=estimator)
        axes.set_xticks(np.arange(len(datasets)), datasets, rotation=90)
        axes.set(ylabel=label, xlim=(-0.6, len(datasets) - 0.4))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    return figure


def _draw_roi(run: StoredRun, roi: int, times: NDArray[np.float64], frames: slice) -> Figure:
    """dF/F above, rates below, spikes as marks."""
    pauses = [one.first - frames.start for one in run.clock.stretches if frames.start < one.first < frames.stop]

    def part(values: Any) -> NDArray[Any]:
        return np.insert(np.asarray(values)[frames], pauses, np.nan)  # no line leads across a pause

    shown, rates = part(times), part(run.rates[roi])
    with figure_style():
        n_panels = 1 if run.dff is None else 2
        figure = new_figure(WIDTH_INCHES, 1.6 * n_panels)
        panels = figure.subplots(n_panels, 1, sharex=True, squeeze=False)[:, 0]
        if run.dff is not None:
            panels[0].plot(shown, part(run.dff[roi]), color=DARK, linewidth=0.6)
            panels[0].set_ylabel("dF/F")
        axes = panels[-1]
        if run.ensemble_std is not None:
            spread = part(run.ensemble_std[roi])
            axes.fill_between(shown, rates - spread, rates + spread, color=LIGHT_BLUE, alpha=0.5, linewidth=0)
        axes.plot(shown, rates, color=BLUE, linewidth=0.8)
        axes.set(xlabel="Time (s)", ylabel="Expected spikes\nper frame", xlim=(shown[0], shown[-1]))
        if run.spikes is not None:
            spikes = run.spikes.times(roi)
            _spike_marks(axes, spikes[(spikes >= shown[0]) & (spikes <= shown[-1])])
        figure.suptitle(f"ROI {run.roi_ids[roi]}, ν = {rounded(run.noise_levels[roi], 2)}")
    return figure


def _spike_marks(axes: Axes, times_s: NDArray[np.float64]) -> None:
    """Marks of spikes, just above the time axis whatever the values are."""
    axes.eventplot(
        [times_s],
        lineoffsets=0.05,
        linelengths=0.08,
        linewidths=0.8,
        colors=VERMILLION,
        transform=axes.get_xaxis_transform(),
    )


def _whole_ticks(axes: Axes) -> None:
    """Ticks of the upright axis at whole numbers only, as ROIs are."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    first, last = axes.get_ylim()
    axes.yaxis.set_major_locator(MultipleLocator(1) if abs(last - first) < 8 else MaxNLocator("auto", integer=True))


def _is_counted(ids: NDArray[np.int64]) -> bool:
    """Whether the ids of ROIs are their positions."""
    return bool((ids == np.arange(ids.size)).all())


def _span(times: NDArray[np.float64]) -> str:
    return f"frames from {times[0]:.6g} to {times[-1]:.6g} s"
