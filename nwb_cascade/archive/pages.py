"""Pages: what ``nwb-cascade report`` shows, for every result of a derived dandiset, in a folder beside it."""

from __future__ import annotations

import os
from pathlib import Path

from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError


def require_pages(derived: Path, pages: Path) -> None:
    """Raise before any work if pages cannot be made, or not there.

    Raises
    ------
    InputError
        If they would lie within the dandiset, which holds nothing but its own files.
    ImportError
        If plotly is not installed.
    """
    from nwb_cascade.report.page import require_library

    if pages.resolve().is_relative_to(derived.resolve()):
        raise InputError(
            f"Expected a folder outside of the dandiset {derived} for the pages, received {pages}: name another one."
        )
    require_library()


def write_pages(derived: Path, pages: Path, *, progress: Progress | None = None) -> list[str]:
    """Write a page about every run of every result that has none yet; returns which failed and why, as sentences.

    A page has the time stamp of its result, by which a newer or another result of that name is noticed.

    Parameters
    ----------
    derived : pathlib.Path
        The derived dandiset.
    pages : pathlib.Path
        Where the pages go, ``NAME.html`` for ``sub-X/NAME.nwb``, ``NAME_RUN.html`` where that holds several runs; made
        if need be.
    progress : callable, optional
        Called with the results looked at and their total.
    """
    from nwb_cascade.report import write_report

    failures = []
    results = sorted(derived.glob("sub-*/*.nwb"))
    for done, result in enumerate(results, 1):
        made = result.stat().st_mtime_ns
        try:
            for page, run in _pages_of(result, pages).items():
                if not page.exists() or page.stat().st_mtime_ns != made:
                    write_report(result, page, run_name=run)
                    os.utime(page, ns=(made, made))
        except Exception as error:  # one file must not keep the others from their pages
            failures.append(f"{result}: {' '.join(str(error).split()) or type(error).__name__}")
        if progress is not None:
            progress(done, len(results))
    return failures


def _pages_of(result: Path, pages: Path) -> dict[Path, str]:
    """Return the pages about a result, with the path of the run that each is about."""
    from nwb_cascade.nwb.files import open_nwb
    from nwb_cascade.nwb.places import runs_of

    with open_nwb(result) as (nwbfile, _):
        runs = {path: str(run.name) for path, run in runs_of(nwbfile).items()}
    if len(runs) == 1:
        return {pages / f"{result.stem}.html": path for path in runs}
    return {pages / f"{result.stem}_{name}.html": path for path, name in runs.items()}
