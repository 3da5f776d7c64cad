"""Traces of one-photon microscopes: refused unless they are asked for, then marked as uncalibrated."""

from __future__ import annotations

from dataclasses import replace

from nwb_cascade.dff.one_photon import OneScale
from nwb_cascade.errors import OnePhotonError
from nwb_cascade.nwb.candidate import ARBITRARY
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.recording import Recording

UNCALIBRATED = (
    "Uncalibrated: of one-photon traces nobody knows the baseline of a cell, so that there is no dF/F. Every ROI was "
    "brought to one scale: its values follow its activity, but are no spikes per frame, and ROIs cannot be compared."
)


def require_one_photon(where: str, why: str, options: InferenceOptions) -> None:
    """Raise OnePhotonError unless one-photon traces were asked for.

    Parameters
    ----------
    where : str
        The series or file, for the message.
    why : str
        By what it is known that the traces come from a one-photon microscope.
    options : InferenceOptions
        What was asked for.
    """
    if not options.one_photon:
        raise OnePhotonError(
            f"Expected two-photon dF/F, but {where} comes from a one-photon microscope ({why}): its light from out of "
            "focus hides the baseline of a cell, so that there is no dF/F and no model is calibrated for it. Infer "
            "uncalibrated rates with one_photon=True (--one-photon)."
        )


def scale_of(options: InferenceOptions) -> str | None:
    """Return the scale that values are read on: as asked for, or whatever they are where they get one of ours."""
    return ARBITRARY if options.scale is None and options.one_photon else options.scale


def uncalibrated(recording: Recording) -> Recording:
    """Return a recording whose traces are on one scale, and which says so."""
    traces = recording.traces
    scaled = OneScale(traces.dff, traces.imaging_rate)
    return replace(
        recording,
        traces=replace(traces, dff=scaled),
        content={**recording.content, "one_photon": scaled.record()},
        notes=(*recording.notes, UNCALIBRATED),
        uncalibrated=UNCALIBRATED,
    )
