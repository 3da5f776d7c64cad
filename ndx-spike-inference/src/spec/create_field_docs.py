"""Write ``docs/fields.md``, the table of all fields, from the specification.

Usage: ``python src/spec/create_field_docs.py [FILE]``, by default into ``docs/`` of this distribution.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from create_extension_spec import NAME, VERSION, new_types
from pynwb.spec import NWBAttributeSpec, NWBDatasetSpec, NWBGroupSpec

FIELDS_FILE = Path(__file__).resolve().parents[2] / "docs" / "fields.md"
NOTHING = "–"
HEADER = (
    "| field | kind | type | shape | dimensions | unit | required | meaning |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def fields_page() -> str:
    """The whole page in Markdown."""
    lines = [
        f"# Fields of {NAME} {VERSION}",
        "",
        "Written by `src/spec/create_field_docs.py`; do not edit.",
        "",
    ]
    lines += ["`any` in a shape is a size that the data decide; inherited fields are those of the NWB core schema."]
    for spec in new_types():
        lines += [
            "",
            f"## {spec.data_type_def}",
            "",
            f"Extends `{spec.data_type_inc}`. {spec.doc}",
            "",
            *HEADER,
        ]
        lines += [f"| {' | '.join(cells)} |" for cells in _rows(spec)]
    return "\n".join(lines) + "\n"


def _rows(spec: NWBGroupSpec) -> Iterator[tuple[str, ...]]:
    """One row of cells per attribute, dataset and link of a type."""
    for attribute in spec.attributes:
        # The unit of a scalar stands in its name.
        unit = "`seconds`" if attribute.name.endswith("_s") else NOTHING
        required = "yes" if attribute.required else "no"
        yield f"`{attribute.name}`", "attribute", attribute.dtype, "scalar", NOTHING, unit, required, attribute.doc
    for dataset in spec.datasets:
        yield _dataset_row(dataset)
    for link in spec.links:
        yield (
            f"`{link.name}`",
            "link",
            link.target_type,
            NOTHING,
            NOTHING,
            NOTHING,
            _required(link.quantity),
            link.doc,
        )


def _dataset_row(dataset: NWBDatasetSpec) -> tuple[str, ...]:
    """The row of a dataset or of a column of a table."""
    column = dataset.data_type_inc
    dims = NOTHING if dataset.dims is None else ", ".join(f"({dim})" if "," in dim else dim for dim in dataset.dims)
    return (
        f"`{dataset.name}`",
        "dataset" if column is None else f"column ({column})",
        dataset.dtype or NOTHING,
        _shape(dataset),
        dims,
        _unit(dataset.get_attribute("unit")),
        _required(dataset.quantity),
        dataset.doc,
    )


def _shape(dataset: NWBDatasetSpec) -> str:
    """The shape as a tuple in words."""
    if dataset.shape is None:
        return "scalar"
    return f"({', '.join('any' if size is None else str(size) for size in dataset.shape)})"


def _unit(attribute: NWBAttributeSpec | None) -> str:
    """The fixed or the usual unit."""
    if attribute is None:
        return NOTHING
    return f"`{attribute.value or attribute.default_value}`"


def _required(quantity: int | str) -> str:
    """Whether a field of this quantity must be there."""
    return "no" if quantity == "?" else "yes"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else FIELDS_FILE).write_text(fields_page(), encoding="utf-8")
