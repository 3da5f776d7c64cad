"""Processors, memory and GPUs, as the system tells them: TensorFlow is not asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from nwb_cascade.doctor.finding import Finding

PART = "machine"
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
LEAST_BYTES = 2 * 2**30  # TensorFlow, its networks and a few blocks of traces
UNLIMITED = 2**60  # what Linux writes for no limit
CUDA_LIBRARIES = "nvidia-cudnn-cu12"  # of tensorflow[and-cuda]


def processors() -> Iterator[Finding]:
    """How many processors this process may use, and whether TensorFlow runs on them."""
    count = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    yield Finding(PART, "processors", "ok", f"{usable} of {count} usable")
    limits = [f"{name}={os.environ[name]}" for name in THREADS if os.environ.get(name, "") not in ("", str(usable))]
    if limits:
        advice = "unset them for one fast inference; keep them where several run at once"
        yield Finding(PART, "threads", "note", f"limited by {', '.join(limits)}", advice)
    flags = _linux_file("/proc/cpuinfo")
    if "\nflags" in flags and " avx " not in flags:
        advice = "TensorFlow's builds crash here: use another machine, or KERAS_BACKEND=torch"
        yield Finding(PART, "AVX", "problem", "the processor lacks these instructions", advice)


def memory() -> Iterator[Finding]:
    """How much memory there is, and how much of it this process may take."""
    total = _system_memory()
    if total is None:
        yield Finding(PART, "memory", "ok", "unknown on this system")
        return
    entries = dict(line.split(":", 1) for line in _linux_file("/proc/meminfo").splitlines() if ":" in line)
    free = int(entries["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in entries else total
    limit = _linux_file("/sys/fs/cgroup/memory.max").strip()
    allowed = int(limit) if limit.isdecimal() and int(limit) < UNLIMITED else total
    words = f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} free"
    if allowed < total:
        words += f", {allowed / 2**30:.1f} allowed to this job"
    is_little = min(free, allowed) < LEAST_BYTES
    advice = "close other programs, or ask the cluster for 4 GB or more" if is_little else ""
    yield Finding(PART, "memory", "note" if is_little else "ok", words, advice)


def gpus() -> Iterator[Finding]:
    """Which GPUs the driver knows, and whether TensorFlow may see them."""
    command = shutil.which("nvidia-smi")
    if command is None:
        yield Finding(PART, "GPU", "ok", "none known to a driver; processors are enough for most recordings")
        return
    query = [command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    run = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    found = [line.strip() for line in run.stdout.splitlines() if line.strip()]
    if run.returncode != 0 or not found:
        told = " ".join((run.stderr or run.stdout).split()) or "no GPU listed"
        yield Finding(PART, "GPU", "note", f"nvidia-smi: {told}", "repair the driver if this machine has a GPU")
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    for line in found:
        yield Finding(PART, "GPU", "ok", line)
    if visible is not None and visible.strip() in ("", "-1"):
        yield Finding(PART, "GPU", "note", "hidden by CUDA_VISIBLE_DEVICES", "unset it to compute on the GPU")
    elif not _has(CUDA_LIBRARIES):
        advice = "unless CUDA is installed otherwise: pip install 'tensorflow[and-cuda]'"
        yield Finding(PART, "CUDA", "note", f"{CUDA_LIBRARIES} is not installed", advice)


def _has(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _system_memory() -> int | None:
    """Bytes of memory; None where the system does not say."""
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _linux_file(path: str) -> str:
    """Text of a file that Linux has; empty elsewhere."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
