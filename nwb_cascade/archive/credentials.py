"""TLS between the processes of a cluster: nobody else may connect, as whoever may can run code as the user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TLS = "distributed.comm.tls"
OWNER_ONLY = 0o600


def written_credentials(distributed: Any, folder: Path) -> dict[str, Any]:
    """Write new credentials that only the user may read, and return the settings of dask that demand and name them.

    Parameters
    ----------
    distributed : module
        Dask's.
    folder : pathlib.Path
        Seen by all processes of the cluster; its owner removes it.
    """
    security = temporary_security(distributed)
    settings: dict[str, Any] = {"distributed.comm.require-encryption": True}
    for name, text in (("cert", security.tls_scheduler_cert), ("key", security.tls_scheduler_key)):
        path = folder / f"{name}.pem"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
            file.write(text)
        settings |= {f"{TLS}.{role}.{name}": str(path) for role in ("scheduler", "worker", "client")}
    return {**settings, f"{TLS}.ca-file": settings[f"{TLS}.client.cert"]}


def temporary_security(distributed: Any) -> Any:
    """Return new credentials for every process of a cluster, in memory; ImportError if what makes them is missing."""
    try:
        return distributed.Security.temporary()
    except ImportError as error:
        raise ImportError("A cluster needs cryptography: pip install 'nwb-cascade[archive]'.") from error


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables by which processes of dask take settings from their environment."""
    return {f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": str(value) for name, value in settings.items()}
