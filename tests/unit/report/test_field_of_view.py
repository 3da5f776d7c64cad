"""ROIs lie on the page where their masks say, over the picture of their own plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hdmf.common import DynamicTable
from pynwb.base import Images
from pynwb.image import GrayscaleImage

from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.masks import picture_of, read_masks
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.report.field_of_view import MOST_SIDE, field_of_view
from tests.support.field_recordings import RADIUS, SIDE, centres, field_recording
from tests.support.recordings import add_plane, bare_nwbfile, dff_recording, simulated_dff
from tests.support.run_records import run_record, write_run

N_ROIS = 9


@pytest.fixture(params=[False, True], ids=["pixel masks", "image masks"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = field_recording(tmp_path / "r.nwb", N_ROIS, 300, image_masks=request.param)
    write_run(path, run_record(path, N_ROIS))
    return path


def test_every_roi_lies_where_its_mask_is(recording: Path) -> None:
    with open_run(recording) as run:
        plane = field_of_view(run)
    assert plane is not None
    assert plane.labels.shape == SIDE[::-1], "x runs to the right"
    np.testing.assert_allclose(plane.centres, centres(N_ROIS))
    for roi, (x, y) in enumerate(centres(N_ROIS)):
        assert plane.labels[y, x] == roi
        assert (plane.labels == roi).sum() == pytest.approx(np.pi * RADIUS**2, rel=0.1)


def test_the_mean_image_lies_under_the_rois(recording: Path) -> None:
    with open_run(recording) as run:
        plane = field_of_view(run)
    assert plane is not None
    assert plane.picture is not None
    assert plane.picture_name == "ophys/Pictures/mean"
    assert plane.picture[plane.labels >= 0].mean() > 2 * plane.picture[plane.labels < 0].mean()


def test_a_large_plane_is_made_smaller_and_keeps_small_rois() -> None:
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, 0)
    table.add_roi(pixel_mask=[(2999, 10, 1.0)])
    table.add_roi(pixel_mask=[(0, 1999, 1.0)])
    found = read_masks(table, np.array([1, 0]))
    assert found is not None
    from nwb_cascade.report.field_of_view import _labels

    extent, masks = found
    assert extent == (3000, 2000)
    pixels = -(-max(extent) // MOST_SIDE)
    labels = _labels(masks, extent, pixels)
    assert max(labels.shape) <= MOST_SIDE
    assert labels[1999 // pixels, 0] == 0, "rows in the order of the run"
    assert labels[10 // pixels, 2999 // pixels] == 1


def test_an_roi_without_pixels_has_no_place() -> None:
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, 0)
    table.add_roi(image_mask=np.zeros((4, 5)))
    table.add_roi(image_mask=np.eye(4, 5))
    found = read_masks(table, np.array([0, 1]))
    assert found is not None
    assert [mask.x.size for mask in found[1]] == [0, 4]


def test_a_table_without_masks_has_no_plane() -> None:
    assert read_masks(DynamicTable(name="rois", description="No masks.", id=[0, 1]), np.array([0])) is None


def test_a_plane_of_absurd_size_is_not_drawn() -> None:
    table = add_plane(bare_nwbfile(), 0)
    table.add_roi(pixel_mask=[(2**31, 2**31, 1.0)])
    assert read_masks(table, np.array([0])) is None


def test_of_pictures_alike_that_of_the_own_plane_is_taken(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, 2, name="plane1")
    images = [GrayscaleImage(name=name, data=np.ones((8, 9))) for name in ("mean_plane0", "mean_plane1", "mean_small")]
    images.append(GrayscaleImage(name="mean", data=np.ones((1, 1))))
    nwbfile.processing["ophys"].add(Images(name="Pictures", images=images))
    picture = picture_of(nwbfile, table, (3, 2))
    assert picture is not None
    assert picture.name == "ophys/Pictures/mean_plane1"
    other = add_plane(nwbfile, 2, name="plane2")
    assert picture_of(nwbfile, other, (3, 2)) is None, "none of the three is known to be its own"


def test_a_picture_stored_the_other_way_round_is_turned() -> None:
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, 2)
    image = np.arange(40.0).reshape(4, 10)
    nwbfile.processing["ophys"].add(Images(name="Pictures", images=[GrayscaleImage(name="avg", data=image)]))
    picture = picture_of(nwbfile, table, (9, 3))
    assert picture is not None
    np.testing.assert_array_equal(picture.values, image.T)


def test_masks_of_a_pixel_each_can_be_shown(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "r.nwb", simulated_dff())
    write_run(path, run_record(path))
    with open_run(path) as run, open_nwb(path):
        plane = field_of_view(run)
    assert plane is not None
    assert plane.picture is None
    assert set(plane.labels.ravel()) == {-1, 0, 1, 2, 3}
