"""What commands write for people: names from files of strangers steer no terminal."""

from __future__ import annotations

import unicodedata

import click

STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control characters, turned directions, halves of characters, line ends


def printable(text: str, *, kept: str = "\n\t") -> str:
    """Return a text with what would steer a terminal written out.

    Examples
    --------
    >>> print(printable("dff\\x1b[31m"))
    dff\\x1b[31m
    """
    return "".join(
        each if each in kept or unicodedata.category(each) not in STEERING else ascii(each)[1:-1] for each in text
    )


def echo(message: object = "", *, err: bool = False) -> None:
    """Write a line to stdout or stderr."""
    click.echo(printable(str(message)), err=err)
