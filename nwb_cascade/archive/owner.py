"""Who works on a job: a process, recognised later and from elsewhere, and whether it still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> dict[str, Any]:
    """Describe this process: host, machine (this boot, this container), pid, and when it was started."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "started": _started(pid)}


def is_alive(owner: Mapping[str, Any]) -> bool | None:
    """Tell whether a process described by `this_process` still runs; None if that cannot be seen from here.

    Seen from another machine or container, or on a system without ``/proc``, a process may be anything.
    """
    if owner.get("machine") is None or owner.get("machine") != _machine():
        return None
    started = _started(int(owner.get("pid", -1)))
    return started is not None and started == owner.get("started")


@cache
def _machine() -> str | None:
    """This boot of this machine, as seen in this space of process ids."""
    try:
        return f"{BOOT_ID.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """Clock tick at which a process was started; None if it is not there, or dead but not yet buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])  # fields 3 and 22 of proc_pid_stat(5)
