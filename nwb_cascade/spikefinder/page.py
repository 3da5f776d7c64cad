"""What a run leaves for people: figures as files, tables, and one HTML page that holds them all."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_cascade.spikefinder.latents import TUTORIAL_EXPLAINED
from nwb_cascade.spikefinder.neurons import Neuron
from nwb_cascade.spikefinder.pictures import Picture, pictures
from nwb_cascade.spikefinder.results import METHODS, Summary
from nwb_cascade.spikefinder.stages import write_text

if TYPE_CHECKING:
    from nwb_cascade.spikefinder.run import Runner

PAGE = "spikefinder.html"
DPI = 130
STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 0 1.5rem 3rem; color: #1a1a1a; background: #fff;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-top: 1px solid #d0d0d0; padding-top: .7rem; }
figure { margin: 1rem 0 1.6rem; } figcaption, footer, .note { color: #555; font-size: .9rem; }
img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0; }
th, td { text-align: left; padding: .2rem .9rem .2rem .2rem; border-bottom: 1px solid #d0d0d0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def write_results(out: Path, runner: Runner, facts: Mapping[str, Any], means: Sequence[Summary]) -> Path:
    """Write figures (PNG and SVG), the explained variance and the page of a run; returns the page's path."""
    drawn = [(picture, _save(out / "figures", picture)) for picture in pictures(runner, means)]
    explained = explained_rows(runner)
    lines = ["component,this_run,tutorial_recipe,tutorial_reported"]
    lines += [",".join([str(number), *(f"{value:.4f}" for value in row)]) for number, row in enumerate(explained)]
    write_text(out / "explained_variance.csv", "\n".join(lines) + "\n")
    write_text(out / PAGE, page_html(runner, facts, means, explained, drawn))
    return out / PAGE


def explained_rows(runner: Runner) -> list[tuple[float, float, float]]:
    """Mean over repetitions of the explained variance by component: this run, tutorial's recipe (NaN without it), and
    what the tutorial reports."""
    size, seeds = runner.settings.windows[0], range(runner.settings.seeds)
    ours = np.mean([runner.autoencoder(seed, size)["explained"] for seed in seeds], axis=0)
    repeated = np.full(ours.size, np.nan)
    if runner.settings.n_tutorial:
        found = np.mean([runner.tutorial(seed)["explained"] for seed in seeds], axis=0)[: ours.size]
        repeated[: found.size] = found
    reported = TUTORIAL_EXPLAINED[: ours.size]
    return [(float(a), float(b), float(c)) for a, b, c in zip(ours, repeated, reported, strict=True)]


def page_html(
    runner: Runner,
    facts: Mapping[str, Any],
    means: Sequence[Summary],
    explained: Sequence[tuple[float, float, float]],
    drawn: Sequence[tuple[Picture, bytes]],
) -> str:
    """Return the HTML of the page."""
    settings = facts["settings"]
    sections = []
    for section in dict.fromkeys(picture.section for picture, _ in drawn):
        parts = [f"<h2>{escape(section)}</h2>"]
        if section == "Latent space":
            parts.append(_explained_html(explained))
        parts += [_figure_html(picture, png) for picture, png in drawn if picture.section == section]
        sections.append("\n".join(parts))
    used = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in settings.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Spikefinder: windows of calcium</title><style>{STYLE}</style></head><body>
<h1>Windows of calcium, with and without a spike</h1>
<p>{len(runner.neurons)} neurons of {escape(", ".join(facts["datasets"]))}; {settings["seeds"]} repetitions, each with
its own neurons held out ({len(runner.repetition(0).split.held_out)} of them in the first), draw of windows and initial
weights. Accuracy is the share of windows that are told right, on as many windows with a spike in the middle five bins
(50 ms) as without.</p>
{_scores_html(means)}
{_notes_html(runner)}
{chr(10).join(sections)}
<h2>Neurons</h2>
{_neurons_html(runner)}
<h2>Settings</h2>
<div class="scroll"><table>{used}</table></div>
<p class="note">SHA-256 of the data (traces and spike counts in bins): {escape(facts["data_sha256"])}</p>
<footer>Made by nwb-cascade {escape(version("nwb-cascade"))}. This file works without a network.</footer>
</body></html>
"""


def _save(folder: Path, picture: Picture) -> bytes:
    """Draw a figure, write it as PNG and SVG, return the PNG."""
    folder.mkdir(exist_ok=True)
    figure = picture.draw()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    (folder / f"{picture.name}.png").write_bytes(png.getvalue())
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    write_text(folder / f"{picture.name}.svg", svg.getvalue())
    return png.getvalue()


def _figure_html(picture: Picture, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    alt = escape(picture.caption, quote=True)
    return (
        f'<figure id="{picture.name}"><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _scores_html(means: Sequence[Summary]) -> str:
    kinds = list(dict.fromkeys(row.windows for row in means))
    head = "".join(f'<th class="number">{escape(kind)}</th>' for kind in kinds)
    found = {(row.size, row.method, row.windows): row for row in means}
    lines = []
    for size, method in dict.fromkeys((row.size, row.method) for row in means):
        cells = "".join(
            f'<td class="number">{row.accuracy:.3f} ± {row.spread:.3f}</td>'
            for row in (found[size, method, kind] for kind in kinds)
        )
        lines.append(f"<tr><td>{size}</td><td>{escape(METHODS[method])}</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table><tr><th>Window (bins)</th><th>Method</th>{head}</tr>{"".join(lines)}</table></div>'
        '<p class="note">Mean ± standard deviation over repetitions. "Per neuron": as many windows of either kind '
        "within each neuron, so that which cell a window comes from says nothing.</p>"
    )


def _notes_html(runner: Runner) -> str:
    repetition = runner.repetition(0)
    notes = []
    if repetition.expected:
        expected = repetition.expected["inference"]
        n_held_out = sum(expected.held_out)
        notes.append(
            f"Spike inference: {expected.model}, expected spikes in the middle five bins from the full trace, "
            f"threshold chosen on training windows; {n_held_out} of {len(expected.held_out)} neurons are scored only "
            "by networks that were trained without their data set or animal."
        )
        shifts = ", ".join(f"{dataset} {10 * bins:+d} ms" for dataset, bins in repetition.shifts.items())
        notes.append(f"Offset of the expected spikes, measured on training neurons of the first repetition: {shifts}.")
    if repetition.lags_s:
        lags = ", ".join(f"{dataset} {1000 * lag:.0f} ms" for dataset, lag in repetition.lags_s.items())
        notes.append(f"Spikes were moved later by the lag of the fluorescence, first repetition: {lags}.")
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _explained_html(explained: Sequence[tuple[float, float, float]]) -> str:
    names = ("this run", "tutorial's recipe, repeated", "tutorial, as reported")
    head = "".join(f'<th class="number">{number}</th>' for number in range(len(explained)))
    lines = []
    for name, values in zip(names, zip(*explained, strict=True), strict=True):
        if np.isfinite(values).any():
            cells = "".join(f'<td class="number">{value:.3f}</td>' for value in values)
            lines.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    return f'<div class="scroll"><table><tr><th>Component</th>{head}</tr>{"".join(lines)}</table></div>'


def _neurons_html(runner: Runner) -> str:
    split = runner.repetition(0).split

    def line(index: int, neuron: Neuron) -> str:
        n_bins = sum(segment.trace.size for segment in neuron.segments)
        n_spikes = sum(int(segment.counts.sum()) for segment in neuron.segments)
        side = "held out" if index in split.held_out else "training"
        return (
            f"<tr><td>{escape(neuron.name)}</td><td>{escape(neuron.recording.indicator)}</td>"
            f'<td class="number">{n_bins / 100:.0f}</td><td class="number">{n_spikes}</td><td>{side}</td></tr>'
        )

    rows = "".join(line(index, neuron) for index, neuron in enumerate(runner.neurons))
    head = '<tr><th>Neuron</th><th>Indicator</th><th class="number">s</th><th class="number">Spikes</th>'
    return f'<div class="scroll"><table>{head}<th>First repetition</th></tr>{rows}</table></div>'
