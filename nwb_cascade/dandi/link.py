"""Where the bytes of an asset are, and how patient to be with those who keep them."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass

import requests
from dandi.consts import DandiInstance

from nwb_cascade.dandi.assets import Asset
from nwb_cascade.dandi.client import token_for
from nwb_cascade.dandi.turns import turn
from nwb_cascade.errors import RemoteChangedError, RemoteError

BUSY = {408, 429, 500, 502, 503, 504}
REFUSED = {400, 401, 403, 404, 410}  # what storage answers to a link that expired, or that never worked


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a reader is.

    Parameters
    ----------
    attempts : int
        Attempts in a row that may bring no byte; one that brings some starts the count again.
    first_wait_s, longest_wait_s : float
        Wait after the first failure; it doubles with each further one, up to the longest. Half of it is random.
    connect_timeout_s, read_timeout_s : float
        Silence after which a connection counts as broken.
    """

    attempts: int = 8
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0

    def wait_s(self, failures: int, asked_s: float) -> float:
        """Return how long to wait after so many failures in a row, at least what the server asked for."""
        wait = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)
        return max(wait, min(asked_s, self.longest_wait_s))


class Sessions(threading.local):
    """One HTTP session per thread, with its open connections."""

    def __init__(self) -> None:
        self.session = requests.Session()


class TransientError(Exception):
    """An attempt failed in a way that may pass.

    Parameters
    ----------
    reason : str
        In words, without the query of a signed link.
    wait_s : float
        What the server asked to wait.
    is_expired : bool
        Whether the link did not work any more, so that a new one should be tried at once.
    """

    def __init__(self, reason: str, *, wait_s: float = 0.0, is_expired: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.is_expired = is_expired


class Link:
    """Where the bytes of an asset are now: its place in the storage, or a link that the API gives out for a while.

    Parameters
    ----------
    name : str
        The asset's address, for messages.
    direct_url : str
        Its place in the storage, tried first; may be empty.
    api_url : str
        URL of the API that redirects to a fresh link; may be empty.
    token : str or None
        API key for the API; never sent to the storage.

    Attributes
    ----------
    is_replaced : bool
        Whether a URL was refused, so that the API was asked for another.
    """

    def __init__(self, name: str, direct_url: str, api_url: str, token: str | None) -> None:
        self.name = name
        self.is_replaced = False
        self._url = direct_url
        self._api_url = api_url
        self._token = token

    @classmethod
    def of(cls, asset: Asset) -> Link:
        """Return the link to a blob."""
        return cls(asset.address, asset.storage_url, asset.download_url if asset.api_url else "", token_of(asset))

    def url(self, session: requests.Session, timeout: tuple[float, float]) -> str:
        """Return the URL to read from; asks the API if there is none yet."""
        if not self._url:
            headers = {"Authorization": f"token {self._token}"} if self._token else {}
            with turn():
                response = session.get(self._api_url, headers=headers, timeout=timeout, allow_redirects=False)
            self._url = self._target(response)
        return self._url

    def drop(self, url: str) -> bool:
        """Forget a URL that was refused; returns whether another can be asked for."""
        if self._url == url and self._api_url:
            self._url, self.is_replaced = "", True
        return bool(self._api_url)

    def _target(self, response: requests.Response) -> str:
        if response.is_redirect:
            return response.headers["Location"]
        if response.status_code in (401, 403):
            having = "with this API key" if self._token else "without an API key, see DANDI_API_KEY"
            raise PermissionError(f"{self.name} may not be read {having}.")
        if response.status_code in (404, 410):
            raise RemoteChangedError(f"{self.name} is no longer on the server; look it up again.")
        if response.status_code in BUSY:
            raise TransientError(f"status {response.status_code} of the API", wait_s=asked_wait_s(response))
        raise RemoteError(f"{self.name} cannot be read: status {response.status_code} of the API.")


def token_of(asset: Asset) -> str | None:
    """Return the API key of the environment for an asset's instance."""
    return token_for(DandiInstance(asset.instance, None, asset.api_url)) if asset.api_url else None


def asked_wait_s(response: requests.Response) -> float:
    """Return the seconds that an answer asks to wait, 0 if it does not say."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def without_query(text: str) -> str:
    """Cut the queries off URLs in a text; those of signed links are secrets for as long as they work."""
    return re.sub(r"\?[^\s'\")]+", "", text)
