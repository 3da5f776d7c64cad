"""Warnings of ROIs keep their codes through the text that is stored."""

from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.roi_warnings import RoiWarning, read_warning_texts, warning_kinds, warning_texts

CODES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True)
SENTENCES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@given(st.lists(st.builds(RoiWarning, st.integers(0, 4), CODES, SENTENCES)))
def test_what_is_stored_is_read_back(warnings):
    texts = warning_texts(warnings, 5)
    assert len(texts) == 5
    in_order = tuple(sorted(warnings, key=lambda one: one.roi))
    assert read_warning_texts(texts) == in_order


def test_prose_of_another_program_is_a_warning_without_a_code():
    texts = ["", "Dim.", "Note: dim\nnoise-outside-training: high"]
    found = read_warning_texts(texts)
    assert [(one.roi, one.code, one.message) for one in found] == [
        (1, "", "Dim."), (2, "", "Note: dim"), (2, "noise-outside-training", "high"),
    ]  # fmt: skip
    assert warning_texts(found, 3) == tuple(texts)


def test_warnings_of_one_code_are_one_kind_whatever_they_say():
    found = [
        RoiWarning(0, "noise", "level 9.5 is high"),
        RoiWarning(3, "constant", "always 0"),
        RoiWarning(2, "noise", "level 12 is high"),
        RoiWarning(2, "noise", "and so it stays"),
        RoiWarning(1, "", "Dim."),
        RoiWarning(4, "", "Dim."),
        RoiWarning(4, "", "Bright."),
    ]
    kinds = [(kind.code, kind.example.message, kind.rois) for kind in warning_kinds(found)]
    assert kinds == [
        ("noise", "level 9.5 is high", (0, 2)), ("", "Dim.", (1, 4)), ("constant", "always 0", (3,)),
        ("", "Bright.", (4,)),
    ]  # fmt: skip
