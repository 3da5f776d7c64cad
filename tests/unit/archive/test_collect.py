"""Results become a dandiset: one place each, tables, relations to the sources; nothing foreign is touched."""

import csv
import hashlib
import os
import re
import shutil
import stat
import sys

import pytest
import yaml
from click.testing import CliRunner
from dandischema.models import Resource

from nwb_cascade.archive.collect import collect
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest, Skipped
from nwb_cascade.archive.upload import results_in
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError
from tests.support.archive_jobs import made_up_job, manifest_of

NAME = "sub-1_ses-a_desc-spikes_ophys.nwb"


def asset_job(number, dandiset="000001", instance="dandi"):
    """A job for an asset of DANDI."""
    address = f"dandi://{instance}/{dandiset}@0.1.2/sub-{number}.nwb"
    fields = {"instance": instance, "api_url": "http://server/api", "dandiset": dandiset, "version": "0.1.2"}
    source = {"kind": "asset", "address": address, "asset": {**fields, "asset_id": "x", "digest": "abc-1"}}
    recording = {"n_rois": 4, "n_frames": 300, "imaging_rate_hz": 30.0, "indicator": "GCaMP6f", "series": "/dff"}
    return made_up_job(number, address=address, source=source, recordings=(recording,))


JOBS = [asset_job(0), asset_job(1), asset_job(2, "000002", "local"), asset_job(3)]


@pytest.fixture
def manifest(tmp_path):
    return Manifest(manifest_of(tmp_path / "m.jsonl", *JOBS, Skipped("/x.nwb", "It is <empty>.")))


@pytest.fixture
def ledger(tmp_path):
    """Three jobs are done, two of them with results of the same name; one failed."""
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    for number, job in enumerate(JOBS[:3]):
        done(ledger, job, NAME if number < 2 else "sub-2_ses-b_desc-spikes_ophys.nwb", f"result {number}")
    with ledger.claim(JOBS[3].id) as claim:
        claim.fail({"cause": "All <NaN>.", "kind": "InputError"})
    return ledger


def done(ledger, job, name, text):
    with ledger.claim(job.id) as claim:
        output = claim.folder / name
        output.write_text(text)
        (planned,) = job.recordings or ({},)
        run = {**planned, "n_inferred": 3, "roi_warnings": {"noise": 2}}
        digest = hashlib.sha256(text.encode()).hexdigest()
        claim.finish(output, {"size": len(text), "sha256": digest, "runs": [run]})


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")


def test_every_result_has_a_place(manifest, ledger, tmp_path):
    found = collect(manifest, ledger, tmp_path / "derived")
    assert (found.n_files, found.n_missing) == (3, 1)
    second = f"sub-1/sub-1_ses-a_desc-spikes-{JOBS[1].id[:8]}_ophys.nwb"
    expected = [f"sub-1/{NAME}", second, "sub-2/sub-2_ses-b_desc-spikes_ophys.nwb"]
    tables = {"dandiset.yaml", "overview.html", "results.csv"}
    assert set(names(tmp_path / "derived")) == tables | set(expected)
    assert (tmp_path / "derived" / second).read_text() == "result 1"


def test_results_of_one_name_are_told_apart_by_the_names_of_their_recordings(tmp_path):
    jobs = [made_up_job(number, address=f"/data/sub-1_ses-{session}.nwb") for number, session in enumerate("abb")]
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    for number, job in enumerate(jobs):
        done(ledger, job, "sub-1_ses-x_desc-spikes_ophys.nwb", f"result {number}")
    for _ in range(2):
        collect(Manifest(manifest_of(tmp_path / "x.jsonl", *jobs)), ledger, tmp_path / "derived")
        expected = ["x_desc-spikes", "b_desc-spikes", f"x_desc-spikes-{jobs[2].id[:8]}"]
        for number, name in enumerate(expected):
            assert (tmp_path / "derived" / "sub-1" / f"sub-1_ses-{name}_ophys.nwb").read_text() == f"result {number}"


def test_the_table_has_a_row_per_job(manifest, ledger, tmp_path):
    collect(manifest, ledger, tmp_path / "derived")
    with open(tmp_path / "derived" / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["done", "done", "done", "failed"]
    assert rows[0]["path"] == f"sub-1/{NAME}"
    assert (rows[0]["n_rois"], rows[0]["n_inferred"], rows[0]["roi_warnings"]) == ("4", "3", "2")
    assert (rows[0]["dandiset"], rows[0]["source_digest"]) == ("000001", "abc-1")
    assert rows[3]["cause"] == "All <NaN>."


def test_parquet_holds_what_the_csv_holds_with_types(manifest, ledger, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    command = ["archive", "collect", str(manifest.path), "--out", str(ledger.folder), str(tmp_path / "derived")]
    assert CliRunner().invoke(main, [*command, "--parquet"]).exit_code == 0
    table = parquet.read_table(tmp_path / "derived" / "results.parquet")
    with open(tmp_path / "derived" / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert table.column_names == list(rows[0])
    kinds = {name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)}
    whole = {"n_rois", "n_frames", "n_inferred", "roi_warnings", "bytes"}
    assert {name for name, kind in kinds.items() if kind == "int64"} == whole
    assert {name for name, kind in kinds.items() if kind == "double"} == {"imaging_rate_hz", "seconds"}
    assert {kind for name, kind in kinds.items()} == {"int64", "double", "string"}
    read = {"int64": int, "double": float, "string": str}
    for one, other in zip(table.to_pylist(), rows, strict=True):
        assert one == {name: read[kinds[name]](other[name]) if other[name] else None for name in kinds}
    assert CliRunner().invoke(main, command).exit_code == 0
    assert not (tmp_path / "derived" / "results.parquet").exists()  # it would be of an earlier day


def test_without_pyarrow_nothing_is_begun(manifest, ledger, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"Parquet needs pyarrow: pip install 'nwb-cascade\[archive\]', or do with"):
        collect(manifest, ledger, tmp_path / "derived", parquet=True)
    assert not (tmp_path / "derived").exists()
    collect(manifest, ledger, tmp_path / "derived")
    assert (tmp_path / "derived" / "results.csv").exists()


def test_the_dandiset_says_what_it_was_derived_from(manifest, ledger, tmp_path):
    path = tmp_path / "derived" / "dandiset.yaml"
    collect(manifest, ledger, path.parent)
    values = yaml.safe_load(path.read_text())
    resources = [Resource(**one) for one in values["relatedResource"]]
    assert {one.relation.value for one in resources} == {"dcite:IsDerivedFrom"}
    assert [str(one.url) for one in resources] == [
        "https://dandiarchive.org/dandiset/000001/0.1.2",
        "http://server/api/dandisets/000002/versions/0.1.2/",
    ]
    assert {"identifier", "name", "description"} <= values.keys()


def test_what_a_curator_adds_to_the_dandiset_stays(manifest, ledger, tmp_path):
    path = tmp_path / "derived" / "dandiset.yaml"
    collect(manifest, ledger, path.parent)
    values = yaml.safe_load(path.read_text())
    cited = {"schemaKey": "Resource", "url": "https://doi.org/1", "relation": "dcite:Cites"}
    path.write_text(yaml.safe_dump({**values, "name": "Mine", "relatedResource": [cited, *values["relatedResource"]]}))
    collect(manifest, ledger, path.parent)
    again = yaml.safe_load(path.read_text())
    assert again["name"] == "Mine"
    assert [one["relation"] for one in again["relatedResource"]] == ["dcite:Cites", *2 * ["dcite:IsDerivedFrom"]]


def test_the_overview_tells_all_and_escapes(manifest, ledger, tmp_path):
    collect(manifest, ledger, tmp_path / "derived")
    html = (tmp_path / "derived" / "overview.html").read_text()
    for text in ("3 of 4 recordings done", "All &lt;NaN&gt;.", "It is &lt;empty&gt;.", f'href="sub-1/{NAME}"'):
        assert text in html
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert html.count("<tr>") > 4


def test_collecting_again_adds_what_was_finished_since_and_drops_what_is_gone(manifest, ledger, tmp_path):
    derived = tmp_path / "derived"
    collect(manifest, ledger, derived)
    with ledger.claim(JOBS[3].id, retry_failed=True) as claim:
        (claim.folder / "sub-3_x.nwb").write_text("x")
        claim.finish(claim.folder / "sub-3_x.nwb", {"size": 1})
    ledger.entry(JOBS[2].id).output.unlink()
    assert collect(manifest, ledger, derived).n_files == 3
    assert "sub-3/sub-3_x.nwb" in names(derived)
    assert not any(name.startswith("sub-2/") for name in names(derived))


@pytest.mark.parametrize("copy", [False, True])
def test_files_are_links_unless_copies_are_wanted(manifest, ledger, tmp_path, copy):
    collect(manifest, ledger, tmp_path / "derived", copy=copy)
    assert (tmp_path / "derived" / "sub-1" / NAME).samefile(ledger.entry(JOBS[0].id).output) != copy


@pytest.mark.skipif(os.name != "posix", reason="Windows has other modes")
@pytest.mark.parametrize("copy", [False, True])
def test_a_copy_of_a_private_result_is_private_from_its_first_byte(manifest, ledger, tmp_path, monkeypatch, copy):
    ledger.entry(JOBS[0].id).output.chmod(0o600)
    seen, copying = [], shutil.copy2

    def noting(source, target):
        seen.append((source.stat().st_mode, target.stat().st_mode))
        copying(source, target)

    monkeypatch.setattr(shutil, "copy2", noting)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no hard links here")))
    collect(manifest, ledger, tmp_path / "derived", copy=copy)
    assert len(seen) == 3
    assert all(before == after for before, after in seen)
    assert stat.S_IMODE((tmp_path / "derived" / "sub-1" / NAME).stat().st_mode) == 0o600


def test_a_copy_is_made_once_and_again_when_it_was_changed(manifest, ledger, tmp_path):
    place = tmp_path / "derived" / "sub-1" / NAME
    collect(manifest, ledger, tmp_path / "derived", copy=True)
    first = place.stat().st_ino
    collect(manifest, ledger, tmp_path / "derived", copy=True)
    assert place.stat().st_ino == first
    place.write_text("edited by hand")
    collect(manifest, ledger, tmp_path / "derived", copy=True)
    assert place.read_text() == "result 0"


def test_a_folder_with_other_files_is_refused_and_left_alone(manifest, ledger, tmp_path):
    (tmp_path / "derived" / "sub-1").mkdir(parents=True)
    (tmp_path / "derived" / "sub-1" / "thesis.docx").write_text("x")
    with pytest.raises(FileExistsError, match=r"holds sub-1/thesis\.docx: name another folder"):
        collect(manifest, ledger, tmp_path / "derived")
    assert names(tmp_path / "derived") == ["sub-1/thesis.docx"]


def test_a_result_that_was_changed_is_refused(manifest, ledger, tmp_path):
    ledger.entry(JOBS[0].id).output.write_text("RESULT 0")
    with pytest.raises(InputError, match="is not the file that the job wrote"):
        collect(manifest, ledger, tmp_path / "derived")


def test_only_the_folder_of_a_run_can_be_collected(manifest, tmp_path):
    with pytest.raises(InputError, match="Expected the output folder"):
        collect(manifest, Ledger(tmp_path / "elsewhere"), tmp_path / "derived")


def test_only_a_collected_folder_with_results_can_be_uploaded(manifest, tmp_path):
    with pytest.raises(InputError, match="that 'nwb-cascade archive collect' made"):
        results_in(tmp_path / "derived")
    nothing_done = Ledger(tmp_path / "empty")
    nothing_done.prepare()
    collect(manifest, nothing_done, tmp_path / "derived")
    with pytest.raises(InputError, match=r"found none: collect some results first"):
        results_in(tmp_path / "derived")
