"""The whole command: windows of ground truth, all stages, tables, pictures and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nwb_cascade.core.progress import Progress
from nwb_cascade.files.disk import write_text
from nwb_cascade.pages import write_page
from nwb_cascade.spikefinder.findings import Findings
from nwb_cascade.spikefinder.latents import require_sklearn
from nwb_cascade.spikefinder.neurons import content_hash, load_neurons
from nwb_cascade.spikefinder.page import PAGE, page_html
from nwb_cascade.spikefinder.pictures import draw_all
from nwb_cascade.spikefinder.results import Score, Summary, to_csv
from nwb_cascade.spikefinder.runner import Runner, Say, Work
from nwb_cascade.spikefinder.settings import RunSettings
from nwb_cascade.spikefinder.stages import StageFolder

if TYPE_CHECKING:
    from nwb_cascade.models.bundle import Model


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run gave: its folder, all scores, their means over repetitions, and the page."""

    folder: Path
    scores: tuple[Score, ...]
    summaries: tuple[Summary, ...]
    page: Path


def run(
    out: Path,
    *,
    ground_truth: Path | None = None,
    datasets: Sequence[str] = (),
    settings: RunSettings | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> RunResult:
    """Make all tables and figures and an HTML page from ground truth.

    Run again with the same arguments, a killed run goes on after its last finished stage.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the run: new, empty, or of the same run.
    ground_truth : pathlib.Path, optional
        Folder with NWB files, Cascade's MATLAB files or Spikefinder's CSV pairs; left out: the simulated set.
    datasets : sequence of str
        Use only these; empty: all.
    settings : RunSettings, optional
        See there.
    cache : pathlib.Path, optional
        Folder for drawn windows; left out: inside ``out``.
    progress : callable, optional
        Called as ``progress(done, total)`` after each epoch or other unit of work.
    say : callable, optional
        Called with a line of text when a stage begins.

    Raises
    ------
    InputError
        If ``out`` belongs to another run.
    LookupError, ValueError, ImportError
        If the ground truth cannot be used, or a package is missing; the message says what to do.
    """
    require_sklearn()
    settings, say = settings or RunSettings(), say or (lambda _: None)
    say("reading ground truth")
    neurons = load_neurons(ground_truth or simulated_folder(), datasets)
    model, sha256 = chosen_model(settings), content_hash(neurons)
    stages = StageFolder(
        out,
        {
            "settings": settings.to_facts(),
            "data_sha256": sha256,
            "neurons": len(neurons),
            "datasets": sorted({neuron.dataset for neuron in neurons}),
            "model_sha256": model.sha256 if model else "",
        },
    )
    work = Work(settings, n_neurons=len(neurons), progress=progress, say=say)
    findings = Runner(neurons, model, settings, stages, cache or out / "windows", sha256, work).findings()
    _write_tables(out, findings)
    say("drawing figures")
    return RunResult(out, findings.scores, findings.summaries, show(out, findings))


def show(out: Path, findings: Findings) -> Path:
    """Write pictures (PNG and SVG) and the page of what was found; returns the page's path."""
    return write_page(page_html(findings, draw_all(out / "figures", findings)), out / PAGE)


def _write_tables(out: Path, findings: Findings) -> None:
    write_text(out / "scores.csv", to_csv(findings.scores))
    write_text(out / "summary.csv", to_csv(findings.summaries))
    write_text(out / "explained_variance.csv", to_csv(findings.explained))


def simulated_folder() -> Path:
    """Folder of the simulated set that is installed with the package."""
    from ground_truth_nwb.simulated_set import simulated_set_folder

    return simulated_set_folder()


def chosen_model(settings: RunSettings) -> Model | None:
    """Return the model that scores the windows; None where none is asked for."""
    if not settings.model:
        return None
    from nwb_cascade.inference_run import choose_model

    return choose_model(settings.model, 30.0)[0]
