"""Recording: what there is to know of traces that spikes are inferred from, whatever they are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.dff import DffRows

if TYPE_CHECKING:
    from pynwb import NWBFile

    from nwb_cascade.nwb.access import Access
    from nwb_cascade.nwb.candidate import Candidate


@dataclass(frozen=True, eq=False)
class MadeDff:
    """How dF/F is computed from raw fluorescence: by ``rows``, when it is read; ``record`` is what is kept of it."""

    rows: DffRows
    record: Mapping[str, Any]

    def describe(self) -> str:
        """Return the method in a few words."""
        return self.rows.method.describe()


@dataclass(frozen=True, eq=False)
class NwbPart:
    """Where the traces lie in an open NWB file, and how that is read."""

    nwbfile: NWBFile
    access: Access
    series: Candidate


@dataclass(frozen=True, eq=False)
class Recording:
    """Traces of one series, with what is known of them; valid as long as their reader keeps them open.

    Parameters
    ----------
    name : str
        Path or address of what they are read from.
    traces : DffTraces
        Read when they are asked for; ``source`` is kept as their provenance.
    clock : FrameClock
        When the frames were.
    content : mapping
        What identifies the traces in the key of a run: equal for equal traces, whatever the file is called.
    series : str
        Path of the series in its file, name of the variable, or nothing.
    indicator, species : str or None
        As stated.
    dff : MadeDff or None
        How dF/F is computed; None if it is stored.
    notes : tuple of str
        What to know about the traces, one sentence each.
    uncalibrated : str
        Why the rates have no unit, in a sentence; empty if they are calibrated.
    label : str
        What tells the series from others like it in its source; empty if there are none.
    nwb : NwbPart or None
        The file for outputs that take over parts of it; None if it is not NWB.
    is_private : bool
        Whether it is remote and not everybody may read it, so that its results are the user's alone.
    """

    name: str
    traces: DffTraces
    clock: FrameClock
    content: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""
    indicator: str | None = None
    species: str | None = None
    dff: MadeDff | None = None
    notes: tuple[str, ...] = ()
    uncalibrated: str = ""
    label: str = ""
    nwb: NwbPart | None = None
    is_private: bool = False

    def roi_warnings(self) -> tuple[RoiWarning, ...]:
        """Return what became known of single ROIs while their traces were read."""
        return () if self.dff is None else self.dff.rows.roi_warnings()
