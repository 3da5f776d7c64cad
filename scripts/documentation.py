"""What the documentation site has beside ``docs/``: pages made from code, click and other folders. A hook of mkdocs.

bash .ci/run docs
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import nwb_cascade

ROOT = Path(__file__).parents[1]
BRANCH = "main"
COMMANDS = """# Commands

::: mkdocs-click
    :module: nwb_cascade.cli
    :command: main
    :prog_name: nwb-cascade
    :depth: 1
    :style: plain
"""
# Files of the repository that are pages of the site, too: where they are there.
OTHERS = {
    "ndx-spike-inference/README.md": "ndx-spike-inference/index.md",
    "ndx-spike-inference/docs/fields.md": "ndx-spike-inference/fields.md",
    "ndx-spike-inference/docs/catalog.md": "ndx-spike-inference/catalog.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security_policy.md",
}
REFERENCE = {
    "api/blocks.md": (
        "Building blocks",
        "Pieces for programs of your own: arrays in, arrays out, and what reads and shows files.",
        (
            "nwb_cascade.dff.compute_dff",
            "nwb_cascade.dff.DffMethod",
            "nwb_cascade.dff.DffResult",
            "nwb_cascade.discrete.discrete_spikes",
            "nwb_cascade.discrete.match_spikes",
            "nwb_cascade.readers.recording",
            "nwb_cascade.readers.sources.opened",
            "nwb_cascade.readers.stored_runs.open_run",
            "nwb_cascade.report.write_report",
            "nwb_cascade.report.figures",
            "nwb_cascade.options.InferenceOptions",
            "nwb_cascade.options.OutputOptions",
            "nwb_cascade.errors",
        ),
    ),
    "api/method.md": (
        "Method",
        "The core on arrays, each function with its formula and source.",
        (
            "nwb_cascade.core.noise",
            "nwb_cascade.core.kernels",
            "nwb_cascade.core.resampling",
            "nwb_cascade.core.screening",
            "nwb_cascade.core.selection",
            "nwb_cascade.core.scores",
        ),
    ),
    "api/ground_truth.md": (
        "Ground truth",
        "Recordings whose spikes are known: catalogue, converters, simulator.",
        (
            "ground_truth_nwb.cells",
            "ground_truth_nwb.catalogue",
            "ground_truth_nwb.convert.convert",
            "ground_truth_nwb.nwb_read.read_nwb_cell",
            "ground_truth_nwb.write.write_cell",
            "ground_truth_nwb.simulate",
        ),
    ),
    "api/types.md": (
        "NWB types in Python",
        "Classes of `ndx_spike_inference`.",
        (
            "ndx_spike_inference.SpikeInferenceModel",
            "ndx_spike_inference.InferredSpikeRateSeries",
            "ndx_spike_inference.InferredSpikesTable",
        ),
    ),
}
LINK = re.compile(r"(\]\()([^)\s:#]+)((?:#[^)]*)?\))")


def on_config(config: Any) -> None:
    """Put pages that `nav` does not name at the end of their section, so that a new page is on the site at once."""
    docs = Path(config.docs_dir)
    named = set(_pages_in(config.nav))
    for pattern, section in (("*.md", "How to"), ("notebooks/*.ipynb", "Notebooks")):
        pages = sorted(path.relative_to(docs).as_posix() for path in docs.glob(pattern))
        (entries,) = (entry[section] for entry in config.nav if section in entry)
        entries += [page for page in pages if page not in named]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that no file of ``docs/`` holds."""
    pages = {"commands.md": COMMANDS, "api/package.md": _package()}
    pages |= {name: _reference(*parts) for name, parts in REFERENCE.items()}
    pages |= {page: (ROOT / source).read_text(encoding="utf-8") for source, page in OTHERS.items()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: Any, files: Files) -> str:
    """Lead links out of ``docs/`` to the same thing on the site, or to the repository."""
    here = posixpath.dirname(_in_repository(page.file.src_uri))

    def led(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, match[2]))
        at = _on_site(target)
        if at is None or (at not in files.src_uris and not at.endswith(".html")):
            address = f"{config.repo_url}/blob/{BRANCH}/{target}" if config.repo_url else ""
            return f"{match[1]}{address}{match[3]}" if address else "](#)"
        return f"{match[1]}{posixpath.relpath(at, posixpath.dirname(page.file.src_uri) or '.')}{match[3]}"

    return re.sub(r"\[([^\]]*)\]\(#\)", r"\1", LINK.sub(led, markdown))


def on_page_content(html: str, *, page: Page, config: Any, files: Files) -> str:
    """Give notebooks a link that opens them in Colab, where the address of the repository is known."""
    place = re.match(r"https://github\.com/([^/]+/[^/]+?)/?$", config.repo_url or "")
    if not page.file.src_uri.endswith(".ipynb") or place is None:
        return html
    path = quote(f"docs/{page.file.src_uri}")
    address = f"https://colab.research.google.com/github/{place[1]}/blob/{BRANCH}/{path}"
    return f'<p><a class="md-button" href="{address}">Open in Colab</a></p>{html}'


def _pages_in(nav: Any) -> Iterator[str]:
    """The pages of a navigation, however deep."""
    if isinstance(nav, str):
        yield nav
    for entry in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from _pages_in(entry)


def _package() -> str:
    """The page of the public names: what `nwb_cascade.__all__` lists, where it is defined."""
    named = {name: getattr(nwb_cascade, name) for name in nwb_cascade.__all__}
    things = sorted(named.values(), key=lambda thing: isinstance(thing, type))  # functions first
    places = tuple(f"{thing.__module__}.{thing.__qualname__}" for thing in things)
    what = "Everything is loaded when it is first used: `import nwb_cascade` costs nothing."
    return _reference("nwb_cascade", what, places)


def _reference(title: str, what: str, places: tuple[str, ...]) -> str:
    return "\n\n".join([f"# {title}", what, *(f"::: {place}" for place in places)]) + "\n"


def _in_repository(page: str) -> str:
    """Path in the repository of a page's source."""
    sources: Mapping[str, str] = {at: source for source, at in OTHERS.items()}
    return sources.get(page, f"docs/{page}")


def _on_site(target: str) -> str | None:
    """Where a file or folder of the repository is on the site; None if it is not."""
    if target in OTHERS:
        return OTHERS[target]
    if target == "README.md":
        return "index.md"
    if target == "docs/app/index.html":
        return "app/index.html"
    if target == "ndx-spike-inference/docs":
        return OTHERS["ndx-spike-inference/docs/fields.md"]
    return target.removeprefix("docs/") if target.startswith("docs/") else None
