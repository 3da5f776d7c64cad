"""A page with a browser of traces: what it holds of every row, within a size."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any

from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.pages import render
from nwb_cascade.report.arrays import Packer
from nwb_cascade.report.detail import PackedRoi
from nwb_cascade.report.headline import KeyNumber

MOST_BYTES = 15_000_000
BYTES_BESIDE = 700_000  # of styles, scripts, examples, provenance and the field of view, at most
BYTES_BESIDE_PER_ROW = 400  # of the table, and of what places and draws a row


@dataclass(frozen=True)
class Column:
    """A column of the table of rows: a key, a heading, and one number or text per row (None: unknown).

    ``digits`` after the point are shown of a number; None shows it as it is.
    """

    key: str
    label: str
    values: Sequence[Any]
    digits: int | None = None
    is_number: bool = True

    def to_facts(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        kind = "number" if self.is_number else "words"
        digits = {} if self.digits is None else {"digits": self.digits}
        return {"key": self.key, "label": self.label, "kind": kind, "values": list(self.values), **digits}


@dataclass(frozen=True)
class Rows:
    """The rows that the page browses: ROIs of a recording, or cells.

    Parameters
    ----------
    name : str
        What one row is called ("ROI").
    ids : sequence
        What each is called.
    imaging_rates, starts_s : sequence of float
        Hz, and the time of the first frame, s.
    activity : sequence of float
        Sum of expected spikes.
    packed : sequence of PackedRoi
        Traces.
    one_clock : bool
        Whether all rows share their frames.
    clock : FrameClock, optional
        When the frames of all rows were; without it they follow at their rates.
    columns : sequence of Column
        Of the table.
    first : int
        Position of the row to show first.
    """

    name: str
    ids: Sequence[Any]
    imaging_rates: Sequence[float]
    starts_s: Sequence[float]
    activity: Sequence[float]
    packed: Sequence[PackedRoi]
    one_clock: bool
    columns: Sequence[Column]
    first: int
    clock: FrameClock | None = None


@dataclass(frozen=True)
class Page:
    """A page without its traces.

    Parameters
    ----------
    template : str
        Of ``pages/templates``, an extension of ``browser.html``.
    title, lead : str
        At its head.
    headline : sequence of KeyNumber
        Below that, the numbers to see first.
    browser_title, browser_text : str
        Above the traces.
    values : mapping
        What else the template shows.
    facts : mapping
        What the charts need, JSON-able; ``packer`` holds what of it is binary.
    packer : Packer
        Receives the traces too.
    """

    template: str
    title: str
    lead: str
    headline: Sequence[KeyNumber]
    browser_title: str
    browser_text: str
    values: Mapping[str, Any]
    facts: Mapping[str, Any]
    packer: Packer = field(default_factory=Packer)


def room_for_traces(n_rows: int, n_bytes_of_maps: int) -> int:
    """Bytes that the traces of some rows may take before they are written as text, beside those of heat maps."""
    left = MOST_BYTES - len(_as_text(plotly_library())) - BYTES_BESIDE - BYTES_BESIDE_PER_ROW * n_rows
    return max(0, left // 4 * 3 - 2 * n_rows - n_bytes_of_maps)


def render_browser(page: Page, rows: Rows) -> str:
    """Return the HTML of a page."""
    facts = {**page.facts, "rows": _rows_facts(rows, page.packer), "one_clock": rows.one_clock}
    facts["columns"] = [column.to_facts() for column in rows.columns]
    facts["first_row"] = rows.first
    text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    return render(
        page.template,
        **page.values,
        title=page.title,
        lead=page.lead,
        headline=page.headline,
        browser_title=page.browser_title,
        browser_text=page.browser_text,
        row_name=rows.name,
        library=_as_text(plotly_library()),
        facts=_as_text(zlib.compress(text.encode(), 9)),
        packed=page.packer.text(),
    )


def require_library() -> None:
    """Raise ImportError, naming the extra, unless plotly is installed."""
    plotly_library()


def known_numbers(values: Sequence[float] | NDArray[Any]) -> list[float | None]:
    """Return numbers as JSON knows them, in six digits: None for NaN."""
    return [float(f"{value:.6g}") if isfinite(value) else None for value in values]


def _rows_facts(rows: Rows, packer: Packer) -> dict[str, Any]:
    """What the page needs to know to unpack and place each row."""
    return {
        "name": rows.name,
        "ids": list(rows.ids),
        "rate": list(rows.imaging_rates),
        "start": list(rows.starts_s),
        "activity": [round(float(value), 3) for value in rows.activity],
        "n_frames": [one.n_frames for one in rows.packed],
        "frames_per_step": [one.frames_per_step for one in rows.packed],
        "dff_unit": [float(f"{one.dff_unit:.9g}") for one in rows.packed],
        "rate_unit": [float(f"{one.rate_unit:.9g}") for one in rows.packed],
        "arrays": [{name: packer.add(array) for name, array in one.arrays.items()} for one in rows.packed],
        **_uneven(rows.clock),
    }


def _uneven(clock: FrameClock | None) -> dict[str, Any]:
    """When frames of uneven times were: ``knots`` and ``rates``.

    Knots are frames and their times, s, between which frames are even, and frames before which some are missing; rates
    are the first frame of each stretch and its rate, Hz.
    """
    knots = None if clock is None else clock.knots()
    if clock is None or knots is None:
        return {}
    rates = [(stretch.first, stretch.imaging_rate) for stretch in clock.stretches]
    return {"knots": [*(one.tolist() for one in knots), clock.breaks], "rates": rates}


@cache
def plotly_library() -> bytes:
    """Return the compressed plotly.js of the installed plotly.

    Raises
    ------
    ImportError
        Naming the extra, if there is none.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("Reports need plotly: pip install 'nwb-cascade[report]'.") from error
    return zlib.compress(get_plotlyjs().encode(), 9)


def _as_text(packed: bytes) -> str:
    return base64.b64encode(packed).decode("ascii")
