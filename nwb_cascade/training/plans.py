"""Training plans: what the command line and the script of the bundled models both run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.conditional import ConditionalSizes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.errors import InputError
from nwb_cascade.training.batches import LOWEST_NOISE, RateRange, SegmentBank, make_bank
from nwb_cascade.training.cascade_training import bundle_arrays, cascade_trainee, quiet_enough
from nwb_cascade.training.conditional_bundle import (
    TrainedMember,
    conditional_bundle,
    describe_member,
    package_versions,
)
from nwb_cascade.training.conditional_training import conditional_trainee
from nwb_cascade.training.folds import split
from nwb_cascade.training.recordings import KnownRecording, dataset_hashes
from nwb_cascade.training.steps import (
    StepProgress,
    TrainedNetwork,
    Trainee,
    finished_network,
    train_network,
)
from nwb_cascade.training.terms import with_terms
from nwb_cascade.training.training_plan import TrainingPlan
from nwb_cascade.training.warm_start import WarmStart

MemberProgress = Callable[[str, int, int, Mapping[str, float]], None]
Bundle = tuple[ModelConfig, dict[str, NDArray[np.float32]]]

CASCADE_NETWORK = {"filter_sizes": [31, 19, 5], "filter_numbers": [30, 40, 50], "dense_width": 10}
CASCADE_WINDOW, CASCADE_BEFORE = 64, 32


def run_plan(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> Bundle:
    """Train all networks of a plan; run it again after a kill and it goes on from the last checkpoints.

    Parameters
    ----------
    plan : TrainingPlan
        What to train.
    recordings : sequence of KnownRecording
        The ground truth; those outside ``plan.datasets`` are left out.
    folder : pathlib.Path
        Of the checkpoints, one folder per network.
    start : WarmStart, optional
        Of a conditional plan: what the networks begin with; random weights otherwise.
    progress : callable, optional
        Called as ``progress(network, step, n_steps, losses)`` at each checkpoint.

    Returns
    -------
    (ModelConfig, mapping)
        Configuration and arrays of the bundle.
    """
    chosen = [r for r in recordings if not plan.datasets or r.dataset in plan.datasets]
    if not chosen:
        raise LookupError(f"Expected recordings of {', '.join(plan.datasets) or 'any dataset'}, received none.")
    if plan.architecture == "conditional":
        members = [
            train_member(plan, chosen, member, folder, start=start, progress=progress)
            for member in range(plan.ensemble_size)
        ]
        config, weights = _bundle_members(plan, chosen, members, start)
    elif start is not None:
        raise InputError("Expected a start for a conditional model only; leave it out for architecture 'cascade'.")
    else:
        config, weights = _run_cascade(plan, chosen, folder, progress)
    begun = None if start is None else start.config
    return with_terms(config, citation=plan.citation, licence=plan.licence, start=begun), weights


def train_member(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    member: int,
    folder: Path,
    *,
    start: WarmStart | None = None,
    progress: MemberProgress | None = None,
) -> TrainedMember:
    """Train one network of a conditional plan; see ``run_plan``."""
    sizes = _sizes(plan, recordings, start)
    fold = member if plan.folds else None
    training, held_out = split(recordings, fold) if fold is not None else (list(recordings), [])
    settings = plan.member_settings(member)
    label = f"member{member}"

    def make() -> Trainee:
        return conditional_trainee(sizes, plan.scale_shares)

    trained = finished_network(make, settings, folder / label) or train_network(
        make,
        _bank(plan, training, sizes, plan.versions, (settings.seed, 1)),
        settings,
        folder / label,
        start=None if start is None else start.member(member, fold),
        held_out=_bank(plan, held_out, sizes, 2, (settings.seed, 2)) if held_out else None,
        progress=_labelled(progress, label),
    )
    described = describe_member(
        training, trained.weights, fold=fold, seed=settings.seed, n_steps=settings.n_steps, history=trained.history
    )
    return described if start is None else start.joined(described, member)


def _bundle_members(
    plan: TrainingPlan, recordings: Sequence[KnownRecording], members: Sequence[TrainedMember], start: WarmStart | None
) -> Bundle:
    """Join the trained members of a conditional plan."""
    noise = (LOWEST_NOISE, plan.settings.augmentation.highest_noise)
    config, weights = conditional_bundle(
        plan.name,
        _sizes(plan, recordings, start),
        members,
        recordings,
        rates_hz=(1.0, 120.0),
        noise_levels=noise,
        smoothing_s=plan.smoothing_s,
        record={"settings": _settings_record(plan), **({"remark": plan.remark} if plan.remark else {})},
    )
    return (config if start is None else start.described(config)), weights


def _sizes(plan: TrainingPlan, recordings: Sequence[KnownRecording], start: WarmStart | None) -> ConditionalSizes:
    """Sizes of the networks: those of the start, else those of the plan."""
    return conditional_sizes(recordings, plan.network) if start is None else start.sizes(recordings)


def conditional_sizes(recordings: Sequence[KnownRecording], network: Mapping[str, Any]) -> ConditionalSizes:
    """Sizes of a plan's network with a code for every indicator of the recordings."""
    codes = sorted({name for r in recordings for name in r.indicator_codes})
    return ConditionalSizes.from_network({**network, "indicators": tuple(codes)})


def _run_cascade(
    plan: TrainingPlan, recordings: Sequence[KnownRecording], folder: Path, progress: MemberProgress | None
) -> Bundle:
    """Train a family of published networks: one ensemble per noise level."""
    rate = float(plan.imaging_rate or 0)
    kernel = smoothing_kernel(plan.kernel, plan.smoothing_s, rate)
    rates = RateRange((rate, rate), (rate, rate), upsampling=np.inf)
    bank = make_bank(
        _on_one_clock(recordings, plan.clock_lag_s),
        lambda name: 0,
        np.random.default_rng(plan.settings.seed),
        rates=rates,
        versions=plan.versions,
        emphasis=plan.emphasis,
        frame_jitter=plan.frame_jitter,
    )
    arrays: dict[str, NDArray[np.float32]] = {}
    for member in range(plan.ensemble_size):
        before: TrainedNetwork | None = None
        for level in plan.noise_levels:
            label = f"noise{level:g}-member{member}"
            before = _train_cascade(
                plan,
                level,
                member,
                quiet_enough(bank, level),
                kernel,
                folder / label,
                before=before,
                progress=_labelled(progress, label),
            )
            for key, value in bundle_arrays(before.weights).items():
                arrays[f"{level:g}/{member}/{key}"] = value
    return _cascade_config(plan, rate, recordings), arrays


def _train_cascade(
    plan: TrainingPlan,
    level: float,
    member: int,
    bank: SegmentBank,
    kernel: NDArray[np.float64],
    folder: Path,
    *,
    before: TrainedNetwork | None,
    progress: StepProgress | None,
) -> TrainedNetwork:
    """Train one network for one noise level; ``before`` is that of the level before."""
    settings = replace(
        plan.member_settings(member),
        augmentation=replace(plan.settings.augmentation, noise_levels=(level, level), high_noise_share=0.0),
    )
    start = None
    if before is not None and plan.later_steps is not None:
        start = before.weights
        settings = replace(
            settings,
            n_steps=plan.later_steps,
            decay_steps=max(plan.later_steps // 2, 1),
            warmup_steps=min(settings.warmup_steps, plan.later_steps // 10),
        )

    def make() -> Trainee:
        return cascade_trainee({**CASCADE_NETWORK, **plan.network}, CASCADE_WINDOW, CASCADE_BEFORE, kernel)

    return finished_network(make, settings, folder) or train_network(
        make, bank, settings, folder, start=start, progress=progress
    )


def _on_one_clock(recordings: Sequence[KnownRecording], clock_lag_s: Mapping[str, float]) -> list[KnownRecording]:
    """Recordings with their spikes moved to where the fluorescence has them."""
    return [
        replace(
            recording,
            trials=tuple(
                replace(trial, spike_times=trial.spike_times + clock_lag_s[recording.dataset])
                for trial in recording.trials
            ),
        )
        if recording.dataset in clock_lag_s
        else recording
        for recording in recordings
    ]


def _settings_record(plan: TrainingPlan) -> dict[str, Any]:
    """What a bundle records of a plan's settings, JSON-able."""
    return {
        **asdict(plan.settings),
        "versions": plan.versions,
        "frame_jitter": plan.frame_jitter,
        "emphasis": dict(plan.emphasis),
        "clock_lag_s": dict(plan.clock_lag_s),
        **({"scale_shares": list(plan.scale_shares)} if plan.architecture == "conditional" else {}),
        **({"later_steps": plan.later_steps} if plan.later_steps is not None else {}),
    }


def _cascade_config(plan: TrainingPlan, rate: float, recordings: Sequence[KnownRecording]) -> ModelConfig:
    return ModelConfig(
        name=plan.name,
        version="1",
        architecture="cascade",
        model_rates_hz=(rate, rate),
        kernel=plan.kernel,
        smoothing_s=plan.smoothing_s,
        noise_levels=tuple(float(level) for level in plan.noise_levels),
        ensemble_size=plan.ensemble_size,
        window_size=CASCADE_WINDOW,
        before_frames=CASCADE_BEFORE,
        network={**CASCADE_NETWORK, **plan.network},
        training_datasets=tuple(sorted({r.dataset for r in recordings})),
        indicators=tuple(sorted({r.indicator for r in recordings})),
        extra={
            "dataset_sha256": dataset_hashes(recordings),
            "settings": _settings_record(plan),
            "packages": package_versions(),
        },
    )


def _bank(
    plan: TrainingPlan,
    recordings: Sequence[KnownRecording],
    sizes: ConditionalSizes,
    versions: int,
    seed: tuple[int, int],
) -> SegmentBank:
    generator = np.random.default_rng(seed)
    on_one_clock = _on_one_clock(recordings, plan.clock_lag_s)
    return make_bank(
        on_one_clock,
        sizes.indicator_code,
        generator,
        versions=versions,
        emphasis=plan.emphasis,
        frame_jitter=plan.frame_jitter,
    )


def _labelled(progress: MemberProgress | None, label: str) -> StepProgress | None:
    if progress is None:
        return None
    return lambda step, n_steps, losses: progress(label, step, n_steps, losses)
