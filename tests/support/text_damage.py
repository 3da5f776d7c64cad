"""Ways in which folders of text and bytes get damaged or forged, by the chances of a generator."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**4000,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "1e999",
    "../../up",
    "\x1b[31m\x07",
    "\ud800",
    "x" * 100_000,
    [],
    [[]],
    list(range(100_000)),
    {},
    {"a": {"a": {}}},
    "DEEP",
)
WORDS = (
    "&a [*a, *a]",
    "!!python/object:os.system {}",
    "- -",
    "{",
    "\t",
    ": :",
    "9" * 5000,
    "é" * 9,
    "\x00",
    "nan",
    "[1, 2",
    "~",
)


def damage_json(text: str, rng: np.random.Generator) -> str:
    """Put something odd in the place of a value, or delete it."""
    try:
        values = json.loads(text)
    except ValueError:
        return damage_text(text, rng)
    places = list(_places(values))
    owner, key = places[int(rng.integers(len(places)))]
    if rng.random() < 0.2:
        del owner[key]
    else:
        owner[key] = ODD[int(rng.integers(len(ODD)))]
    changed = json.dumps(values)
    return changed.replace('"DEEP"', "[" * 20_000 + "]" * 20_000)


def damage_text(text: str, rng: np.random.Generator) -> str:
    """Replace a word or number, repeat, cut or insert a line."""
    lines = text.split("\n")
    at, way = int(rng.integers(len(lines))), int(rng.integers(5))
    word = WORDS[int(rng.integers(len(WORDS)))]
    if way == 0:
        lines[at] = re.sub(r"[\w.]+", lambda _: word, lines[at], count=1)
    elif way == 1:
        lines[at : at + 1] = [lines[at]] * int(10 ** rng.uniform(0, 4))
    elif way == 2:
        del lines[at:]
    elif way == 3:
        lines.insert(at, word)
    else:
        key = lines[at].partition(":")[0]
        lines[at] = f"{key}: {word}"
    return "\n".join(lines)


def damage_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes, or keep the beginning only."""
    changed = bytearray(content)
    if not changed or rng.random() < 0.2:
        return bytes(changed[: int(rng.integers(len(changed) + 1))])
    for place in rng.integers(0, min(len(changed), 4096 if rng.random() < 0.5 else len(changed)), rng.integers(1, 9)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def damage_folder(folder: Path, rng: np.random.Generator) -> None:
    """Damage, delete, empty or repeat one file of a folder, by what it holds; or put another thing in its place."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path, way = files[int(rng.integers(len(files)))], float(rng.random())
    if way < 0.1:
        path.unlink()
    elif way < 0.15:
        path.unlink()
        path.mkdir()
    elif way < 0.2:
        shutil.copy(path, path.with_name(f"{path.name}.copy"))
    else:
        damage_file(path, rng)


def damage_file(path: Path, rng: np.random.Generator) -> None:
    """Damage a file as what it is."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        path.write_bytes(damage_bytes(content, rng))
        return
    is_json = path.suffix == ".json" or path.name.startswith(".z")
    damage = damage_json if is_json and rng.random() < 0.8 else damage_text
    path.write_bytes(damage(text, rng).encode(errors="surrogatepass"))


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield values, key
        yield from _places(value)
