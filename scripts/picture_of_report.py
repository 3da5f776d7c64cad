"""The picture in docs/report.md: the page of the demo in headless Chromium, as a PNG of few colours.

    python -m scripts.picture_of_report [--output docs/report.png]

Needs chromium, chromedriver and selenium (the extra ``test``). Run it from the root of the repository when the bundled
ensemble or the page has changed, and look at the picture.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image

from nwb_cascade.demo import run_demo
from tests.support.browser import chromium, console_problems, open_page

WIDTH, HEIGHT, COLOURS = 1400, 5000, 128
LAST = "#rows tbody tr:nth-child(6)"  # the row of the table that the picture ends with


def main() -> None:
    """Run the demo, open its page, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/report.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = run_demo(Path(folder) / "demo", report=True).report
        assert page is not None
        with chromium(Path(folder) / "profile", size=(WIDTH, HEIGHT)) as browser:
            open_page(browser, page)
            print("console:", console_problems(browser) or "silent")
            bottom = browser.execute_script(f"return document.querySelector('{LAST}').getBoundingClientRect().bottom")
            whole = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture = whole.crop((0, 0, whole.width, int(bottom)))
    picture.quantize(COLOURS).save(options.output, optimize=True)
    print(f"{options.output}: {picture.size}, {options.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
