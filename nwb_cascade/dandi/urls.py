"""Addresses of files on DANDI: ``dandi://`` addresses, web pages, API and storage URLs, ids with globs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from dandi.consts import DandiInstance, known_instances
from dandi.dandiarchive import (
    AssetFolderURL,
    AssetGlobURL,
    AssetItemURL,
    DandisetURL,
    ParsedDandiURL,
    parse_dandi_url,
)
from dandi.exceptions import CliVersionError, NotFoundError, UnknownURLError
from dandi.utils import get_instance

from nwb_cascade.dandi.address_forms import IDENTIFIER, LOCATED
from nwb_cascade.dandi.client import is_loopback, keep_quiet
from nwb_cascade.dandi.turns import turn
from nwb_cascade.errors import InputError, RemoteError

EXAMPLE = "dandi://dandi/000402@0.230307.2132/sub-17797/sub-17797_ses-4-scan-10.nwb"

_VERSION = r"(?:[0-9]+\.[0-9]+\.[0-9]+|draft)"
_PAGE = re.compile(
    r"https?://[^/]+/(?:api/)?(?:#/)?(?:dandisets?/[0-9]{6}|assets/[0-9a-f-]{36}\b)|https?://gui\.dandiarchive\.org/"
    r"|https?://identifiers\.org/DANDI:"
)


@dataclass(frozen=True)
class FileURL:
    """A file on any web server, such as the URL of a blob in DANDI's storage."""

    url: str

    @property
    def path(self) -> str:
        """Path of the URL, which stands for the path of an asset."""
        return unquote(urlsplit(self.url).path).strip("/")


Address: TypeAlias = ParsedDandiURL | FileURL


def parse_address(text: str, *, instance: str | None = None) -> Address:
    """Understand an address on DANDI, through dandi's own parser; asks the instance what its API's URL is.

    Parameters
    ----------
    text : str
        One of

        - ``dandi://INSTANCE/DANDISET[@VERSION][/PATH]``; the instance is a name that dandi knows or ``HOST[:PORT]``,
          the path is that of an asset, a folder that ends with ``/``, or a glob (``*`` matches ``/``, too),
        - ``DANDISET[@VERSION][/PATH]``, the same on the default instance,
        - ``DANDI:DANDISET[/VERSION]``,
        - a web page of an archive (dandiset, version, folder),
        - an API URL (dandiset, version, asset, asset download, assets by ``?path=`` or ``?glob=``),
        - any other URL of an NWB file, for instance in an archive's storage.
    instance : str, optional
        Name or API URL of the instance for addresses that name none; by default that of the environment variable
        ``DANDI_INSTANCE``, else ``dandi``.

    Returns
    -------
    ParsedDandiURL or FileURL

    Raises
    ------
    InputError
        If the text is none of these, or names an unknown instance.
    RemoteError
        If the instance does not answer.
    """
    if match := LOCATED.fullmatch(text):
        name = match["instance"] or instance or os.environ.get("DANDI_INSTANCE") or "dandi"
        return _located(text, find_instance(name), match["dandiset"], match["version"], match["path"] or "")
    if _PAGE.match(text) or IDENTIFIER.fullmatch(text):
        return _parsed(text)
    if text.startswith(("http://", "https://")) and urlsplit(text).path.strip("/"):
        return FileURL(text)
    raise InputError(f"Expected an address such as {EXAMPLE} or the URL of an NWB file, received {text!r}.")


def find_instance(name: str) -> DandiInstance:
    """Return a DANDI instance by its name, ``HOST[:PORT]`` or URL, as dandi's own client finds it.

    Raises
    ------
    InputError
        If there is no instance of that name.
    RemoteError
        If the server does not answer or is no DANDI archive.
    """
    if name.lower() in known_instances:
        return _ask(name.lower())
    if name.startswith(("http://", "https://")):
        return _ask(name)
    if re.fullmatch(r"localhost|.*[.:].*", name):
        return _ask(f"{'http' if is_loopback(f'http://{name}') else 'https'}://{name}/api")
    known = ", ".join(sorted(known_instances))
    raise InputError(f"Unknown DANDI instance {name!r}: expected one of {known}, or HOST:PORT of another one.")


def _ask(name_or_url: str) -> DandiInstance:
    keep_quiet()
    try:
        with turn():
            return get_instance(name_or_url)
    except (RuntimeError, ValueError) as error:  # the former have no reason, the latter all that pydantic says
        raise RemoteError(
            f"{name_or_url} does not answer as a DANDI archive: check the address and the connection."
        ) from error
    except CliVersionError as error:
        raise RemoteError(f"{name_or_url} does not take this client: {error}.") from error


def _located(text: str, instance: DandiInstance, dandiset: str, version: str | None, path: str) -> ParsedDandiURL:
    """Parse ``dandi://``; for a server without a name build what dandi's parser would, if it took host and port."""
    if version is not None and not re.fullmatch(_VERSION, version):
        raise InputError(f"Expected a version such as 0.230307.2132 or draft after the @ of {text!r}.")
    path = path.lstrip("/")
    if instance.name in known_instances:
        at = f"@{version}" if version else ""
        return _parsed(f"dandi://{instance.name}/{dandiset}{at}/{path}")
    where = {"instance": instance, "dandiset_id": dandiset, "version_id": version}
    if not path:
        return DandisetURL(**where)
    if "*" in path:
        return AssetGlobURL(**where, path=path)
    return AssetFolderURL(**where, path=path) if path.endswith("/") else AssetItemURL(**where, path=path)


def _parsed(text: str) -> ParsedDandiURL:
    """Let dandi parse an address, with its failures in one sentence."""
    keep_quiet()
    try:
        with turn():
            return parse_dandi_url(text, glob="*" in unquote(text))
    except UnknownURLError as error:
        raise InputError(f"Expected an address such as {EXAMPLE}, received {text!r}.") from error
    except NotFoundError as error:
        raise InputError(f"There is no page {text}; check the address.") from error
    except (RuntimeError, CliVersionError) as error:
        raise RemoteError(f"The server of {text} does not answer as a DANDI archive: {error}.") from error
