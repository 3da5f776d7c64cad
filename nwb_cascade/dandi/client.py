"""Connections to a DANDI instance: dandi's own client, with time limits and the right token.

A token goes only to the instance that it belongs to. It is read from the environment when a connection is made
and lives in the headers of that connection alone: not in assets, messages or logs.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from dandi.consts import DandiInstance, known_instances
from dandi.dandiapi import DandiAPIClient
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from nwb_cascade.dandi.turns import turn
from nwb_cascade.errors import RemoteError
from nwb_cascade.files.connections import is_untrusted, why

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
PAGE_SIZE = 1000  # the most that the archive's API gives at once
PAGE_WORKERS = 2  # pages fetched at the same time; dandi's default of 5 is more than one listing needs
UNREACHED_ATTEMPTS, UNREACHED_S = (
    6,
    20.0,
)  # in a row; dandi's 12 take 53 s where connections are refused, minutes elsewhere
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Considerate(HTTPAdapter):
    """Gives every request a time limit, as dandi's client would wait for ever, and makes it await its turn.

    A server that no connection reaches is given up sooner than by dandi's client, which tries again after every
    ConnectionError of requests, but after no other error.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unreached: list[float] = []  # when connections failed, since the last that did not

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        try:
            with turn():
                response = super().send(request, *args, **kwargs)
                if not kwargs.get("stream"):
                    _ = response.content  # comes within the turn
            self._unreached.clear()
            return response
        except requests.exceptions.SSLError as error:
            if is_untrusted(error):  # nor does another attempt help here
                raise RemoteError(f"{urlsplit(request.url or '').hostname} is not read: {why(error)}.") from error
            raise
        except requests.ReadTimeout as error:
            # dandi's client tries again after a ConnectionError, but not after a ReadTimeout
            raise requests.ConnectionError(str(error), request=request) from error
        except requests.ConnectionError as error:
            self._require_reached(request, error)
            raise

    def _require_reached(self, request: requests.PreparedRequest, error: requests.ConnectionError) -> None:
        """Raise RemoteError if connections to the server failed too often in a row."""
        reason = getattr(error.args[0] if error.args else None, "reason", None)  # of urllib3, where it tells one
        if not isinstance(reason, (NewConnectionError, ConnectTimeoutError)):
            return
        self._unreached.append(time.monotonic())
        n, waited_s = len(self._unreached), self._unreached[-1] - self._unreached[0]
        if n >= UNREACHED_ATTEMPTS or waited_s > UNREACHED_S:
            host = urlsplit(request.url or "").netloc
            raise RemoteError(f"{host} does not answer in {n} attempts: {why(error)}. Try again later.") from error


def connect(instance: DandiInstance, *, token: str | None = None) -> DandiAPIClient:
    """Return a client of an instance; use it as a context manager.

    Parameters
    ----------
    instance : dandi.consts.DandiInstance
        The archive to talk to.
    token : str, optional
        API key; by default the one the environment holds for this instance, see `token_for`.
    """
    keep_quiet()
    client = DandiAPIClient(dandi_instance=instance)
    client.page_size, client.page_workers = PAGE_SIZE, PAGE_WORKERS
    for scheme in ("http://", "https://"):
        client.session.mount(scheme, Considerate())
    if token := token or token_for(instance):
        client.session.headers["Authorization"] = f"token {token}"
    return client


def keep_quiet() -> None:
    """Keep Python from printing what dandi logs, which is told in words of our own, to stderr."""
    logger = logging.getLogger("dandi")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def token_for(instance: DandiInstance) -> str | None:
    """Return the API key that the environment holds for an instance.

    Instances that dandi knows by name have a variable each (``DANDI_API_KEY``, ``DANDI_SANDBOX_API_KEY``,
    ``EMBER_DANDI_API_KEY``, ...), as for dandi's own commands. Any other server gets ``DANDI_API_KEY`` only if
    ``DANDI_INSTANCE`` names it, so that no address can lure the key away, and only such a one without encryption.
    """
    return os.environ.get(token_variable(instance)) if owns_a_token(instance) else None


def token_variable(instance: DandiInstance) -> str:
    """Return the name of the environment variable for an instance's API key."""
    return f"{instance.name.upper().replace('-', '_')}_API_KEY" if is_known(instance) else "DANDI_API_KEY"


def owns_a_token(instance: DandiInstance) -> bool:
    """Tell whether a token from the environment may be sent to this instance."""
    default = os.environ.get("DANDI_INSTANCE", "").rstrip("/")
    return default in set(instance.urls()) or (is_known(instance) and instance.api.startswith("https://"))


def is_known(instance: DandiInstance) -> bool:
    """Whether it is the instance that dandi knows by that name, and not another that calls itself so."""
    known = known_instances.get(instance.name)
    return known is not None and urlsplit(known.api).hostname == urlsplit(instance.api).hostname


def is_loopback(url: str) -> bool:
    """Tell whether a URL points to this machine."""
    return urlsplit(url).hostname in LOOPBACK
