"""How our objects show themselves: what they are on one screen, without the whole of what they hold or refer to."""

from __future__ import annotations

from typing import Any

import numpy as np
from hdmf.container import AbstractContainer, Container

LONGEST_TEXT = 160  # characters; a model's configuration may have 40,000


def shown(value: Any) -> str:
    """``value`` in a line: other objects by type and name, arrays by dtype and shape, long text by its beginning."""
    if isinstance(value, AbstractContainer):
        return f"{type(value).__name__} '{value.name}'"
    if isinstance(value, (list, tuple)):
        return cut(", ".join(shown(item) for item in value))
    if isinstance(value, (np.ndarray, np.generic)) and value.size <= 4:
        return str(value.tolist())
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return cut(str(value))
    return f"{'text' if dtype.kind == 'O' else dtype} of shape {tuple(shape)}"


def cut(text: str) -> str:
    """The beginning of a long text, in one line, and how long it is."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}… ({len(text)} characters)"


class ShownInShort(Container):
    """Mixin for containers: ``print`` and notebooks show every field in a line, links by name."""

    def __repr__(self) -> str:
        lines = [f"{self.name} ({type(self).__name__})"]
        lines += [f"  {field}: {shown(self.fields[field])}" for field in sorted(self.fields)]
        return "\n".join(lines)

    def _generate_field_html(self, key: Any, value: Any, level: int, access_code: str) -> str:
        """Hook of hdmf for one field in a notebook."""
        value = cut(value) if isinstance(value, str) else value
        return super()._generate_field_html(key, value, level, access_code)
