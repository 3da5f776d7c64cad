"""What file names tell: data set, cell, animal, indicator, day."""

from datetime import date
from pathlib import PurePath

import pytest

from ground_truth_nwb.file_names import parse_name

NAMES = """
DS30-x/CAttached_jGCaMP8f_471993_1_mini.mat jGCaMP8f-471993-1 471993
DS33-x/CAttached_jGCaMP8s_479119_9_mini.mat jGCaMP8s-479119-9 479119
DS04-x/CAttached_OGB_pDp_190115_Fish2_cellA_mini.mat OGB-pDp-190115-Fish2-cellA zf190115fish2
DS41-x/CAttached_spinal_cord_inhibitory_211021_cell1_mXini.mat spinal-cord-inhibitory-211021-cell1 spinal211021
DS25-x/CAttachedSOMVitro02_Cell01_PuffKCl01_mini.mat SOMVitro02-Cell01-PuffKCl01 SOMVitro02
DS14-x/CAttached_Chen2013_GC6s_cell1B_full_mini.mat Chen2013-GC6s-cell1B DS14-Chen2013-GC6s-cell1B
DS15-x/CAttached_Theis16_cell_1_corrected_mini.mat Theis16-cell-1 DS15-Theis16-cell-1
DS10-x/CAttached_Allen_Emx1_102956_neuropil_subtracted_mini.mat Allen-Emx1-102956 DS10-Allen-Emx1-102956
elsewhere/CAttached_cell7_mini.mat cell7 unknown-cell7
"""


@pytest.mark.parametrize("line", NAMES.split("\n")[1:-1])
def test_names_of_all_kinds(line):
    path, cell_id, animal_id = line.split()
    facts = parse_name(PurePath(path))
    assert (facts.cell_id, facts.animal_id) == (cell_id, animal_id)
    assert facts.dataset == (path[:4] if path.startswith("DS") else "unknown")


def test_six_digits_are_an_animal_only_where_they_are_known_to_be():
    recording = parse_name(PurePath("DS10-x/CAttached_Allen_Emx1_102956_neuropil_subtracted_mini.mat"))
    animal = parse_name(PurePath("DS31-x/CAttached_jGCaMP8m_472179_2_mini.mat"))
    assert recording.animal_basis == "unknown"
    assert animal.animal_basis == "six digits in the file name"


def test_same_animal_has_the_same_name_in_two_data_sets():
    one = parse_name(PurePath("DS30-x/CAttached_jGCaMP8f_478349_1_mini.mat"))
    other = parse_name(PurePath("DS33-x/CAttached_jGCaMP8f_478349_6_mini.mat"))
    assert one.animal_id == other.animal_id


MIXED = {
    "jGCaMP7f_478346_1": "jGCaMP7f",
    "jGCaMP8s_479119_9": "jGCaMP8s",
    "XCaMPgf_478343_3": "XCaMP-Gf",
    "x_1": "unknown",
}


@pytest.mark.parametrize(("name", "indicator"), MIXED.items())
def test_mixed_data_sets_take_the_indicator_from_the_name(name, indicator):
    assert parse_name(PurePath(f"DS33-x/CAttached_{name}_mini.mat")).indicator == indicator


def test_day_is_read_where_the_name_holds_one():
    assert parse_name(PurePath("DS07-x/CAttached_GC_dorsal_190522_Fish1_cell1_mini.mat")).session_date == date(
        2019, 5, 22
    )
    assert parse_name(PurePath("DS41-x/CAttached_a_211019_cell1_mini.mat")).session_date == date(2021, 10, 19)
    assert parse_name(PurePath("DS30-x/CAttached_jGCaMP8f_471993_1_mini.mat")).session_date is None
