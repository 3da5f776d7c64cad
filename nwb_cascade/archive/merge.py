"""Metadata of a derived dandiset on the archive: all that is there stays, what is missing is added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nwb_cascade.archive.derived import DERIVED_FROM
from nwb_cascade.errors import InputError

IF_EMPTY = ("name", "description", "keywords")
MOST_CHARACTERS = 120
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Merged:
    """Metadata to be sent, and what is new in it, one line each; nothing is to be sent if there is no line."""

    values: Values
    additions: tuple[str, ...]


def merge(there: Values, ours: Values) -> Merged:
    """Add to the metadata of a dandiset on the archive what ours say and they do not.

    Parameters
    ----------
    there : mapping
        Metadata on the archive.
    ours : mapping
        Those of ``dandiset.yaml``. Taken are the sources, each once, and name, description and keywords where the
        archive has none.

    Raises
    ------
    InputError
        If the result would break a rule of DANDI that the metadata there keep; the sentence names the field.
    """
    known = {key for resource in there.get("relatedResource") or [] for key in _keys(resource)}
    sources = []
    for resource in ours.get("relatedResource") or []:
        if resource.get("relation") == DERIVED_FROM and not known & (keys := _keys(resource)):
            sources.append(resource)
            known |= keys
    filled = {name: ours[name] for name in IF_EMPTY if not there.get(name) and ours.get(name)}
    merged = {**there, **filled}
    if sources:
        merged["relatedResource"] = [*(there.get("relatedResource") or []), *sources]
    _require_no_harm(there, merged)
    lines = [f"{name}: {_short(value)}" for name, value in filled.items()]
    lines += [f"relatedResource: {DERIVED_FROM} {one.get('identifier') or one.get('url')}" for one in sources]
    return Merged(merged, tuple(lines))


def complaints(values: Values) -> list[tuple[str, str]]:
    """Return what DANDI's schema says against the metadata of a dandiset: fields, and what is wrong with each."""
    # The archive asks both; where the JSON schema complains, dandischema would not ask the models.
    return _complaints(values, by_json_schema=False) + _complaints(values, by_json_schema=True)


def _complaints(values: Values, *, by_json_schema: bool) -> list[tuple[str, str]]:
    from dandischema.consts import DANDI_SCHEMA_VERSION
    from dandischema.exceptions import JsonschemaValidationError, PydanticValidationError
    from dandischema.metadata import validate

    kind = {"schema_version": DANDI_SCHEMA_VERSION, "schema_key": "Dandiset"}
    try:
        validate(dict(values), json_validation=by_json_schema, **kind)
    except JsonschemaValidationError as error:
        return [(_field(one.absolute_path), one.message) for one in error.errors]
    except PydanticValidationError as error:
        return [(_field(one["loc"]), one["msg"]) for one in error.errors]
    return []


def _require_no_harm(before: Values, after: Values) -> None:
    """Raise InputError if the schema complains of something that it did not complain of before."""
    known = complaints(before)
    for field, message in complaints(after):
        if (field, message) not in known:
            raise InputError(
                f"Expected metadata that DANDI calls valid, with those of dandiset.yaml its schema says of {field}: "
                f"{_short(message)}; nothing was sent. Correct {field.partition('.')[0]} in dandiset.yaml."
            )


def _keys(resource: Values) -> set[tuple[str, str]]:
    """By what a resource is recognised among those of its relation: identifier and address."""
    return {
        (str(resource.get("relation")), str(resource[name]).rstrip("/"))
        for name in ("identifier", "url")
        if resource.get(name)
    }


def _field(path: Any) -> str:
    return ".".join(map(str, path)) or "the whole"


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else " ".join(str(value).split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
