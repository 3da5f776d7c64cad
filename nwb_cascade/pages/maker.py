"""Pages from templates (jinja2): one HTML file each, whose style, scripts and pictures are in it."""

from __future__ import annotations

import base64
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ground_truth_nwb.appearing import ANYBODY
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import write_text
from nwb_cascade.files.kinds import PAGE, require_kind
from nwb_cascade.files.private import mode_like
from nwb_cascade.provenance import SOFTWARE, software_version

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SUFFIXES = (".html", ".htm")


def render(template: str, **values: Any) -> str:
    """Return the HTML of a page.

    Parameters
    ----------
    template : str
        Name of a file in ``pages/templates``.
    **values
        What it shows. Texts are escaped; a value that the template names and that is not here is an error.
    """
    return _environment().get_template(template).render(values)


def target_page(output: str | os.PathLike[str]) -> Path:
    """Return the path of a page to write.

    Raises
    ------
    InputError
        If it is a folder, does not end in ``.html``, or exists and is no page of ours.
    """
    path = Path(output)
    if path.is_dir():
        raise InputError(
            f"Expected the path of an HTML file, received the folder {path}. Name a file in it: {path / 'report.html'}."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"Expected the path of an HTML file, received {path}: its name should end in .html.")
    require_kind(path, PAGE)
    return path


def write_page(html: str, path: Path, *, like: Path | None = None, mode: int = ANYBODY) -> Path:
    """Write a page, with a mode, or that of the file that it tells of; it is there in full or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html, mode=mode & mode_like(like))
    return path


def image_source(png: bytes) -> str:
    """Return a picture as the source of an ``img``."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


@cache
def _environment() -> Environment:
    """Templates that escape what they show and refuse what they do not know."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nwb_cascade.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"verbatim": _verbatim, "generator": f"{SOFTWARE} {software_version()}"}
    return environment


def _verbatim(name: str) -> Markup:
    """A style or script beside the templates, as it is."""
    from markupsafe import Markup

    text, _, _ = _environment().loader.get_source(_environment(), name)  # type: ignore[union-attr]
    return Markup(text)
