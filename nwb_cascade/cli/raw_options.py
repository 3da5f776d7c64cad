"""Options of ``infer`` for raw fluorescence: how dF/F is computed from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nwb_cascade.dff import DffMethod

PRESETS = ("suite2p", "allen")
GUARDS = ("exclude", "restore-neuropil", "noise-floor")
NAMES = ("dff_preset", "neuropil", "neuropil_series", "percentile", "window_s", "guard")

_OPTIONS = (
    click.option("--from-raw", is_flag=True, help="Compute dF/F from raw fluorescence; implied by suite2p folders."),
    click.option("--dff-preset", type=click.Choice(PRESETS), help="Baseline as that pipeline computes it."),
    click.option(
        "--neuropil",
        metavar="FACTOR|fit|none",
        help="Share of the neuropil to subtract, or one fitted per ROI [default: 0.7 or suite2p's; none if absent].",
    ),
    click.option("--neuropil-series", metavar="SERIES", help="Neuropil traces, where FILE holds several."),
    click.option(
        "--percentile", type=click.FloatRange(0, 100), help="Running percentile of the baseline [default: 8]."
    ),
    click.option("--window", "window_s", metavar="S", type=float, help="Length of its window [default: 60 s]."),
    click.option(
        "--guard", type=click.Choice(GUARDS), help="For ROIs whose baseline is near 0 or negative [default: exclude]."
    ),
)


def raw_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_raw_options(options: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Take the options out of a command's: whether dF/F is to be computed, and those that were given."""
    wanted = options.pop("from_raw")
    given = {name: value for name in NAMES if (value := options.pop(name)) is not None}
    return wanted, given


def dff_method(given: dict[str, Any], *, neuropil_factor: float | None = None) -> DffMethod:
    """Return the method that the options ask for; ``neuropil_factor`` is what the recording itself states.

    Raises
    ------
    click.UsageError
        If ``--neuropil`` is no factor.
    InputError
        If a number is out of its range.
    """
    from dataclasses import replace

    from nwb_cascade.dff import DffMethod

    presets = {"suite2p": DffMethod.suite2p, "allen": DffMethod.allen, None: DffMethod}
    method = presets[given.get("dff_preset")]()
    if neuropil_factor is not None and method.neuropil == "fixed":
        method = replace(method, neuropil_factor=neuropil_factor)
    changes: dict[str, Any] = {name: given[name] for name in ("percentile", "window_s", "guard") if name in given}
    if "percentile" in changes:
        changes["baseline"] = "percentile"
    neuropil = given.get("neuropil")
    if neuropil in ("fit", "none"):
        changes["neuropil"] = "robust" if neuropil == "fit" else "none"
    elif neuropil is not None:
        changes |= {"neuropil": "fixed", "neuropil_factor": _factor(neuropil)}
    return replace(method, **changes)


def needs_neuropil(given: dict[str, Any]) -> bool:
    """Tell whether the options name a neuropil that has to be there."""
    return given.get("neuropil") not in (None, "none") or "neuropil_series" in given


def _factor(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise click.UsageError(f"Expected --neuropil as a number, 'fit' or 'none', received {text!r}.") from error
