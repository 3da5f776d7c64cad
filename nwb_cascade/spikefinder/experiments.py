"""The stages of a run: each trains or scores something and returns arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.progress import Progress
from nwb_cascade.spikefinder.calibrated import ExpectedSpikes, window_scores
from nwb_cascade.spikefinder.prediction import predicted
from nwb_cascade.spikefinder.settings import RunSettings
from nwb_cascade.spikefinder.stages import Arrays
from nwb_cascade.spikefinder.windows import Windows

N_SHOWN = 2000  # windows whose projections are kept for figures
N_RECONSTRUCTED = 5
NORMAL_DISTANCES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
TOY_CLASSES = 10
TOY_SAMPLES = 2000
TUTORIAL_KL_WEIGHT = 1e-4
TUTORIAL_BATCH = 32
TUTORIAL_PENALTY = 1.0
PENALTY = 0.1
N_SUPPORT = 20_000  # windows that the support vector machine is fitted to
KINDS = {"training": "training", "held_out": "held-out", "per_neuron": "held-out, per neuron"}


@dataclass(frozen=True, eq=False)
class Sets:
    """Windows of one repetition and size: to train on, held out, and held out with a balance within each neuron."""

    training: Windows
    held_out: Windows
    per_neuron: Windows

    def labels(self, kind: str, n: int) -> NDArray[np.bool_]:
        """Labels of the first windows of a kind."""
        return np.asarray(getattr(self, kind).labels[:n])


def run_classifier(sets: Sets, settings: RunSettings, seed: int, progress: Progress | None = None) -> Arrays:
    """Train the classifier; logits of all windows, and the losses."""
    from nwb_cascade.architectures.backend import keras
    from nwb_cascade.spikefinder.classifier import build_classifier, classifier_logits, fit_classifier
    from nwb_cascade.spikefinder.layers import feature_scale

    training = sets.training
    keras.utils.set_random_seed(seed)
    model = build_classifier(training.size, units=settings.units, scale=feature_scale(training.values))
    losses = fit_classifier(
        model,
        training.values,
        training.labels,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        progress=progress,
    )
    logits = {kind: classifier_logits(model, getattr(sets, kind).values) for kind in KINDS}
    return {**logits, "losses": np.asarray(losses)}


def run_autoencoder(sets: Sets, settings: RunSettings, seed: int, progress: Progress | None = None) -> Arrays:
    """Train the autoencoder on windows alone, then ask a linear boundary in its latent space for their labels."""
    model, losses = _trained_autoencoder(sets.training, settings, seed, progress)
    fitted = sets.training.take(np.arange(min(N_SUPPORT, len(sets.training))))
    return {**_analysis(model, fitted, sets, seed), "losses": np.asarray(losses)}


def run_tutorial(sets: Sets, settings: RunSettings, seed: int, progress: Progress | None = None) -> Arrays:
    """Repeat the tutorial's recipe: few windows, many latent dimensions, a boundary judged on what it was fitted to.

    As there, latents are samples, not means: most of the dimensions are noise.
    """
    few = sets.training.take(np.arange(min(settings.n_tutorial, len(sets.training))))
    recipe = replace(
        settings,
        n_latent=settings.tutorial_latent,
        kl_weight=TUTORIAL_KL_WEIGHT,
        autoencoder_epochs=settings.tutorial_epochs,
        batch_size=TUTORIAL_BATCH,
    )
    model, _ = _trained_autoencoder(few, recipe, seed, progress)
    return _analysis(model, few, sets, seed, sampled=True, penalty=TUTORIAL_PENALTY)


def run_toy(seed: int, epochs: int) -> Arrays:
    """Train an autoencoder of one-hot vectors with a latent of two dimensions; samples of the latent by class."""
    from nwb_cascade.architectures.backend import keras
    from nwb_cascade.spikefinder.autoencoder import build_toy_autoencoder, fit_autoencoder

    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, TOY_CLASSES, TOY_SAMPLES)
    values = np.eye(TOY_CLASSES, dtype=np.float32)[classes]
    model = build_toy_autoencoder(TOY_CLASSES, seed=seed)
    losses = fit_autoencoder(model, values, epochs=epochs, batch_size=64, learning_rate=1e-2)
    every = np.eye(TOY_CLASSES, dtype=np.float32)
    mean, log_variance = predicted(model.encoder, every)
    spread = generator.standard_normal((30, TOY_CLASSES, 2)) * np.exp(0.5 * log_variance)
    return {"means": mean, "samples": mean + spread, "decoded": model.reconstruct(every), "losses": np.asarray(losses)}


def run_inference(sets: Sets, expected: ExpectedSpikes) -> Arrays:
    """Expected spikes in the middle of the windows, less the threshold that tells the training windows best."""
    from nwb_cascade.spikefinder.scores import best_threshold

    scores = {kind: window_scores(expected, getattr(sets, kind)) for kind in KINDS}
    threshold = best_threshold(sets.training.labels, scores["training"])
    return {kind: values - threshold for kind, values in scores.items()}


def _trained_autoencoder(
    windows: Windows, settings: RunSettings, seed: int, progress: Progress | None
) -> tuple[Any, list[float]]:
    """An autoencoder of windows, and its losses."""
    from nwb_cascade.architectures.backend import keras
    from nwb_cascade.spikefinder.autoencoder import build_autoencoder, fit_autoencoder
    from nwb_cascade.spikefinder.layers import feature_scale

    keras.utils.set_random_seed(seed)
    model = build_autoencoder(
        windows.size,
        n_latent=settings.n_latent,
        units=settings.units,
        kl_weight=settings.kl_weight,
        scale=feature_scale(windows.values),
        seed=seed,
    )
    losses = fit_autoencoder(
        model,
        windows.values,
        epochs=settings.autoencoder_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        progress=progress,
    )
    return model, losses


def _analysis(
    model: Any, fitted: Windows, sets: Sets, seed: int, *, sampled: bool = False, penalty: float = PENALTY
) -> Arrays:
    """Components and boundary of the latents of windows; predictions for windows that they were not fitted to."""
    from nwb_cascade.spikefinder.latents import linear_boundary, principal_components

    generator = np.random.default_rng(seed) if sampled else None
    latents = model.encode(fitted.values, generator=generator)
    components = principal_components(latents, fitted.labels)
    boundary = linear_boundary(latents, fitted.labels, penalty=penalty)
    shown = slice(N_SHOWN)
    examples = sets.held_out.values[:N_RECONSTRUCTED]
    return {
        "training": boundary.predict(latents),
        "held_out": boundary.predict(model.encode(sets.held_out.values, generator=generator)),
        "per_neuron": boundary.predict(model.encode(sets.per_neuron.values, generator=generator)),
        "explained": components.explained,
        "projected": components.projected[shown],
        "projected_labels": fitted.labels[shown],
        "examples": examples,
        "reconstructed": model.reconstruct(examples),
        "sampled": model.sample(N_RECONSTRUCTED, np.random.default_rng(seed)),
        "along_normal": model.decode(boundary.along_normal(np.asarray(NORMAL_DISTANCES))),
    }
