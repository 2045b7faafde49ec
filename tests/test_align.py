"""A companion series moved by a known distance is found again; what is worked out does not depend on threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

import phantom
from marrowscope.anatomy.align import align
from marrowscope.anatomy.shading import corrected
from marrowscope.study import Role, Series
from marrowscope.volume import Volume


def pair(shift_mm: tuple[float, float, float]) -> tuple[Volume, Series]:
    """The phantom's fluid volume, and its T1 with an affine that is wrong by a shift."""
    study = phantom.study()
    fluid, t1 = (next(s for s in study.series if s.role is role) for role in (Role.FLUID, Role.T1))
    affine = t1.volume.affine.copy()
    affine[:3, 3] += shift_mm
    return fluid.volume, replace(t1, volume=Volume(t1.volume.array, affine, t1.volume.slice_axis))


@pytest.mark.parametrize("shift_mm", [(4.0, -3.0, 0.0), (-5.0, 2.0, 3.0)])
def test_a_shift_is_found_again(shift_mm: tuple[float, float, float]) -> None:
    grid, moved = pair(shift_mm)
    _, true = pair((0.0, 0.0, 0.0))
    found = align(moved, grid)
    assert found is not None and found.registered
    assert found.similarity_after > found.similarity_before + 0.02
    inside = found.covered & (np.indices(grid.shape)[2] % 11 > 0)
    away = np.abs(found.volume.array - true.volume.array)[inside]
    kept = align(moved, grid, register=False)
    assert kept is not None and not kept.registered
    assert np.median(away) < 0.7 * np.median(np.abs(kept.volume.array - true.volume.array)[inside & kept.covered])


def test_a_series_in_place_keeps_its_geometry() -> None:
    grid, true = pair((0.0, 0.0, 0.0))
    found = align(true, grid)
    assert found is not None and not found.registered
    assert np.array_equal(found.volume.array, true.volume.array)


def test_threads_change_nothing() -> None:
    grid, moved = pair((4.0, -3.0, 0.0))
    results = []
    for count in (1, 2):
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
        found = align(moved, grid)
        assert found is not None
        results.append((corrected(grid).array.tobytes(), found.volume.array.tobytes()))
    assert results[0] == results[1]


def test_a_known_shading_is_taken_out() -> None:
    grid, _ = pair((0.0, 0.0, 0.0))
    along = np.linspace(-1, 1, grid.shape[0])[:, None, None]
    shaded = grid.with_array((grid.array * np.exp(0.25 * along)).astype(np.float32))
    left = np.log(np.maximum(corrected(shaded).array, 1) / np.maximum(corrected(grid).array, 1))
    marrow = phantom.bones(grid).mask()
    first, last = (float(np.median(left[marrow & half])) for half in (along < 0, along > 0))
    before = np.log(np.median(shaded.array[marrow & (along > 0)]) / np.median(shaded.array[marrow & (along < 0)]))
    assert abs(last - first) < 0.4 * before
