"""The page of a run: what was found, as tables and pictures; it computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from nwb_cascade.core.wording import counted, natural_key
from nwb_cascade.pages import image_source, render
from nwb_cascade.spikefinder.findings import Findings, Repetition
from nwb_cascade.spikefinder.neurons import BIN_HZ, Neuron
from nwb_cascade.spikefinder.pictures import Drawn
from nwb_cascade.spikefinder.results import METHODS, Explained, Summary

PAGE = "spikefinder.html"
EXPLAINED = {  # field of Explained, and what it is called
    "this_run": "this run",
    "tutorial_recipe": "tutorial's recipe, repeated",
    "tutorial_reported": "tutorial, as reported",
}
Columns = list[tuple[str, str]]  # heading and kind, see pages/templates/tables.html
Lines = list[list[str]]


def page_html(findings: Findings, drawn: Sequence[Drawn]) -> str:
    """Return the HTML of the page; ``drawn`` are its figures, in the order of its sections."""
    settings, n_neurons = findings.settings, len(findings.neurons)
    sections = dict.fromkeys(picture.section for picture in drawn)
    return render(
        "spikefinder.html",
        title="Windows of calcium, with and without a spike",
        neurons_text=counted(n_neurons, "neuron"),
        datasets=", ".join(sorted({neuron.dataset for neuron in findings.neurons}, key=natural_key)),
        repetitions=counted(settings.seeds, "repetition"),
        n_held_out=len(findings.first.split.held_out),
        scores=_scores(findings.summaries),
        notes=_notes(findings.first),
        sections=[(name, [one for one in drawn if one.section == name]) for name in sections],
        image_source=image_source,
        explained=_explained(findings.explained),
        neurons=_neurons(findings.neurons, findings.first),
        settings=[(key, str(value)) for key, value in settings.to_facts().items()],
        data_sha256=findings.data_sha256,
    )


def _scores(means: Sequence[Summary]) -> tuple[Columns, Lines]:
    """Accuracy of every method at every size of window."""
    kinds = list(dict.fromkeys(row.windows for row in means))
    found = {(row.size, row.method, row.windows): row for row in means}
    lines = []
    for size, method in dict.fromkeys((row.size, row.method) for row in means):
        rows = [found[size, method, kind] for kind in kinds]
        lines.append([str(size), METHODS[method], *(f"{row.accuracy:.3f} ± {row.spread:.3f}" for row in rows)])
    return [("Window (bins)", "number"), ("Method", "words"), *((kind, "number") for kind in kinds)], lines


def _notes(first: Repetition) -> list[str]:
    """What to know of the first repetition."""
    notes = []
    if first.expected:
        expected = first.expected["inference"]
        judged = f"{sum(expected.held_out)} of {counted(len(expected.held_out), 'neuron')}"
        notes.append(
            f"Spike inference: {expected.model}, expected spikes in the middle five bins from the full trace, "
            f"threshold chosen on training windows; {judged} scored only by networks that were trained without their "
            "data set or animal."
        )
        shifts = ", ".join(f"{dataset} {10 * bins:+d} ms" for dataset, bins in first.shifts.items())
        notes.append(f"Offset of the expected spikes, measured on training neurons of the first repetition: {shifts}.")
    if first.lags_s:
        lags = ", ".join(f"{dataset} {1000 * lag:.0f} ms" for dataset, lag in first.lags_s.items())
        notes.append(f"Spikes were moved later by the lag of the fluorescence, first repetition: {lags}.")
    return notes


def _explained(explained: Sequence[Explained]) -> tuple[Columns, Lines]:
    """Variance per component; a line for this run and for the tutorial, as far as it is known."""
    lines = []
    for field, name in EXPLAINED.items():
        shares = [getattr(one, field) for one in explained]
        if any(map(isfinite, shares)):
            lines.append([name, *(f"{share:.3f}" for share in shares)])
    return [("Component", "words"), *((str(one.component), "number") for one in explained)], lines


def _neurons(neurons: Sequence[Neuron], first: Repetition) -> tuple[Columns, Lines]:
    """Every neuron with its length, spikes and side in the first repetition."""
    lines = []
    for index, neuron in sorted(enumerate(neurons), key=lambda one: natural_key(one[1].name)):
        seconds = sum(segment.trace.size for segment in neuron.segments) / BIN_HZ
        n_spikes = sum(int(segment.counts.sum()) for segment in neuron.segments)
        side = "held out" if index in first.split.held_out else "training"
        lines.append([neuron.name, neuron.recording.indicator, f"{seconds:.0f}", str(n_spikes), side])
    kinds = {"Neuron": "words", "Indicator": "words", "s": "number", "Spikes": "number", "First repetition": "words"}
    return list(kinds.items()), lines
