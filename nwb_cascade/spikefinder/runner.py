"""The stages of a run, each at most once: data, classifier, autoencoder, latent analysis, spike inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nwb_cascade.core.progress import Progress
from nwb_cascade.spikefinder.cache import cached_windows
from nwb_cascade.spikefinder.calibrated import ExpectedSpikes, infer_neurons
from nwb_cascade.spikefinder.clock import best_shifts, measured_lags, with_later_expectation, with_later_spikes
from nwb_cascade.spikefinder.experiments import (
    KINDS,
    Sets,
    run_autoencoder,
    run_classifier,
    run_inference,
    run_toy,
    run_tutorial,
)
from nwb_cascade.spikefinder.findings import Findings, Repetition
from nwb_cascade.spikefinder.latents import TUTORIAL_EXPLAINED
from nwb_cascade.spikefinder.neurons import Neuron
from nwb_cascade.spikefinder.results import Explained, Score, score, summaries
from nwb_cascade.spikefinder.scores import confusion
from nwb_cascade.spikefinder.settings import RunSettings
from nwb_cascade.spikefinder.stages import Arrays, StageFolder
from nwb_cascade.spikefinder.windows import draw_windows, split_by_dataset, split_by_neuron

if TYPE_CHECKING:
    from nwb_cascade.models.bundle import Model

Say = Callable[[str], None]


class Work:
    """Counts units of work (epochs, neurons) over all stages, done ones included; ``say`` is told what begins."""

    def __init__(self, settings: RunSettings, *, n_neurons: int, progress: Progress | None, say: Say) -> None:
        per_size = settings.epochs + settings.autoencoder_epochs + 1
        tutorial = settings.tutorial_epochs if settings.n_tutorial else 0
        self.total = settings.seeds * (len(settings.windows) * per_size + tutorial) + 1
        self.total += n_neurons if settings.model else 0
        self.say = say
        self._done = 0
        self._progress = progress

    def within(self, done: int, total: int) -> None:
        """Report progress within a stage."""
        self._tell(self._done + done)

    def finish(self, units: int) -> None:
        """Count a stage as done."""
        self._done += units
        self._tell(self._done)

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(min(done, self.total), self.total)


class Runner:
    """Runs the stages of one run, each at most once, and knows the data that they are made from."""

    def __init__(
        self,
        neurons: Sequence[Neuron],
        model: Model | None,
        settings: RunSettings,
        stages: StageFolder,
        cache: Path,
        data_sha256: str,
        work: Work,
    ) -> None:
        self.neurons = tuple(neurons)
        self.settings = settings
        self._model = model
        self._stages = stages
        self._cache = cache
        self._data_sha256 = data_sha256
        self._work = work
        self._repetitions: dict[int, Repetition] = {}

    def findings(self) -> Findings:
        """Run whatever has not been run yet; returns all that is shown of it."""
        toy = self.toy()
        scores = [one for seed in range(self.settings.seeds) for size in self.settings.windows
                  for one in self._scores(seed, size)]  # fmt: skip
        size, first = self.settings.windows[0], self.repetition(0)
        return Findings(
            settings=self.settings,
            data_sha256=self._data_sha256,
            neurons=self.neurons,
            scores=tuple(scores),
            summaries=tuple(summaries(scores)),
            explained=self._explained(),
            first=first,
            sets=self.windows(0, size),
            classified=self.classifier(0, size),
            encoded=self.autoencoder(0, size),
            tutorial=self.tutorial(0) if self.settings.n_tutorial else None,
            inferred={method: self.inference(0, size, method) for method in first.expected},
            toy=toy,
        )

    def repetition(self, seed: int) -> Repetition:
        """The data of a seed."""
        if seed not in self._repetitions:
            self._repetitions[seed] = self._repeat(seed)
        return self._repetitions[seed]

    def windows(self, seed: int, size: int) -> Sets:
        """The windows of a seed and size, memory-mapped."""
        repetition = self.repetition(seed)
        split, settings = repetition.split, self.settings
        wanted = {
            "training": (split.training, settings.n_training, settings.balance),
            "held_out": (split.held_out, settings.n_held_out, settings.balance),
            "per_neuron": (split.held_out, settings.n_held_out, "neuron"),
        }
        found = {}
        for number, (name, (chosen, n_windows, balance)) in enumerate(wanted.items()):
            facts = {
                "data": self._data_sha256, "lags_s": dict(repetition.lags_s), "chosen": list(chosen), "size": size,
                "n": n_windows, "balance": balance, "seed": [seed, size, number],
            }  # fmt: skip
            generator = np.random.default_rng([seed, size, number])
            draw = partial(draw_windows, repetition.neurons, chosen, size, n_windows, generator, balance=balance)
            found[name] = cached_windows(self._cache, facts, draw)
        return Sets(**found)

    def classifier(self, seed: int, size: int) -> Arrays:
        """Logits of the classifier on all three kinds of windows."""
        sets = self.windows(seed, size)
        return self._stage(f"classifier-{size}-{seed}", self.settings.epochs, run_classifier, sets, seed)

    def autoencoder(self, seed: int, size: int) -> Arrays:
        """The latent analysis of the autoencoder."""
        sets = self.windows(seed, size)
        return self._stage(f"autoencoder-{size}-{seed}", self.settings.autoencoder_epochs, run_autoencoder, sets, seed)

    def tutorial(self, seed: int) -> Arrays:
        """The tutorial's recipe on windows of the first size."""
        sets = self.windows(seed, self.settings.windows[0])
        return self._stage(f"tutorial-{seed}", self.settings.tutorial_epochs, run_tutorial, sets, seed)

    def toy(self) -> Arrays:
        """The one-hot toy."""
        arrays = self._stages.get("toy", lambda: run_toy(0, self.settings.toy_epochs))
        self._work.finish(1)
        return arrays

    def inference(self, seed: int, size: int, kind: str) -> Arrays:
        """Scores of spike inference, as it is or with the offset of each data set measured."""
        sets, expected = self.windows(seed, size), self.repetition(seed).expected[kind]
        return run_inference(sets, expected)

    def _stage(self, name: str, units: int, function: Callable[..., Arrays], sets: Sets, seed: int) -> Arrays:
        def make() -> Arrays:
            self._work.say(name)
            return function(sets, self.settings, seed, self._work.within)

        arrays = self._stages.get(name, make)
        self._work.finish(units)
        return arrays

    def _repeat(self, seed: int) -> Repetition:
        settings = self.settings
        if settings.held_out_datasets:
            split = split_by_dataset(self.neurons, settings.held_out_datasets)
        else:
            split = split_by_neuron(self.neurons, share=settings.held_out_share, seed=seed)
        lags = measured_lags(self.neurons, split.training) if settings.clock == "aligned" else {}
        neurons = with_later_spikes(self.neurons, lags) if lags else self.neurons
        expected: dict[str, ExpectedSpikes] = {}
        shifts: dict[str, int] = {}
        if self._model is not None:
            plain = self._expected()
            shifts = best_shifts(neurons, split.training, plain)
            expected = {"inference": plain, "inference-shifted": with_later_expectation(neurons, plain, shifts)}
        return Repetition(seed, tuple(neurons), split, lags, expected, shifts)

    def _expected(self) -> ExpectedSpikes:
        """Expected spikes of all neurons, which no seed changes."""
        model = self._model
        if model is None:
            raise ValueError("Expected a model to infer with, this run has none.")

        def make() -> Arrays:
            self._work.say("inference")
            found = infer_neurons(self.neurons, model, progress=self._work.within)
            joined = np.concatenate([part for parts in found.per_bin for part in parts]).astype(np.float32)
            return {"expected": joined, "held_out": np.asarray(found.held_out)}

        is_first = not self._repetitions
        arrays = self._stages.get("inference", make)
        if is_first:
            self._work.finish(len(self.neurons))
        sizes = [[segment.trace.size for segment in neuron.segments] for neuron in self.neurons]
        parts = iter(np.split(arrays["expected"].astype(np.float64), np.cumsum([s for own in sizes for s in own])[:-1]))
        per_bin = tuple(tuple(next(parts) for _ in own) for own in sizes)
        return ExpectedSpikes(model.config.name, per_bin, tuple(bool(one) for one in arrays["held_out"]))

    def _scores(self, seed: int, size: int) -> list[Score]:
        """Scores of all methods on the windows of a seed and size."""
        sets = self.windows(seed, size)
        found = {"classifier": self.classifier(seed, size), "autoencoder": self.autoencoder(seed, size)}
        if self.settings.n_tutorial and size == self.settings.windows[0]:
            found["tutorial"] = self.tutorial(seed)
        for method in self.repetition(seed).expected:
            found[method] = self.inference(seed, size, method)
        self._work.finish(1)
        return [
            score(method, size, seed, name, confusion(sets.labels(kind, arrays[kind].size), arrays[kind] > 0))
            for method, arrays in found.items()
            for kind, name in KINDS.items()
        ]

    def _explained(self) -> tuple[Explained, ...]:
        """Variance per principal component of the latents, mean over repetitions, beside the tutorial's."""
        size, seeds = self.settings.windows[0], range(self.settings.seeds)
        ours = np.mean([self.autoencoder(seed, size)["explained"] for seed in seeds], axis=0)
        repeated = np.full(ours.size, np.nan)
        if self.settings.n_tutorial:
            found = np.mean([self.tutorial(seed)["explained"] for seed in seeds], axis=0)[: ours.size]
            repeated[: found.size] = found
        reported = TUTORIAL_EXPLAINED[: ours.size]
        return tuple(
            Explained(number, *(round(float(share), 4) for share in shares))
            for number, shares in enumerate(zip(ours, repeated, reported, strict=True))
        )
