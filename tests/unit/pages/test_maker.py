"""The one maker of pages: what it shows is escaped, what a template asks for must be there."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from nwb_cascade.errors import InputError
from nwb_cascade.pages import image_source, render, target_page, write_page
from tests.support.browser import chromium

NASTY = "<script>alert(1)</script> & \"quoted\" 'too'"
OVERVIEW: dict[str, Any] = {
    "title": NASTY,
    "lead": NASTY,
    "provenance": [(NASTY, NASTY)],
    "counts": [],
    "failures": [(1, NASTY, NASTY, NASTY)],
    "skipped": [],
    "columns": [("path", NASTY, "long"), ("cause", "Cause", "long")],
    "rows": [{"path": 'sub-1/a b" onclick="x.nwb', "cause": NASTY}],
    "shown": str,
}


def test_whatever_a_page_shows_is_escaped() -> None:
    html = render("overview.html", **OVERVIEW)
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert 'href="sub-1/a%20b%22%20onclick%3D%22x.nwb"' in html
    assert len(re.findall(r"<script", html)) == 1, "its own"


def test_a_value_that_the_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'lead' is undefined"):
        render("overview.html", **{name: value for name, value in OVERVIEW.items() if name != "lead"})


def test_a_page_asks_nothing_of_a_network_or_another_file() -> None:
    html = render("overview.html", **OVERVIEW)
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    assert not re.search(r"<link(?![^>]*data:)|@import", html)
    assert ".listing" in html, "the style is in it"


def test_a_picture_is_its_own_source() -> None:
    kind, _, data = image_source(b"\x89PNG\n").partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == b"\x89PNG\n"


def test_a_page_is_written_with_the_folders_it_needs(tmp_path: Path) -> None:
    place = write_page("<p>ü</p>", tmp_path / "new" / "page.html")
    assert place.read_text(encoding="utf-8") == "<p>ü</p>"
    assert [path.name for path in place.parent.iterdir()] == ["page.html"]


def test_only_html_files_are_targets(tmp_path: Path) -> None:
    assert target_page(tmp_path / "page.HTM") == tmp_path / "page.HTM"
    with pytest.raises(InputError, match="received the folder"):
        target_page(tmp_path)
    with pytest.raises(InputError, match=r"should end in \.html"):
        target_page(tmp_path / "page.nwb")


def test_no_word_of_a_table_is_broken_beside_empty_space(tmp_path: Path) -> None:
    address = f"dandi://dandi/000026@draft/{'sub-anm1234567/' * 8}ophys.nwb"
    failures = [(12, address, "InputError", f"Expected a rate in {address}, found none.")]
    page = write_page(render("overview.html", **{**OVERVIEW, "failures": failures}), tmp_path / "overview.html")
    lines = """return [...document.querySelectorAll('table.listing .number, table.listing .words')].map((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return [cell.textContent, new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size];
    })"""
    with chromium(tmp_path / "profile") as browser:
        browser.get(page.resolve().as_uri())
        found = browser.execute_script(lines)
        width = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert found == [["Files", 1], ["Error", 1], ["12", 1], ["InputError", 1]]
    assert width <= 0, "long addresses are broken instead"
