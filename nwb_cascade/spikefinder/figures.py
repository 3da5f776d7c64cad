"""Figures of a run by matplotlib; each function returns a `matplotlib.figure.Figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.pages.figure_style import (
    BLUE,
    DARK,
    GREEN,
    LIGHT_BLUE,
    VERMILLION,
    WIDTH_INCHES,
    figure_style,
    new_figure,
)
from nwb_cascade.spikefinder.latents import TUTORIAL_EXPLAINED
from nwb_cascade.spikefinder.neurons import BIN_HZ, Neuron
from nwb_cascade.spikefinder.results import METHODS, Summary
from nwb_cascade.spikefinder.scores import Confusion
from nwb_cascade.spikefinder.windows import MIDDLE_BINS, Windows, first_middle_bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHADE = "#EEEEEE"
COLOURS = (BLUE, VERMILLION, GREEN, LIGHT_BLUE, DARK)
SHOWN_S = 30.0
N_ROWS = 5
CONFUSION_TITLE = 22  # characters of a line


def plot_sample(
    axes: Axes,
    trace: NDArray[np.floating[Any]],
    counts: NDArray[np.integer[Any]] | None = None,
    *,
    start_s: float = 0.0,
    unit_s: float = 1.0,
) -> None:
    """Draw one trace in bins of 10 ms and, below it, its spikes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        To draw on.
    trace : numpy.ndarray
        (n_bins,), scaled dF/F; NaN is a gap.
    counts : numpy.ndarray, optional
        (n_bins,) spikes; a mark stands for one, a thicker one for more.
    start_s : float
        Time of the first bin, s.
    unit_s : float
        Unit of the time axis, s (0.001: ms).
    """
    times = (start_s + np.arange(trace.size) / BIN_HZ) / unit_s
    axes.plot(times, trace, color=GREEN, linewidth=0.8)
    if counts is not None and counts.any():
        at = np.flatnonzero(counts)
        axes.vlines(
            times[at],
            0.0,
            0.08,
            color=DARK,
            linewidth=0.6 + 0.4 * (counts[at] > 1),
            transform=axes.get_xaxis_transform(),
        )
    axes.margins(x=0)


def recordings_figure(neurons: Sequence[Neuron]) -> Figure:
    """Draw the 30 s with most spikes of one neuron of each of the first three data sets."""
    firsts: dict[str, Neuron] = {}
    for neuron in neurons:
        firsts.setdefault(neuron.dataset, neuron)
    shown = [*firsts.values(), *(neuron for neuron in neurons if neuron not in firsts.values())][:3]
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 1.3 * len(shown) + 0.4)
        for axes, neuron in zip(figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
            segment = max(neuron.segments, key=lambda one: one.trace.size)
            n_bins = min(int(SHOWN_S * BIN_HZ), segment.trace.size)
            total = np.concatenate([[0], np.cumsum(segment.counts)])
            first = int(np.argmax(total[n_bins:] - total[: total.size - n_bins]))
            part = slice(first, first + n_bins)
            plot_sample(axes, segment.trace[part], segment.counts[part], start_s=segment.start_s + first / BIN_HZ)
            axes.set(title=f"{neuron.name}, {neuron.recording.indicator}", ylabel="dF/F (scaled)")
        axes.set_xlabel("Time (s)")
    return figure


def windows_figure(neurons: Sequence[Neuron], windows: Windows) -> Figure:
    """Draw windows without (left) and with (right) a spike in the middle five bins, which are shaded."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 1.0 * N_ROWS + 0.4)
        grid = figure.subplots(N_ROWS, 2, sharex=True, squeeze=False)
        for column, label in enumerate((False, True)):
            found = np.flatnonzero(np.asarray(windows.labels) == label)[:N_ROWS]
            for axes, index in zip(grid[:, column], found, strict=False):
                segment = neurons[windows.neurons[index]].segments[windows.segments[index]]
                start = int(windows.starts[index])
                _one_window(axes, windows.values[index], segment.counts[start : start + windows.size])
            grid[0, column].set_title("a spike in the middle" if label else "no spike in the middle")
            grid[-1, column].set_xlabel("Time from the centre (ms)")
    return figure


def errors_figure(windows: Windows, logits: NDArray[np.floating[Any]]) -> Figure:
    """Draw the held-out windows on which the classifier was wrong with most confidence: false positives (left),
    false negatives (right)."""
    wrong = {
        "false positive": np.flatnonzero(~np.asarray(windows.labels) & (logits > 0)),
        "false negative": np.flatnonzero(np.asarray(windows.labels) & (logits <= 0)),
    }
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 1.0 * N_ROWS + 0.4)
        grid = figure.subplots(N_ROWS, 2, sharex=True, squeeze=False)
        for column, (name, found) in enumerate(wrong.items()):
            worst = found[np.argsort(-np.abs(logits[found]), kind="stable")][:N_ROWS]
            for axes, index in zip(grid[:, column], worst, strict=False):
                _one_window(axes, windows.values[index])
                axes.set_title(f"logit {logits[index]:+.1f}", loc="right", fontsize=7)
            grid[0, column].set_title(name, loc="left")
            grid[-1, column].set_xlabel("Time from the centre (ms)")
    return figure


def confusion_figure(confusions: Mapping[str, Confusion]) -> Figure:
    """Draw the confusion matrix of each method, as shares of all windows."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 2.3)
        for axes, (method, found) in zip(
            figure.subplots(1, len(confusions), squeeze=False)[0], confusions.items(), strict=True
        ):
            shares = np.array(
                [[found.true_positive, found.false_negative], [found.false_positive, found.true_negative]]
            ) / max(found.n, 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=0.6)
            for (row, column), share in np.ndenumerate(shares):
                axes.text(
                    column, row, f"{share:.3f}", ha="center", va="center", color="white" if share > 0.35 else DARK
                )
            axes.set(
                title=f"{fill(METHODS[method], CONFUSION_TITLE)}\n{found.accuracy:.3f} right",
                xticks=(0, 1),
                xticklabels=("found", "not found"),
                yticks=(0, 1),
                yticklabels=("spike", "none"),
            )
            axes.spines[:].set_visible(False)
    return figure


def precision_recall_figure(curves: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.floating[Any]]]]) -> Figure:
    """Draw precision over recall of each method, from (labels, scores)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    with figure_style():
        figure = new_figure(WIDTH_INCHES / 2, 2.8)
        axes = figure.subplots()
        for colour, (method, (labels, scores)) in zip(COLOURS, curves.items(), strict=False):
            precision, recall, _ = precision_recall_curve(labels, scores)
            name = f"{METHODS[method]} ({average_precision_score(labels, scores):.2f})"
            axes.plot(recall, precision, color=colour, linewidth=1.2, label=name)
        axes.axhline(0.5, color="#888888", linewidth=0.6, linestyle=":")
        axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1), ylim=(0.45, 1.01))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=7)
    return figure


def toy_figure(samples: NDArray[np.floating[Any]]) -> Figure:
    """Draw samples (n, n_classes, 2) of the latents of one-hot vectors, a colour per class."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES / 2, 3.2)
        axes = figure.subplots()
        n_classes = samples.shape[1]
        import matplotlib as mpl

        for number in range(n_classes):
            colour = mpl.colormaps["tab10"](number % 10)
            axes.scatter(samples[:, number, 0], samples[:, number, 1], s=8, color=colour)
            x, y = samples[:, number].mean(axis=0)
            axes.annotate(str(number), (x, y), fontsize=10, fontweight="bold", ha="center")
        axes.set(xlabel="First latent dimension", ylabel="Second latent dimension")
    return figure


def reconstructions_figure(examples: NDArray[np.floating[Any]], reconstructed: NDArray[np.floating[Any]]) -> Figure:
    """Draw held-out windows (n, size) and what the autoencoder makes of them."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 1.6)
        panels = figure.subplots(1, len(examples), squeeze=False)[0]
        for axes, given, made in zip(panels, examples, reconstructed, strict=True):
            times = _window_times_ms(given.size)
            axes.plot(times, given, color=GREEN, linewidth=0.9, label="window")
            axes.plot(times, made, color=VERMILLION, linewidth=0.9, linestyle="--", label="reconstruction")
            axes.set_xlabel("Time (ms)")
        panels[0].set_ylabel("dF/F (scaled)")
        panels[0].legend(fontsize=6, loc="best")
    return figure


def explained_figure(ours: NDArray[np.floating[Any]], repeated: NDArray[np.floating[Any]] | None) -> Figure:
    """Draw the share of variance in each principal component of the latents, beside the tutorial's."""
    series = {"this run": ours, "tutorial's recipe, repeated": repeated, "tutorial, as reported": TUTORIAL_EXPLAINED}
    present = {name: np.asarray(values) for name, values in series.items() if values is not None}
    with figure_style():
        figure = new_figure(WIDTH_INCHES / 2, 2.4)
        axes = figure.subplots()
        width = 0.8 / len(present)
        for number, (name, values) in enumerate(present.items()):
            axes.bar(np.arange(values.size) + number * width, values, width, color=COLOURS[number], label=name)
        axes.set(xlabel="Principal component", ylabel="Share of variance", xticks=range(len(ours)))
        axes.legend(fontsize=7)
    return figure


def components_figure(projected: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> Figure:
    """Draw latents on their first two principal components, and a histogram of the first, by label."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES, 2.6)
        scatter, histogram = figure.subplots(1, 2)
        first, last = np.quantile(projected[:, 0], (0.002, 0.998))
        bins = np.linspace(float(first), float(last), 40)
        for label, colour, name in ((False, BLUE, "no spike"), (True, VERMILLION, "spike")):
            chosen = projected[labels == label]
            if chosen.shape[1] > 1:
                scatter.scatter(*chosen[:, :2].T, s=3, alpha=0.4, color=colour, linewidths=0, rasterized=True)
            histogram.hist(chosen[:, 0], bins, histtype="step", color=colour, label=name, linewidth=1.2)
        scatter.set(xlabel="First component", ylabel="Second component")
        low, high = np.quantile(projected, (0.002, 0.998), axis=0)
        room = 0.05 * (high - low)
        scatter.set_xlim(low[0] - room[0], high[0] + room[0])
        if projected.shape[1] > 1:
            scatter.set_ylim(low[1] - room[1], high[1] + room[1])
        histogram.set(xlabel="First component", ylabel="Windows")
        histogram.legend()
    return figure


def normal_figure(decoded: NDArray[np.floating[Any]], distances: Sequence[float]) -> Figure:
    """Draw windows (n, size) decoded from points along the boundary's normal, towards spikes and away."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES / 2, 2.6)
        axes = figure.subplots()
        import matplotlib as mpl

        colours = mpl.colormaps["coolwarm"](np.linspace(0, 1, len(distances)))
        for window, distance, colour in zip(decoded, distances, colours, strict=True):
            axes.plot(_window_times_ms(window.size), window, color=colour, linewidth=1.1, label=f"{distance:+g}")
        axes.set(xlabel="Time from the centre (ms)", ylabel="dF/F (scaled)")
        axes.legend(title="along the normal (s.d.)", fontsize=6, title_fontsize=6, ncols=2)
    return figure


def growth_figure(rows: Sequence[Summary]) -> Figure:
    """Draw accuracy on held-out windows over the size of the window."""
    with figure_style():
        figure = new_figure(WIDTH_INCHES / 2, 2.6)
        axes = figure.subplots()
        held_out = [row for row in rows if row.windows == "held-out"]
        for colour, method in zip(COLOURS, dict.fromkeys(row.method for row in held_out), strict=False):
            own = sorted((row for row in held_out if row.method == method), key=lambda row: row.size)
            sizes = [row.size * 1000 / BIN_HZ for row in own]
            axes.errorbar(
                sizes, [row.accuracy for row in own], [row.spread for row in own], color=colour, marker="o",
                markersize=3, linewidth=1, capsize=2, label=METHODS[method],
            )  # fmt: skip
        axes.set(xscale="log", xlabel="Window (ms)", ylabel="Accuracy on held-out neurons")
        ticks = sorted({row.size * 1000 / BIN_HZ for row in held_out})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=7)
    return figure


def _one_window(axes: Axes, values: NDArray[np.floating[Any]], counts: NDArray[np.integer[Any]] | None = None) -> None:
    first = first_middle_bin(values.size)
    times = _window_times_ms(values.size)
    axes.axvspan(times[first] - 5, times[first + MIDDLE_BINS - 1] + 5, color=SHADE, linewidth=0)
    plot_sample(axes, values, counts, start_s=times[0] / 1000, unit_s=0.001)


def _window_times_ms(size: int) -> NDArray[np.float64]:
    """Times of a window's bins from the centre of its middle, ms."""
    return np.asarray((np.arange(size) - size // 2) * 1000 / BIN_HZ, np.float64)
