"""What is asked of an inference and of its output: checked once; the same for Python, commands and manifests.

A new option is one field here. Its metadata, made by `asked`, is what the command line is generated from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nwb_cascade.core.config import KERNELS
from nwb_cascade.core.spike_total import SpikeTotal
from nwb_cascade.errors import InputError

if TYPE_CHECKING:
    from nwb_cascade.dff import DffMethod
    from nwb_cascade.models.bundle import Model


_Options = TypeVar("_Options", "InferenceOptions", "OutputOptions")
# What else the package knows by these names is not imported here, so that `--help` stays quick.
THRESHOLDS = ("nonnegative", "raw", "single-spike")
SCALES = ("fraction", "percent")
PRESETS = ("suite2p", "allen")
GUARDS = ("exclude", "restore-neuropil", "noise-floor")


def asked(default: Any, help: str, **how: Any) -> Any:
    """Return a field that can be asked for on the command line; ``how`` may say:

    ``flag``: its name there, where that is not the field's. ``metavar``: what its value is called. ``choices``: the
    values that it takes. ``number``: that it is one, or its lowest and highest value. ``flags``: for every value a flag
    of its own and what that means. ``of_source``: that it says how a source is read, so that a reader has to know it.
    """
    return field(default=default, metadata={"help": help, **how})


@dataclass(frozen=True)
class FromRaw:
    """How dF/F is computed from raw fluorescence; what is left out is what the recording states, else the default.

    Parameters
    ----------
    method : DffMethod, optional
        The whole method; instead of it, or to change it, the parameters below.
    preset : {"suite2p", "allen"}, optional
        Baseline as that pipeline computes it.
    neuropil : float, "fit" or "none", optional
        Share of the neuropil to subtract, or to fit it for every ROI. If it is given, neuropil that is missing is an
        error; else nothing is subtracted where there is none, and a note says so.
    neuropil_series : str, optional
        Name, path or object id of the neuropil traces, where the file holds several that could be meant.
    percentile, window_s, guard
        As for `nwb_cascade.dff.DffMethod`.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    method: DffMethod | None = None
    preset: str | None = asked(None, "Baseline as that pipeline computes it.", flag="dff-preset", choices=PRESETS)
    neuropil: float | Literal["fit", "none"] | None = asked(
        None,
        "Share of the neuropil to subtract, or one fitted per ROI [default: 0.7 or suite2p's; none if absent].",
        metavar="FACTOR|fit|none",
    )
    neuropil_series: str | None = asked(None, "Neuropil traces, where FILE holds several.", metavar="SERIES")
    percentile: float | None = asked(
        None, "Running percentile as the baseline [default: the rest level, free of noise].", number=(0, 100)
    )
    window_s: float | None = asked(
        None, "Length of the baseline's window [default: 180 s].", flag="window", metavar="S", number=True
    )
    guard: str | None = asked(None, "For ROIs whose baseline is near 0 or negative [default: exclude].", choices=GUARDS)

    def __post_init__(self) -> None:
        _check_choices(self)
        if self.method is not None and self.preset is not None:
            raise InputError("Expected either a method or a preset for dF/F, received both.")
        self.applied()

    @property
    def needs_neuropil(self) -> bool:
        """Whether neuropil that is missing is an error."""
        return self.neuropil not in (None, "none") or self.neuropil_series is not None

    def applied(self, stated_factor: float | None = None) -> DffMethod:
        """Return the method for a recording, which may state a neuropil factor of its own."""
        from nwb_cascade.dff import DffMethod

        made = {"suite2p": DffMethod.suite2p, "allen": DffMethod.allen, None: DffMethod}
        method = self.method or made[self.preset]()
        if self.method is None and stated_factor is not None and method.neuropil == "fixed":
            method = replace(method, neuropil_factor=stated_factor)
        changes: dict[str, Any] = {
            name: value for name in ("percentile", "window_s", "guard") if (value := getattr(self, name)) is not None
        }
        if self.percentile is not None:
            changes["baseline"] = "percentile"
        if self.neuropil in ("fit", "none"):
            changes["neuropil"] = "robust" if self.neuropil == "fit" else "none"
        elif self.neuropil is not None:
            changes |= {"neuropil": "fixed", "neuropil_factor": self.neuropil}
        return replace(method, **changes)


@dataclass(frozen=True)
class InferenceOptions:
    """All that decides which traces are read of a source and what is inferred from them.

    The parameters are those of `nwb_cascade.annotate`.

    Raises
    ------
    InputError
        If a value is none of those that its option takes.

    Examples
    --------
    >>> InferenceOptions(threshold="raw", ensemble_std=False).to_dict()
    {'threshold': 'raw', 'ensemble_std': False}
    >>> InferenceOptions.from_dict({"threshold": "raw"}) == InferenceOptions(threshold="raw")
    True
    """

    series: str | None = asked(
        None, "Name, path or object id of the dF/F series, where FILE holds several.", of_source=True
    )
    variable: str | None = asked(None, "Name of the matrix in a .mat file.", of_source=True)
    imaging_rate: float | None = asked(
        None, "For a series or matrix that states no rate.", metavar="HZ", number=True, of_source=True
    )
    scale: str | None = asked(None, "What 0.5 or 50 % look like in FILE.", choices=SCALES, of_source=True)
    from_raw: FromRaw | None = asked(
        None, "Compute dF/F from raw fluorescence; implied by suite2p folders.", of_source=True
    )
    mask_intervals: str | None = asked(
        None, "Table of intervals in FILE whose frames count as missing (blanked).", metavar="TABLE", of_source=True
    )
    rois: str | None = asked(
        None,
        "ROIs to infer from, by the usual or a named column of zeros and ones of their table; the others stay, "
        "without values [default: all, of suite2p the cells].",
        metavar="accepted|all|COLUMN",
        of_source=True,
    )
    one_photon: bool = asked(
        False, "Traces of a one-photon microscope: uncalibrated rates in no unit, without deviation."
    )
    model: str | PathLike[str] | Model = asked("auto", "The model.", metavar="auto|NAME|DIR")
    indicator: str | None = asked(
        None, "Calcium indicator, as in 'GCaMP6f (interneuron)' where the cells are these [default: as FILE states]."
    )
    species: str | None = asked(None, "Latin name of the species [default: as FILE states].")
    threshold: str = asked(
        "nonnegative",
        "What is done with small and negative values.",
        choices=THRESHOLDS,
    )
    legacy_alignment: bool = asked(False, "Values one frame early, as published by Cascade.")
    kernel: str | None = asked(None, "Smoothing, for models that take any.", choices=KERNELS)
    smoothing_s: float | None = asked(
        None,
        "Its standard deviation in seconds [default: the model's, 0.05 for the bundled one].",
        flag="smoothing",
        metavar="S",
        number=True,
    )
    noise_level: float | None = asked(
        None, "What the networks are told of every ROI [default: as its trace shows].", metavar="LEVEL", number=True
    )
    calibrate: str | PathLike[str] | None = asked(
        None, "Gain of the preparation, for counts and their intervals, as 'calibrate' wrote it.", metavar="FILE"
    )
    ensemble_std: bool = asked(True, "Store the ensemble's deviation.", flag="std")
    spikes: SpikeTotal | None = asked(
        None,
        "Discrete spikes.",
        flags={
            "conserved": ("spikes", "Discrete spikes as well, as many as the rates sum to."),
            "supported": ("supported-spikes", "Only spikes that the rates support."),
        },
    )
    run_name: str | None = asked(None, "Name of the new object [default: InferredSpikeRates].")

    def __post_init__(self) -> None:
        _check_choices(self)
        if not isinstance(self.from_raw, FromRaw | None):
            raise InputError(
                f"Expected from_raw as nwb_cascade.options.FromRaw(...) or None, received {self.from_raw!r}."
            )
        if self.imaging_rate is not None and not 0 < self.imaging_rate < float("inf"):
            raise InputError(f"Expected a positive imaging rate in Hz, received {self.imaging_rate!r}.")
        if self.noise_level is not None and not 0 < self.noise_level < float("inf"):
            raise InputError(f"Expected a positive noise level in % Hz^-1/2, received {self.noise_level!r}.")
        name = self.run_name
        if name is not None and (not name.strip() or "/" in name or ":" in name):
            raise InputError(f"Expected a run name that is not empty and has no '/' or ':', received {name!r}.")
        for name in ("model", "calibrate"):
            if isinstance(getattr(self, name), PathLike):
                object.__setattr__(self, name, os.fspath(getattr(self, name)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InferenceOptions:
        """Read what `to_dict` gave.

        Raises
        ------
        InputError
            If an option is unknown or has an impossible value.
        """
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"Expected options out of {', '.join(sorted(known))}, received {', '.join(unknown)}.")
        raw = values.get("from_raw")
        if raw is not None and raw.get("method") is not None:
            from nwb_cascade.dff import DffMethod

            raw = {**raw, "method": DffMethod(**raw["method"])}
        raw = None if raw is None else FromRaw(**raw)
        return cls(**{**values, "from_raw": raw})

    def told(self, indicator: str | None, species: str | None) -> InferenceOptions:
        """Return the options with what a recording states, where nothing else was asked for."""
        return replace(self, indicator=self.indicator or indicator, species=self.species or species)

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults as plain values for JSON; equal for equal options."""
        found: dict[str, Any] = {one.name: value for one, value in given(self)}
        if self.from_raw is not None:
            found["from_raw"] = {one.name: value for one, value in given(self.from_raw)}
            if self.from_raw.method is not None:
                found["from_raw"]["method"] = asdict(self.from_raw.method)
        if not isinstance(self.model, (str, PathLike)):
            found["model"] = self.model.config.name
        return found


@dataclass(frozen=True)
class OutputOptions:
    """Where a result goes, and what may be replaced there.

    The parameters are those of `nwb_cascade.annotate`.

    Raises
    ------
    InputError
        If options contradict each other.
    """

    output: str | PathLike[str] | None = asked(
        None, "File or folder of the result [default: beside FILE, or here].", metavar="OUT", short="-o"
    )
    sidecar: bool = asked(False, "Write a small file with results, session and ROIs instead of a copy.")
    in_place: bool = asked(False, "Add to FILE itself; a run that is killed leaves it as it was.")
    overwrite: bool = asked(False, "Replace a run or copy that was made otherwise.")
    dry_run: bool = asked(False, "Say what would be done, with which model and why; write nothing.")
    scratch_dir: str | PathLike[str] | None = asked(None, "Folder for temporary matrices.", folder=True)

    def __post_init__(self) -> None:
        if self.in_place and self.sidecar:
            raise InputError(NEVER_INSIDE)
        if self.in_place and self.output is not None:
            raise InputError(EITHER)


EITHER = "Expected either an output or in_place, received both."
NEVER_INSIDE = "--in-place does not apply to sidecars and remote files: their results go into files of their own."


def taken(kind: type[_Options], values: Mapping[str, Any]) -> _Options:
    """Return the object that values of its fields make, out of those of a whole call."""
    return kind(**{one.name: values[one.name] for one in fields(kind) if one.name in values})


def given(options: FromRaw | InferenceOptions | OutputOptions) -> Iterator[tuple[Field[Any], Any]]:
    """Yield the fields whose values are not the default, with these."""
    for one in fields(options):
        if (value := getattr(options, one.name)) != one.default:
            yield one, value


def words_of(options: FromRaw | InferenceOptions | OutputOptions) -> tuple[str, ...] | None:
    """Return what differs from the defaults as words of a command line; None if that can only be said in Python.

    Examples
    --------
    >>> words_of(InferenceOptions(from_raw=FromRaw(neuropil="fit"), smoothing_s=0.1, spikes="conserved"))
    ('--from-raw', '--neuropil', 'fit', '--smoothing', '0.1', '--spikes')
    """
    words: list[str] = []
    for one, value in given(options):
        flag, how = flag_of(one), one.metadata
        if isinstance(value, FromRaw):
            parts = words_of(value)
            if parts is None:
                return None
            words += [flag, *parts]
        elif not how or not isinstance(value, (str, float, int, PathLike)):
            return None
        elif "flags" in how:
            words.append(f"--{how['flags'][value][0]}")
        elif isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, str(value)]
    return tuple(words)


def flag_of(one: Field[Any]) -> str:
    """Return what an option is called on the command line."""
    return f"--{one.metadata.get('flag', one.name.replace('_', '-'))}"


def _check_choices(options: FromRaw | InferenceOptions | OutputOptions) -> None:
    """Raise if a value is none of those that its option takes."""
    for one, value in given(options):
        choices = one.metadata.get("choices") or one.metadata.get("flags")
        if choices and value not in choices:
            raise InputError(f"Expected {one.name} out of {', '.join(choices)}, received {value!r}.")
