"""The pages of the documentation as tests see them: blocks of code, and the commands in them.

A comment ``<!-- not run: WHY -->`` on the line before a block says that no test runs it, and why.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")),
    "ndx-spike-inference/README.md",
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: (.+) -->\n+\Z")
INLINE = re.compile(r"`(nwb-cascade [^`]+)`")
PLACEHOLDER = re.compile(r"\.\.\.|…|\[|\]")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language ("" where none is named), its text, and why it is not run."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def place(self) -> str:
        """Page and line, as editors open them."""
        return f"{self.page}:{self.line}"

    def lines(self) -> Iterator[str]:
        """Lines of a shell, those that go on after a backslash joined, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if stripped := re.sub(r"(^|\s)#.*$", "", line).strip():
                yield stripped

    def calls(self) -> Iterator[list[str]]:
        """What follows ``nwb-cascade`` each time that it is called."""
        for line in self.lines():
            yield from commands(line, "nwb-cascade")


def read_page(page: str) -> str:
    """Text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = read_page(page)
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        marked = NOT_RUN.search(before)
        why = marked[1] if marked else None
        found.append(Block(page, before.count("\n") + 1, match[1], match[2], why))
    return found


def commands(line: str, program: str) -> Iterator[list[str]]:
    """The words after a program's name in a line of a shell, for each time that it is called there.

    Brackets and dots, by which a page abbreviates, are left out.
    """
    for call in re.split(r"&&|\|(?=\s)|;", line):
        words = shlex.split(PLACEHOLDER.sub(" ", call.partition(">")[0]))
        if words and words[0] == program:
            yield words[1:]


def inline_commands(page: str) -> Iterator[list[str]]:
    """Calls of ``nwb-cascade`` within sentences."""
    for match in INLINE.finditer(read_page(page)):
        yield from commands(match[1], "nwb-cascade")
