"""A manifest comes back as it was written, and says on which line it was tampered with."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.archive.manifest import Manifest, Skipped, job_id
from nwb_cascade.errors import InputError
from tests.support.archive_jobs import made_up_job, manifest_of

values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
parameters = st.dictionaries(st.text(max_size=5), values, max_size=4)


def asset_of(number, *, is_private):
    """A job about an asset of an archive."""
    return made_up_job(number, source={"kind": "asset", "asset": {"is_private": is_private}})


@pytest.fixture
def path(tmp_path):
    records = (made_up_job(0), Skipped("/data/x.nwb", "It is empty."), made_up_job(1))
    return manifest_of(tmp_path / "plans" / "manifest.jsonl", *records)


def edit(path, number, change):
    """Change the values of a line and write it back."""
    lines = path.read_text().splitlines()
    record = json.loads(lines[number - 1])
    change(record)
    lines[number - 1] = json.dumps(record)
    path.write_text("\n".join(lines))


def test_what_was_written_comes_back(path):
    manifest = Manifest(path)
    assert list(manifest.jobs()) == [made_up_job(0), made_up_job(1)]
    assert list(manifest.skipped()) == [Skipped("/data/x.nwb", "It is empty.")]
    assert manifest.header.sources == ("/data",)
    assert manifest.count() == 2
    assert manifest.slice(1) == [made_up_job(1)]
    assert manifest.slice(0, 5) == [made_up_job(0), made_up_job(1)]
    assert manifest.find(made_up_job(1).id) == made_up_job(1)
    assert [p.name for p in path.parent.iterdir()] == ["manifest.jsonl"]


@given(parameters=parameters, content=st.text())
def test_any_job_comes_back(tmp_path_factory, parameters, content):
    job = made_up_job(content_id=content, parameters=parameters)
    assert list(Manifest(manifest_of(tmp_path_factory.mktemp("m") / "m.jsonl", job)).jobs()) == [job]


@given(first=parameters, second=parameters)
def test_jobs_are_named_by_what_they_compute(first, second):
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (job_id("c", "m", first) == job_id("c", "m", second)) == same


@pytest.mark.parametrize(
    ("changes", "is_other"),
    [({"address": "/moved.nwb"}, False), ({"content_id": "x"}, True), ({"model_sha256": "x"}, True)],
)
def test_the_place_of_a_file_is_not_part_of_the_name(changes, is_other):
    assert (made_up_job(**changes).id != made_up_job().id) == is_other


def test_lines_may_be_removed(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[3]]))
    assert list(Manifest(path).jobs()) == [made_up_job(1)]


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, lambda r: r["parameters"].update(threshold="single-spike"), "line 2: the line was edited"),
        (2, lambda r: r.update(address="/other.nwb"), "line 2: the line was edited"),
        (3, lambda r: r.update(reason="None."), "line 3: the line was edited"),
        (4, lambda r: r.pop("check"), "line 4: the line was edited"),
        (1, lambda r: r.update(model="other"), "line 1: the line was edited"),
        (
            1,
            lambda r: r.update(format_version=99, nwb_cascade="9.0"),
            r"line 1: .*format 99.*nwb-cascade 9\.0.*Plan again",
        ),
        (1, lambda r: r.update(output_version=99), "line 1: .*results 99"),
        (1, lambda r: r.update(format="other"), "no header of one"),
        (2, lambda r: r.update(record="other"), "line 2: expected a job"),
    ],
)
def test_an_edited_line_is_named(path, number, change, message):
    edit(path, number, change)
    with pytest.raises(InputError, match=message):
        Manifest(path).count()


def test_an_edited_job_with_a_valid_sum_is_noticed_by_its_name(tmp_path):
    from dataclasses import replace

    path = manifest_of(tmp_path / "m.jsonl", replace(made_up_job(), parameters={"threshold": "nonnegative"}))
    with pytest.raises(InputError, match=r"line 2: the job .* is not that of its content"):
        Manifest(path).count()


def test_a_line_that_is_no_json_is_named(path):
    path.write_text(path.read_text().replace('{"address"', "{address", 1))
    with pytest.raises(InputError, match="line 2: not a line of JSON"):
        Manifest(path).count()


def test_other_files_are_no_manifests(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected a manifest"):
        Manifest(tmp_path / "none.jsonl")
    (tmp_path / "x.nwb").write_bytes(b"\x89HDF\r\n\x1a\n" * 10)
    with pytest.raises(InputError, match=r"x\.nwb, whose first line is no header of one"):
        Manifest(tmp_path / "x.nwb")


def test_a_job_that_is_not_there_is_refused(path):
    with pytest.raises(InputError, match="from 0 to 1, received 7"):
        Manifest(path).slice(7)
    with pytest.raises(InputError, match="received 'nonsense'"):
        Manifest(path).find("nonsense")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[" * 20_000 + "]" * 20_000, "whose first line is no header of one"),
        (json.dumps({"format": "nwb-cascade-manifest", "format_version": list(range(10_000))}), "is of format"),
    ],
)
def test_a_forged_header_is_refused_in_a_short_sentence(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=words) as raised:
        Manifest(path)
    assert len(str(raised.value)) < 400 + len(str(path))


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize(
    ("records", "mode"),
    [
        ([], 0o644),
        ([made_up_job(0)], 0o644),
        ([made_up_job(0), asset_of(1, is_private=False)], 0o644),
        ([made_up_job(0), asset_of(1, is_private=True)], 0o600),
        ([Skipped("dandi://x/000002@draft/a.nwb", "It is empty.", is_private=True)], 0o600),
    ],
)
def test_who_may_not_read_every_recording_does_not_read_the_manifest(tmp_path, records, mode):
    before = os.umask(0o022)
    try:
        path = manifest_of(tmp_path / "m.jsonl", *records)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    assert list(Manifest(path)) == records


def test_a_manifest_of_a_recording_that_is_closed_to_others_is_closed_too(tmp_path):
    for name in ("open.nwb", "closed.nwb"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "closed.nwb").chmod(0o600)
    records = [Skipped(str(tmp_path / name), "It is empty.") for name in ("open.nwb", "closed.nwb")]
    assert manifest_of(tmp_path / "m.jsonl", *records).stat().st_mode & 0o777 == 0o600
