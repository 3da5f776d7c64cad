"""Write the list of modules in docs/architecture.md anew, from the first lines of their docstrings.

python -m scripts.list_modules
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "## Every module\n"


def listed() -> str:
    """The section: of each folder what its package says of itself, then a line per module."""
    paths = [path for package in ("nwb_cascade", "ground_truth_nwb") for path in (ROOT / package).rglob("*.py")]
    return "\n".join([HEADING, *(_section(folder) for folder in sorted({path.parent for path in paths}))])


def _section(folder: Path) -> str:
    name = folder.relative_to(ROOT).as_posix()
    modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    lines = [f"- `{path.stem}`: {_purpose(path)}" for path in modules]
    return "\n".join([f"**`{name}/`** {_purpose(folder / '__init__.py')}", "", *lines, ""])


def _purpose(path: Path) -> str:
    """First line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise ValueError(f"Expected a docstring that says what {path} is for, found none.")
    return text.partition("\n")[0]


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]
    PAGE.write_text(before + listed(), encoding="utf-8")
