"""DffMethod: every choice on the way from raw fluorescence to dF/F, frozen, with an exact JSON round trip."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np

from nwb_cascade.errors import InputError

NEUROPIL_CHOICES = ("none", "fixed", "robust")
BASELINE_CHOICES = ("rest", "percentile", "maximin")
GUARD_CHOICES = ("exclude", "restore-neuropil", "noise-floor")


@dataclass(frozen=True)
class DffMethod:
    """How raw fluorescence becomes dF/F; all of it is kept with the result.

    ``dff = (F - factor * Fneu - baseline) / baseline``, the baseline running along ``F - factor * Fneu``.

    Parameters
    ----------
    neuropil : {"fixed", "robust", "none"}
        ``fixed``: subtract ``neuropil_factor`` times the neuropil. ``robust``: fit the factor of every ROI, from 0
        to 1, by bisquare regression of its fluorescence on its neuropil after both lost their slow trends;
        transients count as outliers. ``none``: leave the fluorescence as it is.
    neuropil_factor : float
        Used by ``fixed``. 0.7 is suite2p's default.
    baseline : {"rest", "percentile", "maximin"}
        ``rest``: the running 15th percentile of means over one second, raised by what noise lowers it by, over
        ``window_s``: dF/F rests at 0 whatever the noise. ``percentile``: the running ``percentile``; below 50 it lies
        in the noise, so that dF/F rests above 0. ``maximin``: smooth with a Gaussian of
        ``smoothing_frames``, take the running minimum, then the running maximum of it over ``window_s`` (suite2p).
    percentile : float
        From 0 to 100. 50 with 180 s is AllenSDK's windowed median.
    window_s : float
        Length of the running window, s. Longer than the trace: one baseline value for the whole trace.
    smoothing_frames : float
        Standard deviation of the Gaussian before ``maximin``, frames, as in suite2p.
    offset : float
        Added to the raw fluorescence of all ROIs first, to undo an offset that the recording subtracted.
    guard : {"exclude", "restore-neuropil", "noise-floor"}
        What happens to ROIs whose lowest baseline is not above ``least_baseline``. ``exclude``: their dF/F is NaN.
        ``restore-neuropil``: the median of the subtracted neuropil is added back, so that only its changes are
        removed; what is still too low is excluded. ``noise-floor``: the divisor is at least the noise's standard
        deviation (as in AllenSDK).
    least_baseline : float
        Fraction of the ROI's median raw fluorescence that its baseline must exceed.

    Raises
    ------
    InputError
        If a value is not one of those named or out of its range.
    """

    neuropil: Literal["fixed", "robust", "none"] = "fixed"
    neuropil_factor: float = 0.7
    baseline: Literal["rest", "percentile", "maximin"] = "rest"
    percentile: float = 8.0
    window_s: float = 180.0
    smoothing_frames: float = 10.0
    offset: float = 0.0
    guard: Literal["exclude", "restore-neuropil", "noise-floor"] = "exclude"
    least_baseline: float = 0.05

    def __post_init__(self) -> None:
        for name, choices in (("neuropil", NEUROPIL_CHOICES), ("baseline", BASELINE_CHOICES), ("guard", GUARD_CHOICES)):
            if getattr(self, name) not in choices:
                raise InputError(f"Expected {name} out of {', '.join(choices)}, received {getattr(self, name)!r}.")
        for name, low, high in (
            ("neuropil_factor", 0.0, 2.0),
            ("percentile", 0.0, 100.0),
            ("window_s", 0.0, np.inf),
            ("smoothing_frames", 0.0, np.inf),
            ("offset", -np.inf, np.inf),
            ("least_baseline", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and np.isfinite(value) and low <= value <= high):
                raise InputError(f"Expected {name} as a finite number from {low:g} to {high:g}, received {value!r}.")
        if self.baseline != "percentile" and self.percentile != type(self).percentile:
            raise InputError(
                f"Expected no percentile with baseline {self.baseline!r}, received {self.percentile:g}; pass "
                "baseline='percentile' with it."
            )
        if self.window_s == 0:
            raise InputError("Expected window_s > 0, received 0.")

    @classmethod
    def suite2p(cls, neuropil_factor: float = 0.7, window_s: float = 60.0) -> DffMethod:
        """Baseline and neuropil as suite2p prepares its deconvolution (which subtracts but does not divide)."""
        return cls(neuropil_factor=neuropil_factor, baseline="maximin", window_s=window_s)

    @classmethod
    def allen(cls) -> DffMethod:
        """Windowed median of 180 s and noise floor, on neuropil-corrected traces, as in AllenSDK's dF/F.

        AllenSDK's second step, subtracting a median over 101 frames, is left out: it removes part of long transients.
        """
        return cls(neuropil="none", baseline="percentile", percentile=50.0, guard="noise-floor")

    def describe(self) -> str:
        """Return the method in a few words.

        Examples
        --------
        >>> DffMethod().describe()
        'F - 0.7 neuropil, running rest level over 180 s, guard exclude'
        """
        neuropil = {
            "none": "F without neuropil subtraction",
            "fixed": f"F - {self.neuropil_factor:g} neuropil",
            "robust": "F - a fitted share of the neuropil",
        }[self.neuropil]
        named = {
            "rest": "rest level",
            "percentile": f"percentile {self.percentile:g}",
            "maximin": "minimum and maximum",
        }
        baseline = named[self.baseline]
        offset = f", {self.offset:+g} added first" if self.offset else ""
        return f"{neuropil}{offset}, running {baseline} over {self.window_s:g} s, guard {self.guard}"

    def to_json(self) -> str:
        """JSON text with sorted keys; ``from_json`` gives an equal object back."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> DffMethod:
        """Read what ``to_json`` wrote.

        Raises
        ------
        InputError
            If the text is not a JSON object of these fields.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"Expected a dF/F method as JSON, received text that fails: {error}.") from error
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) - names:
            raise InputError(f"Expected a JSON object with fields out of {sorted(names)}, received {text[:200]!r}.")
        return cls(**values)
