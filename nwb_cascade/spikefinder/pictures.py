"""Which figures a run makes, of which of its stages, with their captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nwb_cascade.spikefinder import figures
from nwb_cascade.spikefinder.experiments import NORMAL_DISTANCES
from nwb_cascade.spikefinder.results import Summary
from nwb_cascade.spikefinder.scores import confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nwb_cascade.spikefinder.run import Runner

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

    @property
    def caption(self) -> str:
        """What it shows."""
        return CAPTIONS[self.name]


def pictures(runner: Runner, means: Sequence[Summary]) -> list[Picture]:
    """All figures of a run, of its first repetition and first size unless they show all."""
    size = runner.settings.windows[0]
    repetition, sets = runner.repetition(0), runner.windows(0, size)
    classified, encoded = runner.classifier(0, size), runner.autoencoder(0, size)
    repeated = runner.tutorial(0)["explained"] if runner.settings.n_tutorial else None
    labels = sets.held_out.labels
    inferred = {method: runner.inference(0, size, method)["held_out"] for method in repetition.expected}
    ranked = {"classifier": classified["held_out"], **inferred}
    told = {"classifier": classified["held_out"], "autoencoder": encoded["held_out"], **inferred}
    confusions = {method: confusion(labels, values > 0) for method, values in told.items()}
    curves = {method: (labels, values) for method, values in ranked.items()}
    drawn = [
        Picture("recordings", "Windows", partial(figures.recordings_figure, repetition.neurons)),
        Picture("windows", "Windows", partial(figures.windows_figure, repetition.neurons, sets.training)),
        Picture("confusion", "Classifier", partial(figures.confusion_figure, confusions)),
        Picture("precision-recall", "Classifier", partial(figures.precision_recall_figure, curves)),
        Picture("errors", "Classifier", partial(figures.errors_figure, sets.held_out, classified["held_out"])),
        Picture("toy", "Autoencoder", partial(figures.toy_figure, runner.toy()["samples"])),
        Picture(
            "reconstructions",
            "Autoencoder",
            partial(figures.reconstructions_figure, encoded["examples"], encoded["reconstructed"]),
        ),
        Picture(
            "components",
            "Latent space",
            partial(figures.components_figure, encoded["projected"], encoded["projected_labels"]),
        ),
        Picture("explained", "Latent space", partial(figures.explained_figure, encoded["explained"], repeated)),
        Picture("normal", "Latent space", partial(figures.normal_figure, encoded["along_normal"], NORMAL_DISTANCES)),
    ]
    if len(runner.settings.windows) > 1:
        drawn.append(Picture("growth", "Longer windows", partial(figures.growth_figure, means)))
    return drawn
