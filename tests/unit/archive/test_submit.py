"""The batch script is valid, covers every job once, and does what it says where SLURM or a stand-in runs it."""

import os
import shutil
import subprocess
import time

import pytest
from click.testing import CliRunner

from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest
from nwb_cascade.archive.submit import ArrayOptions, write_slurm_script
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError
from tests.support.archive_commands import put_on_path
from tests.support.archive_jobs import made_up_job, manifest_of
from tests.support.slurm import needs_slurm

PROGRAM = 'import sys; print(*sys.argv[1:], file=open(sys.argv[sys.argv.index("--out") + 1] + "/calls", "a"))'
STAND_IN = """#!/bin/bash
# stands for sbatch: runs all tasks of the array in a row
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
for task in $(seq 0 "$last"); do SLURM_ARRAY_TASK_ID=$task bash "$1" || exit 1; done
echo "Submitted batch job 1"
"""
STAND_IN_SRUN = '#!/bin/bash\nshift\nexec "$@"\n'


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "results of 2026"
    Ledger(folder).prepare()
    return folder


def script(tmp_path, out, n_jobs, **options):
    manifest = manifest_of(tmp_path / "m.jsonl", *map(made_up_job, range(n_jobs)))
    return write_slurm_script(tmp_path / "slurm.sh", manifest, out, n_jobs, ArrayOptions(**options))


def stand_ins(tmp_path, monkeypatch):
    put_on_path(monkeypatch, tmp_path / "bin", {"sbatch": STAND_IN, "srun": STAND_IN_SRUN})


@pytest.mark.parametrize(
    ("n_jobs", "options", "n_tasks", "chunk"),
    [
        (1, {}, 1, 1),
        (1000, {}, 1000, 1),
        (1001, {}, 501, 2),
        (600, {"max_array_size": 101}, 100, 6),
        (7, {"chunk": 3}, 3, 3),
    ],
)
def test_arrays_stay_within_the_limit_of_the_site(tmp_path, out, n_jobs, options, n_tasks, chunk):
    manifest = tmp_path / "m.jsonl"
    batch = write_slurm_script(tmp_path / "slurm.sh", manifest, out, n_jobs, ArrayOptions(**options))
    assert (batch.n_tasks, batch.chunk) == (n_tasks, chunk)
    assert f"#SBATCH --array=0-{n_tasks - 1}%50" in batch.path.read_text()
    assert n_tasks * chunk >= n_jobs > (n_tasks - 1) * chunk


def test_chunks_that_make_too_many_tasks_are_refused(tmp_path, out):
    with pytest.raises(InputError, match="chunks of 1 make 600: take chunks of at least 6"):
        write_slurm_script(tmp_path / "s.sh", tmp_path / "m", out, 600, ArrayOptions(chunk=1, max_array_size=101))
    with pytest.raises(InputError, match="at least one job"):
        write_slurm_script(tmp_path / "s.sh", tmp_path / "m", out, 0)


def test_the_script_is_valid_bash(tmp_path, out):
    batch = script(tmp_path, out, 5, options=["--partition=short"])
    checked = subprocess.run(["bash", "-n", batch.path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    lines = batch.path.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "#SBATCH --partition=short" in lines
    assert f'#SBATCH --output="{out}/logs/%A_%a.log"' in lines
    is_directive = [line.startswith("#") for line in lines]
    assert all(is_directive[: lines.index("set -u")])  # sbatch reads directives up to the first command


def test_a_stand_in_for_slurm_does_every_job_once(tmp_path, out, monkeypatch):
    stand_ins(tmp_path, monkeypatch)
    batch = script(tmp_path, out, 5, chunk=2, program=[shutil.which("python3"), "-c", PROGRAM])
    subprocess.run(batch.submit, check=True, capture_output=True)
    calls = [line.split("--index ")[1] for line in (out / "calls").read_text().splitlines()]
    assert calls == ["0 --count 2", "2 --count 2", "4 --count 2"]


def test_submit_writes_the_script_and_calls_sbatch_only_when_told(tmp_path, monkeypatch):
    stand_ins(tmp_path, monkeypatch)
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/bash\necho Submitted batch job 7\n")
    manifest, out = manifest_of(tmp_path / "m.jsonl", made_up_job(0)), tmp_path / "out"
    arguments = ["archive", "submit", str(manifest), "--out", str(out), "--slurm"]
    told = CliRunner().invoke(main, arguments)
    assert "1 job in 1 task" in told.stdout
    assert f"Submit it with: sbatch {out}/slurm.sh" in told.stdout
    assert "Submitted batch job 7" in CliRunner().invoke(main, [*arguments, "--now"]).stdout


def submit(manifest, out, *options):
    return CliRunner().invoke(main, ["archive", "submit", str(manifest), "--out", str(out), "--slurm", *options])


def test_only_what_is_left_is_submitted(tmp_path, out, monkeypatch):
    stand_ins(tmp_path, monkeypatch)
    jobs = [made_up_job(number) for number in range(5)]
    manifest, ledger = manifest_of(tmp_path / "m.jsonl", *jobs), Ledger(out)
    assert "5 jobs in 5 tasks, 1 each at most." in submit(manifest, out).stdout
    assert f"run-one {manifest} " in (out / "slurm.sh").read_text()
    for job in jobs[:2]:
        with ledger.claim(job.id) as claim:
            (claim.folder / "x.nwb").write_text("x")
            claim.finish(claim.folder / "x.nwb", {"size": 1})
    with ledger.claim(jobs[2].id) as claim:
        claim.fail({"cause": "x", "kind": "InputError"})
    told = submit(manifest, out, "--now", "--chunk", "2").stdout
    assert "2 jobs in 1 task, 2 each at most; 2 done already; 1 failed (--retry-failed takes them up)." in told
    states = [ledger.entry(job.id).state for job in jobs]
    assert states == ["done", "done", "failed", "failed", "failed"]  # the made up files do not exist
    assert [ledger.entry(job.id).attempt for job in jobs] == [1] * 5
    told = submit(manifest, out).stdout
    assert told == f"No job of {manifest} is left: 2 done already, 3 failed (--retry-failed takes them up).\n"
    assert "3 jobs in 3 tasks, 1 each at most; 2 done already." in submit(manifest, out, "--retry-failed").stdout
    (left,) = {path for path in out.glob("left-*.jsonl") if Manifest(path).count() == 3}
    assert [job.id for job in Manifest(left).jobs()] == [job.id for job in jobs[2:]]


def test_run_one_says_how_a_job_ended(tmp_path):
    manifest, out = manifest_of(tmp_path / "m.jsonl", made_up_job(0), made_up_job(1)), tmp_path / "out"
    arguments = ["archive", "run-one", str(manifest), "--out", str(out)]
    ended = CliRunner().invoke(main, [*arguments, "--index", "0", "--count", "2"])
    assert ended.exit_code == 3
    assert ended.stdout.count(" failed /data/sub-") == 2
    by_name = CliRunner().invoke(main, [*arguments, "--job", made_up_job(1).id])
    assert (by_name.exit_code, by_name.stdout.count("failed")) == (3, 1)
    assert CliRunner().invoke(main, arguments).exit_code == 2


@needs_slurm
def test_slurm_itself_does_every_job(tmp_path):
    manifest = manifest_of(tmp_path / "m.jsonl", *map(made_up_job, range(3)))
    out = tmp_path / "out"
    Ledger(out).prepare()
    batch = write_slurm_script(out / "slurm.sh", manifest, out, 3, ArrayOptions(memory="500M", chunk=2))
    subprocess.run(batch.submit, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    deadline = time.monotonic() + 240
    ledger, jobs = Ledger(out), list(Manifest(manifest).jobs())
    while any(ledger.entry(job.id).state != "failed" for job in jobs) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert [ledger.entry(job.id).state for job in jobs] == ["failed"] * 3  # the made up files do not exist
    assert len(list((out / "logs").iterdir())) == 2
