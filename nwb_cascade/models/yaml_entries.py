"""YAML files that others wrote, as named JSON values: nothing in them refers to something else in them."""

from __future__ import annotations

from typing import Any

from nwb_cascade.core.bounds import is_shallow
from nwb_cascade.errors import ModelFileError

MOST_CHARACTERS = 2**20


def read_entries(text: str, what: str) -> dict[str, Any]:
    """Return the entries of a YAML file; tabs count as blanks, as people edit such files by hand.

    Parameters
    ----------
    text : str
        Content of the file.
    what : str
        What it is and where, for errors.

    Raises
    ------
    ModelFileError
        If it is not YAML with named entries, refers to itself (so that a few bytes could stand for gigabytes), or is
        larger than any of these files.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe, and without aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("an entry refers to another one")
            return super().compose_node(parent, index)

    if len(text) > MOST_CHARACTERS:
        raise ModelFileError(f"Expected {what} of at most {MOST_CHARACTERS} characters, received {len(text)}.")
    try:
        values = yaml.load(text.expandtabs(), Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise ModelFileError(f"Expected YAML in {what}, received text that fails: {why}.") from error
    if not isinstance(values, dict) or not is_shallow(values):
        raise ModelFileError(f"Expected {what} to have named entries, received {type(values).__name__}.")
    return {str(key): _jsonable(value) for key, value in values.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
