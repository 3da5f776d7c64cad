"""Everything that decides the outcome of a run, apart from its data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nwb_cascade.spikefinder.windows import BALANCES, MIN_WINDOW

CLOCKS = ("published", "aligned")


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run.

    Parameters
    ----------
    windows : tuple of int
        Sizes in bins of 10 ms; figures of samples show the first.
    seeds : int
        Number of repetitions; each has its own split, draw and weights.
    balance : {"pooled", "neuron"}
        How windows with and without spikes are balanced, see `nwb_cascade.spikefinder.windows.draw_windows`.
    clock : {"published", "aligned"}
        ``aligned``: spikes of each data set are moved later by the lag of its fluorescence, measured on training
        neurons.
    held_out_share : float
        Share of each data set's neurons that is held out.
    held_out_datasets : tuple of str
        Hold out these instead.
    n_training, n_held_out : int
        Windows drawn at most.
    epochs, autoencoder_epochs : int
        Passes over the training windows.
    units, batch_size, learning_rate
        Of both networks.
    n_latent, kl_weight
        Of the autoencoder.
    n_tutorial, tutorial_epochs, tutorial_latent
        Of the tutorial's own recipe: a thousand windows, judged on themselves; 0 windows: left out.
    toy_epochs : int
        Of the one-hot toy.
    model : str
        Model of the package that scores the same windows; empty: none.
    """

    windows: tuple[int, ...] = (20, 64, 200)
    seeds: int = 3
    balance: str = "pooled"
    clock: str = "published"
    held_out_share: float = 0.25
    held_out_datasets: tuple[str, ...] = ()
    n_training: int = 60_000
    n_held_out: int = 20_000
    epochs: int = 6
    autoencoder_epochs: int = 6
    units: int = 64
    batch_size: int = 512
    learning_rate: float = 5e-3
    n_latent: int = 64
    kl_weight: float = 1e-4
    n_tutorial: int = 1000
    tutorial_epochs: int = 60
    tutorial_latent: int = 256
    toy_epochs: int = 40
    model: str = "auto"

    def __post_init__(self) -> None:
        if not self.windows or min(self.windows) < MIN_WINDOW:
            raise ValueError(f"Expected windows of at least {MIN_WINDOW} bins, received {list(self.windows)}.")
        for name in ("seeds", "epochs", "autoencoder_epochs", "units", "batch_size", "n_latent"):
            if getattr(self, name) < 1:
                raise ValueError(f"Expected {name} of at least 1, received {getattr(self, name)}.")
        if self.balance not in BALANCES:
            raise ValueError(f"Expected a balance of {' or '.join(BALANCES)}, received {self.balance!r}.")
        if self.clock not in CLOCKS:
            raise ValueError(f"Expected a clock of {' or '.join(CLOCKS)}, received {self.clock!r}.")

    def to_facts(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
