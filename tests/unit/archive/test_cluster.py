"""Workers as batch jobs: by a SLURM where NWB_CASCADE_SLURM=1 says that there is one, and by a stand-in everywhere."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import distributed
import psutil
import pytest
from click.testing import CliRunner

from nwb_cascade.archive import batch, cluster, losses
from nwb_cascade.archive.batch import batch_cluster
from nwb_cascade.archive.job import Settings
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.losses import MOST_LOST
from nwb_cascade.archive.manifest import Manifest
from nwb_cascade.archive.run import RunStoppedError, run_manifest
from nwb_cascade.archive.upkeep import mark_of_end
from nwb_cascade.cli import main
from nwb_cascade.cli.archive import asked_cluster
from nwb_cascade.errors import InputError
from tests.support.archive_commands import put_on_path
from tests.support.archive_jobs import made_up_job, manifest_of
from tests.support.slurm import end_process, needs_slurm, wait_and_finish

dask_jobqueue = pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue")
ROOT = Path(__file__).parents[3]
SBATCH = """#!/bin/bash
# stands for sbatch: runs the script in the background, as a session of its own whose number is that of the job
cp "${!#}" "$SPOOL/script-$$.sh"
log=$(sed -n 's/^#SBATCH -e //p' "$SPOOL/script-$$.sh")
setsid bash -c 'export SLURM_JOB_ID=$$; exec bash "$0" > "${1/\\%J/$$}" 2>&1' "$SPOOL/script-$$.sh" "$log" < /dev/null &
echo "$!" >> "$SPOOL/jobs"
echo "Submitted batch job $!"
"""
SCANCEL = '#!/bin/bash\ngrep -qx "$1" "$SPOOL/jobs" && kill -TERM -- "-$1"\n'  # none but what the stand-in started
REFUSING = "#!/bin/bash\necho 'sbatch: error: invalid partition specified: nowhere' >&2\nexit 1\n"

CONDOR_SUBMIT = (
    f"#!{sys.executable}\n"
    + """
# stands for condor_submit: fills in the numbers, takes the words of the job apart and runs it in the background
import os, subprocess, sys
text = open(sys.argv[-1]).read()
number = str(os.getpid())
values = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
filled = {"$(LogDirectory)": values["LogDirectory"], "$F(MY.JobId)": number + ".0", "$(ClusterId)": number}
def fill(words):
    for name, value in filled.items():
        words = words.replace(name, value)
    return words
words = values["Arguments"][5:-2].replace(2 * chr(39), chr(39)).replace(2 * chr(34), chr(34))  # after "-c '
with open(fill(values["Error"]), "w") as log:
    job = [values["Executable"], "-c", fill(words)]
    subprocess.Popen(job, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
print("1 job(s) submitted to cluster " + number + ".")
"""
)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """What the workers inherit."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", str(tmp_path / "dask"))


@pytest.fixture
def spool(monkeypatch, tmp_path):
    """Stand-ins for SLURM's commands; yields their folder and ends what they started."""
    if sys.platform != "linux":
        pytest.skip("the stand-in needs setsid")
    folder = tmp_path / "slurm"
    put_on_path(monkeypatch, folder, {"sbatch": SBATCH, "scancel": SCANCEL})
    monkeypatch.setenv("SPOOL", str(folder))
    yield folder
    for job in filter(is_running, jobs_of(folder)):
        os.killpg(job, signal.SIGKILL)


def jobs_of(spool):
    """Numbers of the batch jobs so far."""
    path = spool / "jobs"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def run(tmp_path, n_jobs, progress=None):
    """Run some jobs on one batch worker, with what ``batch_cluster`` makes."""
    manifest = Manifest(manifest_of(tmp_path / "m.jsonl", *map(made_up_job, range(n_jobs))))
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    options = {"memory": "1GiB", "logs": tmp_path / "out" / "logs", "dashboard": "127.0.0.1:0"}
    with batch_cluster("slurm", 1, options={"job_extra_directives": ["--comment=test"]}, **options) as client:
        assert client.scheduler.address.startswith("tls://")
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        tally = run_manifest(client, manifest, Settings(str(ledger.folder)), work=wait_and_finish, progress=progress)
    return tally, {ledger.entry(job.id).state for job in manifest.jobs()}


def kept(tmp_path):
    """Credentials of the batch jobs that run."""
    return (tmp_path / "out" / "logs").glob(".jobs-*/*.pem")


def test_a_batch_job_that_ends_is_replaced_and_all_end_with_the_run(spool, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "LOST_BATCH_JOB", "1 s")
    monkeypatch.setattr(batch, "KEEP_JOBS_EVERY_S", 0.5)

    def progress(tally, outcome):
        """Kill the batch job at work, as a time limit does; let the next one go on."""
        secrets.update((path, path.stat().st_mode & 0o77, path.parent.stat().st_mode & 0o77) for path in kept(tmp_path))
        if list(tmp_path.glob("working-*")) and not (tmp_path / "go on").exists():
            os.killpg(jobs_of(spool)[0], signal.SIGKILL)
            (tmp_path / "go on").touch()

    secrets = set()
    tally, states = run(tmp_path, 3, progress)
    assert (tally.done, states) == (3, {"done"})
    assert {(path.name, *modes) for path, *modes in secrets} == {("cert.pem", 0, 0), ("key.pem", 0, 0)}
    assert not any(path.exists() for path, *_ in secrets)
    assert len(jobs_of(spool)) >= 2
    scripts = [path.read_text() for path in spool.glob("script-*.sh")]
    assert all(
        " --protocol tls://" in text and f"__TLS__WORKER__KEY={tmp_path}/out/logs/.jobs-" in text for text in scripts
    )
    assert all(" --dashboard-address 127.0.0.1:0" in text for text in scripts)
    assert all("#SBATCH --comment=test\n" in text and f"{tmp_path}/out/logs/" in text for text in scripts)
    deadline = time.monotonic() + 60
    while any(is_running(job) for job in jobs_of(spool)):
        assert time.monotonic() < deadline, "a batch job outlives its run"
        time.sleep(0.1)


ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
wlan0 00000000 010200C0 0003 0 0 600 00000000 0 0 0
ib0 00000000 010300C0 0003 0 0 100 00000000 0 0 0
eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
"""


@pytest.mark.parametrize(
    ("routes", "options", "network", "is_told"),
    [
        (ROUTES, {}, {"scheduler_options": {"interface": "ib0"}}, False),
        (ROUTES, {"interface": "eth0"}, {"interface": "eth0", "scheduler_options": {"interface": "eth0"}}, False),
        ("", {}, {}, True),
    ],
    ids=["the cheapest way out", "as asked", "no way out"],
)
def test_the_scheduler_of_batch_jobs_listens_on_one_network_or_says_so(
    tmp_path, monkeypatch, capsys, routes, options, network, is_told
):
    (tmp_path / "route").write_text(routes)
    monkeypatch.setattr(batch, "ROUTES", tmp_path / "route")
    asked = []
    monkeypatch.setattr(batch, "batch_cluster", lambda *_, options, **__: asked.append(options))
    given = {"interface": None, "scheduler": None, "workers": None, "batch_options": (), "no_tls": False, **options}
    asked_cluster(tmp_path, jobqueue="slurm", **given)
    assert asked == [network]
    assert ("listens on every network" in capsys.readouterr().err) == is_told


def run_without_python(out, jobqueue, option):
    """A run of one job by a batch system whose jobs cannot begin."""
    manifest = manifest_of(out.parent / "m.jsonl", made_up_job(0))
    options = ["--jobqueue-option", "python=/no/such/python", "--jobqueue-option", option]
    ended = CliRunner().invoke(
        main, ["archive", "run", str(manifest), "--out", str(out), "--jobqueue", jobqueue, *options]
    )
    assert ended.exit_code == 1
    return ended


def test_batch_jobs_that_end_before_they_are_ready_stop_the_run(spool, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "KEEP_JOBS_EVERY_S", 0.2)
    out = tmp_path / "out of sight"
    ended = run_without_python(out, "slurm", 'job_script_prologue=["echo Loading modules"]')
    assert re.fullmatch(
        r"Error: \d+ workers in a row ended before they had finished a job; the newest log, "
        rf"{out}/logs/dask-worker-\d+\.err, ends \"Loading modules \| .*/no/such/python: No such file or directory\"\. "
        r"Stopped after 0 of 1 job; what is done is kept, and the same command goes on from there\.",
        ended.stderr.splitlines()[-1],
    ), ended.output
    assert len(jobs_of(spool)) >= MOST_LOST
    assert [path.name for path in (out / "logs").iterdir() if path.name.startswith(".")] == []


def test_jobs_of_htcondor_that_end_before_they_are_ready_stop_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "KEEP_JOBS_EVERY_S", 0.2)
    put_on_path(monkeypatch, tmp_path / "condor", {"condor_submit": CONDOR_SUBMIT, "condor_rm": "#!/bin/sh\n"})
    out = tmp_path / "it's out"
    ended = run_without_python(out, "htcondor", "disk=1GB")
    assert re.fullmatch(
        r"Error: \d+ workers in a row ended before they had finished a job; the newest log, "
        rf"{out}/logs/worker-\d+\.0\.err, "
        r"ends \".*/no/such/python: not found\"\. Stopped after 0 of 1 job; .*",
        ended.stderr.splitlines()[-1],
    ), ended.output


STUCK = "#!/bin/bash\necho 'Submitted batch job 4194305'\n"  # a number that no process has


def test_batch_jobs_that_never_begin_stop_the_run_in_time(spool, tmp_path):
    (spool / "sbatch").write_text(STUCK)
    (spool / "scancel").write_text("#!/bin/bash\n")
    manifest, out = manifest_of(tmp_path / "m.jsonl", made_up_job(0)), tmp_path / "out"
    command = ["archive", "run", str(manifest), "--out", str(out), "--jobqueue", "slurm"]
    command += ["--wait-for-workers", "0.0005"]
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1] == (
        f"Error: There has been no worker for 0.0005 h; there is no log of them in {out}/logs. "
        "Stopped after 0 of 1 job; what is done is kept, and the same command goes on from there."
    ), ended.output


@pytest.mark.parametrize(
    ("system", "variable"),
    [
        ("slurm", "SLURM_JOB_ID"),
        ("pbs", "PBS_JOBID"),
        ("lsf", "LSB_JOBID"),
        ("oar", "OAR_JOB_ID"),
        ("sge", "JOB_ID"),
        ("moab", "PBS_JOBID"),
    ],
)
@pytest.mark.filterwarnings("ignore:OAR Job memory")
def test_a_batch_job_leaves_a_mark_with_its_number(tmp_path, monkeypatch, system, variable):
    marks = tmp_path / "it's here"
    marks.mkdir()
    kind = getattr(dask_jobqueue, f"{system.upper() if system != 'moab' else 'Moab'}Cluster").job_cls
    options = {"cores": 1, "processes": 1, "memory": "1GiB", "python": "/no/such/python", "shebang": "#!/bin/bash"}
    job = kind("tcp://here:1", "worker", job_script_prologue=mark_of_end(marks), **options)
    (tmp_path / "job").write_text(job.job_script())
    monkeypatch.setenv(variable, "17.server")
    ended = subprocess.run(["bash", tmp_path / "job"], check=False, capture_output=True, text=True)
    assert "/no/such/python: No such file" in ended.stderr
    assert [path.name for path in marks.iterdir()] == ["17.server"]


def run_here(tmp_path, work):
    """Run a job on a process of this machine."""
    manifest = Manifest(manifest_of(tmp_path / "m.jsonl", made_up_job(0)))
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    with cluster.local_cluster(1, logs=tmp_path / "out" / "logs") as client:
        return run_manifest(client, manifest, Settings(str(ledger.folder)), work=work)


def test_nobody_else_reaches_the_processes_of_this_machine(tmp_path):
    with cluster.local_cluster(1, logs=tmp_path) as client:
        client.wait_for_workers(1)
        addresses = [client.scheduler.address, *client.scheduler_info()["workers"]]
        assert all(address.startswith("tls://127.0.0.1:") for address in addresses)
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        other = distributed.Security.temporary()
        for address, security in [(addresses[0].replace("tls", "tcp"), None), (addresses[0], other)]:
            with pytest.raises(OSError, match=r"certificate does not match|reset by peer"):
                distributed.Client(address, security=security, timeout=1)
        with (
            pytest.raises(OSError, match="before comm was established"),
            dask.config.set({"distributed.comm.timeouts.connect": 1}),
        ):
            asyncio.run(ask(addresses[1], other))


async def ask(address, security):
    """Ask a worker who it is."""
    async with distributed.rpc(address, connection_args=security.get_connection_args("client")) as worker:
        return await worker.identity()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "tcp://127.0.0.1:1",
            "Expected a scheduler with TLS, such as tls://host:8786, received tcp://127.0.0.1:1: who",
        ),
        ("127.0.0.1:1", "Expected a scheduler with TLS, such as tls://host:8786, received 127.0.0.1:1: whoever"),
        ("tls://127.0.0.1:1", "Expected TLS credentials for tls://127.0.0.1:1 in dask's configuration: distributed."),
    ],
)
def test_a_scheduler_that_everybody_reaches_is_taken_when_asked_only(tmp_path, monkeypatch, address, message):
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT_S", 0.5)
    manifest = manifest_of(tmp_path / "m.jsonl", made_up_job(0))
    command = ["archive", "run", str(manifest), "--out", str(tmp_path / "out"), "--scheduler", address]
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1].startswith(f"Error: {message}"), ended.output
    if not address.startswith("tls"):
        taken = CliRunner().invoke(main, [*command, "--no-tls"])
        assert taken.stderr.startswith(f"Error: No dask scheduler answers at {address}"), taken.output


def test_credentials_that_cannot_be_read_are_one_sentence(tmp_path):
    settings = {f"distributed.comm.tls.{name}": str(tmp_path / "none.pem") for name in ("ca-file", "client.cert")}
    with dask.config.set(settings), pytest.raises(InputError, match=r"^Cannot read the TLS credentials .*No such file"):
        cluster.require_encrypted("tls://here:1")


@pytest.fixture
def impatient(monkeypatch):
    """Two processes in a row are too many already, as they take seconds to start; more may end at once."""
    monkeypatch.setattr(losses, "MOST_LOST", 2)
    monkeypatch.setattr(cluster, "KEEP_EVERY_S", 0.2)


def test_processes_that_end_at_work_stop_the_run(tmp_path, impatient):
    message = (
        r"^([2-9]|\d\d+) workers in a row ended before .* the newest log, "
        r".*/workers\.log, ends \".*no such library\"\. Stopped"
    )
    with pytest.raises(RunStoppedError, match=message):
        run_here(tmp_path, end_process)


def test_processes_that_end_before_they_are_ready_stop_the_run(tmp_path, impatient):
    message = r"^([2-9]|\d\d+) workers in a row ended before .* job; there is no log of them in"
    with (
        dask.config.set({"distributed.worker.preload": ["tests.support.fatal_preload"]}),
        pytest.raises(RunStoppedError, match=message),
    ):
        run_here(tmp_path, wait_and_finish)


def is_running(job):
    """Whether the script of a batch job is at work."""
    try:
        return psutil.Process(job).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory-per-worker", "lots"], "Expected memory such as 4GiB, received 'lots'."),
        (["--jobqueue", "slurm", "--memory-per-worker", "lots"], "Expected memory such as 4GiB, received 'lots'."),
        (["--memory-per-worker", "-5GiB"], "Expected at least 512MiB of memory per worker, received '-5GiB'."),
        (["--jobqueue", "slurm", "--memory-per-worker", "1MiB"], "Expected at least 512MiB of memory per worker, rec"),
        (["--memory-per-worker", "1e400"], "Expected memory such as 4GiB, received '1e400'."),
        (["--jobqueue", "slurm", "--interface", "none0"], "No scheduler starts with these options: 'none0' is not a"),
        (["--jobqueue", "batch"], "Expected a batch system out of htcondor, lsf,"),
    ],
)
def test_an_engine_that_cannot_be_had_is_one_sentence(tmp_path, options, message):
    manifest = manifest_of(tmp_path / "m.jsonl", made_up_job(0))
    ended = CliRunner().invoke(main, ["archive", "run", str(manifest), "--out", str(tmp_path / "out"), *options])
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1].startswith(f"Error: {message}"), ended.output


def test_an_edited_line_is_found_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "local_cluster", lambda *args, **options: pytest.fail("a cluster was started"))
    path = manifest_of(tmp_path / "m.jsonl", made_up_job(0))
    path.write_text(path.read_text().replace("sub-0", "sub-1"))
    ended = CliRunner().invoke(main, ["archive", "run", str(path), "--out", str(tmp_path / "out")])
    assert ended.stderr.startswith(f"Error: {path}, line 2: the line was edited since it was written."), ended.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("queue=nowhere", r"slurm did not take a batch job: sbatch: error: invalid partition specified: nowhere"),
        (
            "foo=1",
            r"Expected options of dask-jobqueue's SLURMCluster, received foo=1: .* 'foo'\. See its documentation\.",
        ),
        ("foo", r"Expected NAME=VALUE for --jobqueue-option, received foo\."),
    ],
)
def test_what_the_batch_system_refuses_is_one_sentence(spool, tmp_path, option, message):
    (spool / "sbatch").write_text(REFUSING)
    manifest = manifest_of(tmp_path / "m.jsonl", made_up_job(0))
    command = [
        "archive",
        "run",
        manifest,
        "--out",
        tmp_path / "out",
        "--jobqueue",
        "slurm",
        "--jobqueue-option",
        option,
    ]
    ended = CliRunner().invoke(main, list(map(str, command)))
    assert ended.exit_code in (1, 2)
    assert re.fullmatch(f"Error: {message}", ended.stderr.splitlines()[-1]), ended.output
    assert Ledger(tmp_path / "out").entry(made_up_job(0).id).state == "pending"


@needs_slurm
def test_slurm_itself_runs_the_workers(tmp_path):
    (tmp_path / "go on").touch()
    tally, states = run(tmp_path, 3)
    assert (tally.done, states) == (3, {"done"})
    (number,) = (path.name.partition("-")[2] for path in tmp_path.glob("working-*"))
    assert number.isdigit()  # a job of SLURM did it
    assert [path for path in (tmp_path / "out" / "logs").iterdir() if number in path.name]
