"""Which figures show what a run found, with their captions; drawn and written as files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nwb_cascade.files.disk import write_text
from nwb_cascade.spikefinder import figures
from nwb_cascade.spikefinder.experiments import NORMAL_DISTANCES
from nwb_cascade.spikefinder.findings import Findings
from nwb_cascade.spikefinder.scores import confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 130
CAPTIONS = {
    "recordings": "Recordings (green) and their spikes (marks), the half minute with most spikes. dF/F is scaled: 0 "
    "is the recording's baseline, 1 three times its typical change within 0.1 s.",
    "windows": "Windows for training, drawn at random. A window counts as one with a spike if one fell into the five "
    "shaded bins; spikes elsewhere do not matter.",
    "confusion": "Held-out windows, first repetition: rows are the truth, columns what was found, shares of all "
    "windows.",
    "precision-recall": "Precision over recall on held-out windows; average precision in brackets.",
    "errors": "Held-out windows on which the classifier was most surely wrong.",
    "toy": "The autoencoder on ten one-hot vectors: samples of the two-dimensional latent, a colour per vector.",
    "reconstructions": "Held-out windows and their reconstructions.",
    "components": "Latents of training windows on their first two principal components. The autoencoder never saw a "
    "label.",
    "explained": "Share of the latents' variance in each principal component.",
    "normal": "Windows decoded along the normal of the support vector machine: towards windows with a spike (red) and "
    "away from them (blue).",
    "growth": "Accuracy on held-out windows over the window's length; bars: standard deviation over repetitions.",
}


@dataclass(frozen=True)
class Picture:
    """A figure: name of its files, the section of the page that shows it, and a function that draws it."""

    name: str
    section: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Drawn:
    """A figure as the page shows it."""

    name: str
    section: str
    caption: str
    png: bytes


def draw_all(folder: Path, findings: Findings) -> list[Drawn]:
    """Draw all figures and write each as PNG and SVG into a folder."""
    folder.mkdir(exist_ok=True)
    return [
        Drawn(picture.name, picture.section, CAPTIONS[picture.name], _save(folder, picture))
        for picture in pictures(findings)
    ]


def pictures(findings: Findings) -> list[Picture]:
    """Return all figures of a run: of its first repetition and first size unless they show all."""
    found = [*_of_windows(findings), *_of_autoencoder(findings)]
    if len(findings.settings.windows) > 1:
        found.append(Picture("growth", "Longer windows", partial(figures.growth_figure, findings.summaries)))
    return found


def _of_windows(findings: Findings) -> list[Picture]:
    """Data, and who tells windows with a spike how well."""
    neurons, sets = findings.first.neurons, findings.sets
    labels, classified = sets.held_out.labels, findings.classified["held_out"]
    inferred = {method: arrays["held_out"] for method, arrays in findings.inferred.items()}
    told = {"classifier": classified, "autoencoder": findings.encoded["held_out"], **inferred}
    confusions = {method: confusion(labels, values > 0) for method, values in told.items()}
    curves = {method: (labels, values) for method, values in {"classifier": classified, **inferred}.items()}
    return [
        Picture("recordings", "Windows", partial(figures.recordings_figure, neurons)),
        Picture("windows", "Windows", partial(figures.windows_figure, neurons, sets.training)),
        Picture("confusion", "Classifier", partial(figures.confusion_figure, confusions)),
        Picture("precision-recall", "Classifier", partial(figures.precision_recall_figure, curves)),
        Picture("errors", "Classifier", partial(figures.errors_figure, sets.held_out, classified)),
    ]


def _of_autoencoder(findings: Findings) -> list[Picture]:
    """What the autoencoder makes of windows, and its latent space."""
    encoded = findings.encoded
    repeated = None if findings.tutorial is None else findings.tutorial["explained"]
    drawn = {
        "toy": ("Autoencoder", partial(figures.toy_figure, findings.toy["samples"])),
        "reconstructions": (
            "Autoencoder",
            partial(figures.reconstructions_figure, encoded["examples"], encoded["reconstructed"]),
        ),
        "components": (
            "Latent space",
            partial(figures.components_figure, encoded["projected"], encoded["projected_labels"]),
        ),
        "explained": ("Latent space", partial(figures.explained_figure, encoded["explained"], repeated)),
        "normal": ("Latent space", partial(figures.normal_figure, encoded["along_normal"], NORMAL_DISTANCES)),
    }
    return [Picture(name, section, draw) for name, (section, draw) in drawn.items()]


def _save(folder: Path, picture: Picture) -> bytes:
    """Draw a figure, write it as PNG and SVG, return the PNG."""
    figure = picture.draw()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    (folder / f"{picture.name}.png").write_bytes(png.getvalue())
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    write_text(folder / f"{picture.name}.svg", svg.getvalue())
    return png.getvalue()
