"""Models for other runtimes: one ONNX file each, compared with the engine before it appears."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Portable
from nwb_cascade.architectures.backend import writing_in
from nwb_cascade.architectures.registry import architecture_of, build_networks
from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.rest_level import tell_block
from nwb_cascade.errors import InputError
from nwb_cascade.files.replace import install, stamp, workplace
from nwb_cascade.models.bundle import Model

TRACE, OUTPUT = "trace", "expected_spikes"
LARGEST_DIFFERENCE = 1e-5  # in expected spikes per frame, or as a share of more than one
CHECKED_FRAMES, CHECKED_RATES = 1003, 3
# For networks that are told any level. At 1 Hz, rounding alone gives 9e-6 at 2 % Hz^-1/2, and 7e-5 at 0.3.
CHECKED_LEVELS = (4.0, 8.0)
SUFFIX = ".onnx"


def export_onnx(model: Model, path: str | os.PathLike[str], *, overwrite: bool = False) -> float:
    """Write a model as an ONNX file that takes any number of rows of any length.

    Its input ``trace`` is (batch, n) float32, dF/F as a fraction; what else it is told, and what the output
    ``expected_spikes`` (members, batch, n_out) means, stands in its metadata. Averages, smoothing and thresholds over
    that are ``nwb_cascade.core``'s.

    Parameters
    ----------
    model : Model
        Of any architecture.
    path : path
        Of the file, which ends in ``.onnx``; it appears complete and checked, or not at all.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    float
        Largest difference from the engine, in expected spikes per frame or, of more than one, as a share of them: over
        seeded traces of usual noise, at the ends and the middle of the rates that the model was trained for.

    Raises
    ------
    InputError
        If the name does not end in ``.onnx``.
    FileExistsError
        If there is a file and ``overwrite`` is not set.
    ImportError
        Naming the extra, if onnx or onnxruntime is not installed.
    ArithmeticError
        If the file gives other numbers than the engine.
    """
    target = Path(path)
    if target.suffix.lower() != SUFFIX or target.is_dir():
        raise InputError(f"Expected the path of a file that ends in {SUFFIX}, received {target}.")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists already; pass overwrite=True (--overwrite) to replace it.")
    on_onnx, runtime = _required()
    before = stamp(target)
    with writing_in(on_onnx):
        portable = architecture_of(model.config).portable(model.config, model.weights)
        content = _content(on_onnx, portable, _told(model, portable))
    difference = _difference(model, portable, runtime.InferenceSession(content, providers=["CPUExecutionProvider"]))
    if not difference <= LARGEST_DIFFERENCE:
        raise ArithmeticError(
            f"Expected the file to give the engine's numbers to {LARGEST_DIFFERENCE:g} expected spikes per frame, "
            f"received a difference of {difference:.2g} for {model.config.name}; nothing was written. Please report it."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with workplace(target) as work:
        prepared = work / target.name
        prepared.write_bytes(content)
        install(prepared, target, expected=before)
    return difference


def _required() -> tuple[ModuleType, ModuleType]:
    """The operations that write ONNX, and the runtime that checks them."""
    try:
        import onnxruntime

        from nwb_cascade.architectures import on_onnx
    except ImportError as error:
        raise ImportError("ONNX files need onnx and onnxruntime: pip install 'nwb-cascade[onnx]'.") from error
    return on_onnx, onnxruntime


def _content(ops: Any, portable: Portable, told: dict[str, str]) -> bytes:
    """The file: rows are lengthened as the networks need it, which their outputs do not show."""
    graph = ops.Graph()
    rows, described = ops.argument(graph, TRACE, "float32", (None, None))
    given = {name: ops.argument(graph, name, one.dtype, one.shape) for name, (one, _) in portable.inputs.items()}
    longer = ops.lengthened(rows, portable.padding, portable.stride, np.nan if portable.is_told_missing else 0)
    inputs = {TRACE: longer, **{name: symbol for name, (symbol, _) in given.items()}}
    if portable.is_told_missing:
        inputs["present"], inputs[TRACE] = ops.present_and_filled(longer)
    outputs = [
        ops.shortened(portable.evaluate(member, inputs), rows, portable.window_size - 1) for member in portable.members
    ]
    return ops.model(graph, [described, *(one for _, one in given.values())], ops.members(outputs, OUTPUT), told)  # type: ignore[no-any-return]


def _told(model: Model, portable: Portable) -> dict[str, str]:
    """What the file says of itself."""
    config = model.config
    missing = "NaN where a frame is missing" if portable.is_told_missing else "without NaN"
    lost = f"n - {portable.window_size - 1}" if portable.window_size > 1 else "n"
    inputs = {
        TRACE: f"(batch, n) float32: dF/F as a fraction (0.5 is 50 %), {missing}.",
        **{name: f"{_written(one.shape)} {one.dtype}: {told}" for name, (one, told) in portable.inputs.items()},
    }
    taken = "not smoothed" if architecture_of(config).takes_any_kernel else f"smoothed, {config.smoothing_s:g} s"
    output = (
        f"({config.ensemble_size} members, batch, {lost}) float32: expected spikes per frame, {taken}; the first "
        f"stands at frame {portable.before}. The mean over members is the result, their standard deviation its spread."
    )
    described = {key: value for key, value in asdict(config).items() if key != "extra"}
    return {
        "model": config.name,
        "version": config.version,
        "weights_sha256": model.sha256,
        "licence": config.licence,
        "citation": config.citation,
        **{f"input:{name}": told for name, told in inputs.items()},
        f"output:{OUTPUT}": output,
        "config": json.dumps(described, sort_keys=True),
    }


def _written(shape: tuple[int | None, ...]) -> str:
    sizes = ["batch" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _traces(rng: np.random.Generator, shape: tuple[int, int], level: float, rate: float) -> NDArray[np.float32]:
    """Transients of half a second, of a third in dF/F and their multiples, in noise of this level."""
    decay = np.exp(-np.arange(np.ceil(3 * rate)) / (0.5 * rate))
    spikes = rng.poisson(min(0.5 / rate, 0.3), shape) / 3
    rows = np.array([np.convolve(one, decay)[: shape[1]] for one in spikes])
    return np.asarray(rows + rng.normal(0, noise_std(level, rate), shape), np.float32)


def _difference(model: Model, portable: Portable, session: Any) -> float:
    """Largest difference between a file and the engine, over noise levels, rates and indicators."""
    config, rng = model.config, np.random.default_rng(0)
    rates = np.geomspace(*config.model_rates_hz, CHECKED_RATES if architecture_of(config).is_told_rate else 1)
    levels = config.noise_levels if architecture_of(config).network_per_level else CHECKED_LEVELS
    codes = (None, *config.indicators[:2]) if architecture_of(config).is_told_rate else (None,)
    largest = 0.0
    for rate, level, indicator in product(rates.tolist(), levels, codes):
        rows = _traces(rng, (2, CHECKED_FRAMES + portable.window_size), level, rate)
        present = np.ones(rows.shape, bool)
        if portable.is_told_missing:
            present[0, 100:120] = present[1, -5:] = False
        noise = np.full(len(rows), level, np.float32)
        activity = tell_block(rows, rate).activity
        told = portable.arrays(noise, activity, rate, indicator)
        (received,) = session.run([OUTPUT], {TRACE: np.where(present, rows, np.float32(np.nan)), **told})
        ensemble = build_networks(config, model.weights, imaging_rate=rate, indicator=indicator).ensemble(level)
        context = ((0, 0), (ensemble.before, ensemble.after)) if ensemble.fills_edges else ((0, 0), (0, 0))
        expected = ensemble(np.pad(rows, context), np.pad(present, context), noise, activity)
        difference = np.abs(received - expected) / np.maximum(np.abs(expected), 1)
        largest = max(largest, float(difference[:, present[:, : received.shape[2]]].max()))
    return largest
