"""Vectors for the tests of the browser app: inputs, and what this package gives for them."""

from __future__ import annotations

import base64
import io
import pickle
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.indicators import canonical_indicator
from nwb_cascade import infer
from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.kernels import gaussian_kernel, smooth
from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.noise_changes import noise_changes
from nwb_cascade.core.rest_level import tell_block
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.dff import DffMethod, compute_dff
from nwb_cascade.inference import infer_blocks
from nwb_cascade.inference_run import prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.nwb.classify import Sample, judge_scale, kind_of_words
from nwb_cascade.nwb.timing import by_timestamps
from nwb_cascade.options import InferenceOptions

NAMES = (
    "DfOverFEvents",
    "f_corrected_chn0",
    "ΔF/F",
    "plane0",
    "dff_traces",
    "denoised_dff",
    "Neuropil",
    "RoiResponseSeries",
)
SPELLINGS = ("AAV1-hSyn-jGCaMP8m-WPRE", "GCaMP 6s (slow)", "gcamp6f", "OGB1", "nothing known", "", "Cal-520 AM", "GC8s")


def recordings() -> dict[str, tuple[NDArray[np.float32], float, str | None, str | None]]:
    """Traces with all that the rules look at, seeded: name to dF/F, rate, indicator and species."""
    rng = np.random.default_rng(7)
    n_frames, rate = 4200, 30.0
    decay = np.exp(-np.arange(90) / 15)
    spikes = rng.poisson(0.5 / rate, (10, n_frames)) * 0.4
    dff = np.array([np.convolve(one, decay)[:n_frames] for one in spikes]) + rng.normal(0, 0.12, spikes.shape)
    dff[1, 500:540] = np.nan
    dff[2, -900:] = 0.0
    dff[3] = 0.25
    dff[4] = np.nan
    dff[5, 2400:] += rng.normal(0, 0.6, n_frames - 2400)
    dff[6] *= 100.0
    dff[7] = np.convolve(dff[7], np.ones(5) / 5, "same")
    dff[8] += np.linspace(0, 3, n_frames)
    dff[9] = dff[9] + 1.0
    seconds = np.arange(n_frames) / rate
    quiet = rng.normal(0, 0.12, (8, n_frames))
    quiet[0] += 0.6 * np.sin(2 * np.pi * 0.25 * seconds)
    quiet[1] = dff[0] - 0.004 * seconds
    quiet[2] = dff[0] + 0.8 * (seconds > 60)
    quiet[3] = np.minimum(dff[0], 0.4)
    quiet[4] = dff[0] * np.linspace(1, 1.9, n_frames)
    quiet[5] = np.convolve(dff[0], np.ones(9) / 9, "same")
    quiet[6] = np.linspace(0.9, 1.4, n_frames) * (1 + dff[0]) - 1
    dff = np.concatenate([dff, quiet])
    slow = np.array([np.convolve(one, decay[::4])[:700] for one in rng.poisson(0.1, (3, 700)) * 0.5])
    slow += rng.normal(0, 0.1, slow.shape)
    slow[0, ::3] = np.nan
    shared = rng.normal(0, 0.1, (12, 2400)) + np.convolve(rng.normal(0, 1, 2400), np.ones(120) / 12, "same") / 4
    return {
        "shared": (shared.astype(np.float32), rate, None, None),
        "population": (dff.astype(np.float32), rate, "jGCaMP8m", None),
        "slow": (slow.astype(np.float32), 7.5, "OGB-1", "Danio rerio"),
        "interneurons": (slow.astype(np.float32), 15.0, "GCaMP6f, interneurons", None),
        "long": (np.tile(dff[:1], (1, 5)).astype(np.float32)[:, :20_011], 12.3, None, None),
    }


def clocks() -> dict[str, NDArray[np.float64]]:
    """Times of frames as recordings have them, s: name to (n_frames,)."""
    rng = np.random.default_rng(11)
    even = 100 + np.arange(2400) / 30
    jitter, jumpy, odd = (rng.normal(0, share, even.size) / 30 for share in (0.08, 0.2, 0.4))
    paused, trials, dropped, doubled, back, unknown = (even.copy() for _ in range(6))
    paused[900:] += 12
    for trial in range(1, 12):
        trials[200 * trial :] += 5 + trial / 7
    dropped = np.delete(even, [300, 301, 700, 1500, 1501, 1502, 1503])
    doubled[500], doubled[1200], doubled[1201] = doubled[499], doubled[1300], doubled[1100]
    back[1000:] -= 40
    unknown[[0, 7, 8, 2399]] = np.nan
    slower = np.concatenate([even[:1000], even[999] + np.arange(1, 801) / 15.2])
    nearly = np.concatenate([even[:1200], even[1199] + np.arange(1, 1201) / 27.6])
    return {
        "even": even,
        "milliseconds": np.round(even, 3),
        "jitter": even + jitter,
        "jumpy": even + jumpy,
        "odd": even + odd,
        "paused": paused,
        "paused, with jitter": paused + jitter,
        "trials": trials,
        "dropped": dropped,
        "dropped, with jitter": dropped + jitter[: dropped.size],
        "doubled": doubled,
        "back": back,
        "unknown": unknown,
        "slower": slower,
        "nearly": nearly,
        "turns": np.cumsum(np.tile([0.02, 0.045], 600)),
        "short": np.array([0.0, 0.1, 0.2, 0.4, 0.5, 9.0, 9.1]),
        "constant": np.zeros(9),
        "one": np.array([3.0]),
        "epoch": 1.6e9 + trials,
    }


def clock_vectors() -> list[dict[str, Any]]:
    """Times of frames and the stretches that this package sees in them."""
    found = []
    for name, times in clocks().items():
        timing = by_timestamps(times, times.size)
        clock = timing.clock
        told = {} if clock is None else {"record": clock.record(), "notes": clock.notes, "rate": clock.imaging_rate}
        exact = base64.b64encode(times.tobytes()).decode()
        found.append({"name": name, "times": exact, "why": timing.why, **told})
    return found


def raw_vectors() -> list[dict[str, Any]]:
    """Fluorescence, neuropil and the dF/F that this package makes of them by default."""
    rng = np.random.default_rng(5)
    dff = recordings()["population"][0][:6, :3000]
    seconds = np.arange(dff.shape[1]) / 30
    neuropil = 300 + 40 * np.sin(seconds / 9) + rng.normal(0, 5, dff.shape)
    fluorescence = 800 * np.exp(-seconds / 400) * (1 + np.nan_to_num(dff[0])) + 0.7 * neuropil
    fluorescence[1] *= 1 + dff[1]
    fluorescence[2, :40], fluorescence[2, 2000:2003], neuropil[2, 77] = np.nan, np.nan, np.nan
    fluorescence[3] -= 900
    fluorescence[4] = np.nan
    found = []
    for name in ("even", "trials", "slower"):
        times = clocks()[name]
        clock = FrameClock.from_timestamps(times[: dff.shape[1]])
        for method in (DffMethod(), DffMethod(neuropil="none"), DffMethod(neuropil_factor=0.4, window_s=20.0)):
            raw, around = (np.asarray(x[:, : clock.n_frames], np.float32) for x in (fluorescence, neuropil))
            made = compute_dff(raw, clock.imaging_rate, method, neuropil=around, stretches=clock.stretches)
            texts = made.explanations()
            found.append(
                {
                    "clock": name,
                    "n_frames": clock.n_frames,
                    "method": asdict(method),
                    "described": method.describe(),
                    "fluorescence": _packed(raw),
                    "neuropil": _packed(around),
                    "dff": _packed(made.dff),
                    "notes": [
                        [[f"dff-{code}", texts[roi]]] if roi in texts else [] for roi, code in enumerate(made.outcomes)
                    ],
                }
            )
    return found


def pickled_vectors() -> list[dict[str, Any]]:
    """Settings of suite2p as NumPy saves them, with every protocol that it has used."""
    ops = {"fs": 7.5, "neucoeff": np.float32(0.5), "badframes": np.arange(9) % 4 == 0, "diameter": [12, -3, 10**12]}
    settings = np.empty((), object)
    settings[()] = ops | {"date_proc": datetime(2020, 1, 1), "save_path": Path("a"), "mean": np.ones((2, 3)), "é": None}
    found = []
    for protocol in range(2, 6):
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(settings))
        pickle.dump(settings, file, protocol=protocol)
        found.append({"protocol": protocol, "content": base64.b64encode(file.getvalue()).decode()})
    return found


def uneven_vectors(model: Model) -> dict[str, Any]:
    """Recordings whose frames are not even, and what this package gives for them."""
    population = recordings()["population"][0]
    found = {}
    for name in ("paused", "trials", "dropped", "slower", "jumpy", "masked"):
        clock = FrameClock.from_timestamps(clocks()["trials" if name == "masked" else name])
        if name == "masked":
            times = clock.frame_times
            clock = clock.without((times > 110) & (times < 118.5), "they lie in invalid_times")
        dff = np.ascontiguousarray(population[[0, 1, 2, 5, 9], 2400 - 1600 :][:, : clock.n_frames])
        run = prepare_run(clock.imaging_rate, InferenceOptions(model=model, indicator="jGCaMP8m"))
        (block,) = infer_blocks(DffTraces.from_array(dff, clock.imaging_rate), run, clock)
        missing = [] if clock.missing is None else np.flatnonzero(clock.missing).tolist()
        found[name] = {
            "conditions": ConditionalSizes.from_network(model.config.network).conditions,
            "n_rois": len(dff),
            "n_frames": dff.shape[1],
            "times": base64.b64encode(clock.frame_times.tobytes()).decode(),
            "missing": missing,
            "indicator": "jGCaMP8m",
            "species": None,
            "dff": _packed(dff),
            "expected_spikes": _packed(block.expected_spikes),
            "ensemble_std": _packed(block.ensemble_std),
            "noise_levels": _packed(block.noise_levels),
            "model_noise_levels": _packed(block.model_noise_levels),
            "valid_frames": block.valid_frames.tolist(),
            "warnings": [[one.roi, one.code, one.message] for one in block.warnings],
        }
    return found


def recording_vectors(model: Model, another: Model) -> dict[str, Any]:
    """Recordings with even frames, by both numbers of conditions."""
    made = {}
    asked = [(name, one, model) for name, one in recordings().items()]
    asked += [(f"{name}, other conditions", one, another) for name, one, _ in asked]
    for name, (dff, rate, indicator, species), which in asked:
        result = infer(dff, rate, model=which, indicator=indicator, species=species)
        told = tell_block(dff, rate)
        counts = result.spike_counts(window_s=None) if which is model else None
        made[name] = {
            "counts": counts
            and [
                [float(value) if np.isfinite(value) else None for value in row]
                for row in np.hstack([counts.expected, counts.lower, counts.upper])
            ],
            "conditions": ConditionalSizes.from_network(which.config.network).conditions,
            "n_rois": len(dff),
            "n_frames": dff.shape[1],
            "imaging_rate": rate,
            "indicator": indicator,
            "species": species,
            "dff": _packed(dff),
            "expected_spikes": _packed(result.expected_spikes),
            "ensemble_std": _packed(result.ensemble_std),
            "noise_levels": _packed(result.noise_levels),
            "trace_noise_levels": _packed(noise_level(dff, rate)),
            "rest_first": _packed(told.first),
            "rest_moves": _packed(told.step * dff.shape[1]),
            "activity": _packed(told.activity),
            "model_noise_levels": _packed(result.model_noise_levels),
            "valid_frames": result.valid_frames.tolist(),
            "warnings": [[one.roi, one.code, one.message] for one in result.warnings],
            "changes": [list(one) for one in noise_changes(dff, rate)],
        }
    return made


def smoothed_vectors() -> list[dict[str, Any]]:
    """Values and what the Gaussian makes of them."""
    rng = np.random.default_rng(3)
    short = rng.normal(0, 1, 12)
    gappy = np.where(np.arange(60) % 7 == 3, np.nan, rng.normal(0, 1, 60))
    return [
        {
            "values": _packed(x),
            "rate": rate,
            "smoothing_s": s,
            "smoothed": _packed(smooth(x, kernel=gaussian_kernel(s, rate))),
        }
        for x, rate, s in ((short, 30.0, 0.05), (gappy, 30.0, 0.05), (short, 20.0, 0.4), (short, 30.0, 0.0))
    ]


def scale_vectors() -> list[dict[str, Any]]:
    """Windows of traces and the scale that they are taken to have."""
    samples = [(dff, rate, unit) for dff, rate, _, _ in recordings().values() for unit in ("n.a.", "%")]
    samples += [(np.abs(dff) * 100 + 300, rate, "n.a.") for dff, rate, _ in samples[:1]]
    samples += [(dff * 100, rate, "lumens") for dff, rate, _ in samples[:1]]
    scales = []
    for values, rate, unit in samples:
        window = values[:8, :1000]
        judged = judge_scale(Sample.of(window, rate), unit)
        scales.append(
            {"values": _packed(window), "n_frames": window.shape[1], "rate": rate, "unit": unit, **asdict(judged)}
        )
    return scales


def vectors(model: Model, another: Model) -> dict[str, Any]:
    """Inputs and what this package gives for them."""
    return {
        "recordings": recording_vectors(model, another),
        "clocks": clock_vectors(),
        "pickled": pickled_vectors(),
        "raw": raw_vectors(),
        "uneven": uneven_vectors(model),
        "smoothed": smoothed_vectors(),
        "scales": scale_vectors(),
        "kinds": {name: kind_of_words(name) for name in NAMES},
        "canonical": {text: canonical_indicator(text) for text in SPELLINGS},
    }


def _packed(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()
