"""The overview of a derived dandiset: one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from nwb_cascade.archive.manifest import Header
from nwb_cascade.archive.results import Row
from nwb_cascade.archive.status import Group, Status
from nwb_cascade.core.wording import counted
from nwb_cascade.files.disk import appearing
from nwb_cascade.provenance import SOFTWARE, canonical_json, software_version

SHOWN = {
    "state": "State",
    "path": "Result",
    "source": "Source",
    "indicator": "Indicator",
    "imaging_rate_hz": "Hz",
    "n_rois": "ROIs",
    "n_inferred": "Inferred",
    "n_frames": "Frames",
    "roi_warnings": "Warnings",
    "seconds": "Seconds",
    "cause": "Cause",
}
NUMBERS = ("imaging_rate_hz", "n_rois", "n_inferred", "n_frames", "roi_warnings", "seconds")
PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="$generator">
<title>Spike rates: $total recordings</title>
<style>
$style
</style>
</head>
<body>
<h1>Spike rates of $total recordings</h1>
<p class="lead">$lead</p>
<div class="cards"><div><h2>Provenance</h2>$provenance</div><div><h2>Jobs</h2>$counts</div></div>
$failures
$skipped
<h2>Results</h2>
<p class="note">A click on a column's name sorts by it. The same table, with more columns, is in results.csv.</p>
<div class="scroll"><table id="rows"><thead><tr>$head</tr></thead><tbody>
$body
</tbody></table></div>
<footer><p>Made by $generator. This file works without a network.</p></footer>
<script>
$script
</script>
</body>
</html>
""")
SCRIPT = """
const table = document.getElementById("rows");
table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const cell = button.parentElement, column = cell.cellIndex, isNumber = cell.className === "number";
  const down = cell.getAttribute("aria-sort") === "ascending";
  for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[column].textContent;
  const compare = isNumber ? (a, b) => (parseFloat(key(a)) || 0) - (parseFloat(key(b)) || 0)
    : (a, b) => key(a).localeCompare(key(b));
  const rows = Array.from(table.tBodies[0].rows).sort(compare);
  table.tBodies[0].append(...(down ? rows.reverse() : rows));
});
"""


def write_overview(path: Path, header: Header, status: Status, rows: Sequence[Row]) -> None:
    """Write the page; it is there in full or not at all."""
    done = [row for row in rows if row.state == "done"]
    inferred, rois = (sum(getattr(row, name) or 0 for row in done) for name in ("n_inferred", "n_rois"))
    counts = [(state.capitalize(), str(count)) for state, count in status.counts.items()]
    html = PAGE.substitute(
        generator=escape(f"{SOFTWARE} {software_version()}"),
        style=files("nwb_cascade.report").joinpath("page", "page.css").read_text(encoding="utf-8"),
        total=status.total,
        lead=f"{len(done)} of {status.total} recordings are done: {inferred} of {counted(rois, 'ROI')} with values.",
        provenance=_table(_provenance(header)),
        counts=_table([*counts, ("Skipped by the plan", str(status.n_skipped))]),
        failures=_grouped("Failures", status.failures),
        skipped=_grouped("Skipped by the plan", status.skipped),
        head="".join(_head(name, title) for name, title in SHOWN.items()),
        body="\n".join(_row(row) for row in rows),
        script=SCRIPT,
    )
    with appearing(path) as partial:
        partial.write_text(html, encoding="utf-8")


def _provenance(header: Header) -> list[tuple[str, str]]:
    models = [(f"Model {name}", f"weights {sha256}") for name, sha256 in sorted(header.models.items())]
    return [
        ("Planned", header.created),
        ("Sources", ", ".join(header.sources)),
        *models,
        ("Parameters", canonical_json(header.parameters) if header.parameters else "defaults"),
        ("Software", f"{SOFTWARE} {header.nwb_cascade}"),
    ]


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th scope="row">{escape(what)}</th><td>{escape(value)}</td></tr>' for what, value in rows)
    return f"<table>{cells}</table>"


def _grouped(title: str, groups: Sequence[Group]) -> str:
    """A section of causes with their numbers; nothing if there are none."""
    if not groups:
        return ""
    cells = "".join(
        f'<tr><td class="number">{group.count}</td><td>{escape(group.examples[0])}</td><td>{escape(group.kind)}</td>'
        f"<td>{escape(group.cause)}</td></tr>"
        for group in groups
    )
    head = '<tr><th class="number">Files</th><th>Such as</th><th>Error</th><th>Its cause</th></tr>'
    return f'<h2>{escape(title)}</h2><table class="warnings"><thead>{head}</thead><tbody>{cells}</tbody></table>'


def _head(name: str, title: str) -> str:
    kind = ' class="number"' if name in NUMBERS else ""
    return f'<th scope="col"{kind}><button type="button">{escape(title)}</button></th>'


def _row(row: Row) -> str:
    cells = []
    for name in SHOWN:
        value = getattr(row, name)
        text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        if name == "path" and text:
            cells.append(f'<td><a href="{escape(text)}">{escape(text)}</a></td>')
        else:
            kind = ' class="number"' if name in NUMBERS else ""
            cells.append(f"<td{kind}>{escape(text)}</td>")
    return f"<tr>{''.join(cells)}</tr>"
