"""Headless Chromium for pages: opened from a file, without a network, with everything that it writes to its console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PAGE_SECONDS = 60
BENIGN = ("favicon.ico",)


@contextmanager
def chromium(profile: Path, *, size: tuple[int, int] = (1400, 1000)) -> Iterator[Any]:
    """Start Chromium with a fresh profile; skip the test where it or selenium is absent."""
    pytest.importorskip("selenium", reason="browser tests need selenium: pip install selenium")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=ChromeService(driver))
    try:
        browser.set_page_load_timeout(PAGE_SECONDS)
        yield browser
    finally:
        browser.quit()


def open_page(browser: Any, page: Path) -> None:
    """Open a report and wait until it is drawn."""
    browser.get(page.resolve().as_uri())
    wait_for(browser, "return document.body.dataset.ready === 'yes'")


def wait_for(browser: Any, script: str) -> Any:
    """Wait until a script returns something true, and return that."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PAGE_SECONDS).until(lambda b: b.execute_script(script))


def console_problems(browser: Any) -> list[str]:
    """Warnings and errors that the page wrote to the console."""
    return [
        entry["message"]
        for entry in browser.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING") and not any(word in entry["message"] for word in BENIGN)
    ]
