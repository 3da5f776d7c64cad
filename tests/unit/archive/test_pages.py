"""`archive collect --report`: a page per result that is about this result, renewed with it, beside the dandiset."""

import os
import re
import sys
from html import unescape

import pytest
from click.testing import CliRunner

from nwb_cascade.archive.job import Settings, perform
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.cli import main
from nwb_cascade.report import page as page_module
from nwb_cascade.report import write_report
from tests.support.archive_jobs import file_job, manifest_of
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording, simulated_dff

pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
N_ROIS = (3, 4)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A manifest and its output folder: two recordings of the same session, so with results of one name, both done."""
    folder = tmp_path_factory.mktemp("archive")
    paths = [dff_recording(folder / f"take{n}.nwb", simulated_dff(n, seed=n)) for n in N_ROIS]
    jobs = [file_job(path) for path in paths]
    ledger = Ledger(folder / "out")
    ledger.prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwb_cascade.annotation.annotate.prepare_run", fake_run)
        assert [perform(job, Settings(str(ledger.folder))).status for job in jobs] == ["done", "done"]
    return manifest_of(folder / "m.jsonl", *jobs), ledger, jobs


def collect(done, derived, pages, *options):
    manifest, ledger, _ = done
    arguments = ["archive", "collect", manifest, "--out", ledger.folder, derived, "--report", pages, *options]
    return CliRunner().invoke(main, list(map(str, arguments)))


def text_of(page):
    """What a page says, without tags, styles and scripts."""
    html = re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_every_result_has_a_page_that_is_about_it(done, tmp_path):
    _, ledger, jobs = done
    derived, pages = tmp_path / "derived", tmp_path / "to" / "pages"
    result = collect(done, derived, pages)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"2 pages in {pages}")
    names = ("sub-1_ses-a_desc-spikes_ophys", f"sub-1_ses-a_desc-spikes-{jobs[1].id[:8]}_ophys")
    assert {page.name for page in pages.iterdir()} == {f"{name}.html" for name in names}
    for name, job, n_rois in zip(names, jobs, N_ROIS, strict=True):
        text = text_of(pages / f"{name}.html")
        (record,) = ledger.entry(job.id).record["runs"]
        assert text.startswith(f"Inferred spikes of {name}.nwb")
        for said in (
            f"{n_rois} ROIs × 300 frames at 30 Hz",
            f"Run key {record['run_key']}",
            f"Weights (SHA-256) {record['model_sha256']}",
            f"take{n_rois}.nwb",
            "The file holds the inferred rates without the dF/F that they were made from.",
        ):
            assert said in text
    assert not list(derived.rglob("sub-*.html"))


def test_a_page_is_renewed_with_its_result_only(done, tmp_path):
    pages = tmp_path / "pages"
    collect(done, tmp_path / "derived", pages, "--copy")
    kept, stale = sorted(pages.iterdir())
    for page, older_by in ((kept, 0), (stale, 10**9)):
        stamp = page.stat().st_mtime_ns - older_by
        page.write_text('<!DOCTYPE html><meta name="generator" content="nwb-cascade 0">kept')
        os.utime(page, ns=(stamp, stamp))
    collect(done, tmp_path / "derived", pages, "--copy")
    assert text_of(kept) == "kept"
    assert text_of(stale).startswith("Inferred spikes of ")


def test_a_page_that_fails_keeps_no_other_from_being_written(done, tmp_path, monkeypatch):
    def one_fails(path, page, **options):
        if "desc-spikes_" in path.name:
            raise MemoryError
        return write_report(path, page, **options)

    monkeypatch.setattr("nwb_cascade.report.write_report", one_fails)
    result = collect(done, tmp_path / "derived", tmp_path / "pages")
    assert result.exit_code == 1
    assert result.stderr.endswith("sub-1_ses-a_desc-spikes_ophys.nwb: MemoryError\n")
    assert f"1 page in {tmp_path / 'pages'}" in result.stdout
    assert len(list((tmp_path / "pages").iterdir())) == 1


def test_pages_do_not_go_into_the_dandiset(done, tmp_path):
    derived = tmp_path / "derived"
    for pages in (derived, derived / "pages"):
        result = collect(done, derived, pages)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"Expected a folder outside of the dandiset {derived} for the pages" in result.stderr
    assert not derived.exists()


def test_without_plotly_nothing_is_begun(done, tmp_path, monkeypatch):
    page_module.plotly_library.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    result = collect(done, tmp_path / "derived", tmp_path / "pages")
    assert result.exit_code == 1
    assert "pip install 'nwb-cascade[report]'" in result.stderr
    assert not (tmp_path / "derived").exists()
