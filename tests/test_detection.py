"""A detection kept in a results folder stands in for the search itself: same numbers, same bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marrowscope.assessment import to_json
from marrowscope.assessment.detection import FACTS, detection_bytes, read_detection
from marrowscope.assessment.pipeline import conclude
from marrowscope.errors import ResultsError
from marrowscope.lesion.edits import Edit, EditKind, mask_to_runs
from marrowscope.lesion.types import Objects
from report_sample import sample_objects

AT = "2026-01-01T00:00:00+00:00"


def edits(objects: Objects) -> tuple[Edit, ...]:
    """One lesion grown into its surroundings, another one rejected."""
    first = objects.lesions.volume.array == 1
    grown = np.roll(first, 2, axis=0) & ~(objects.lesions.volume.array > 0)
    return (
        Edit(EditKind.ADD_VOXELS, "Dr A", AT, label=1, runs=mask_to_runs(grown)),
        Edit(EditKind.REJECT, "Dr A", AT, label=2),
    )


@pytest.mark.parametrize("which", ["with a reference", "without one"])
def test_what_is_concluded_from_it_is_the_same(which: str) -> None:
    found = sample_objects()
    if which == "without one":
        found = replace(found, reference=None, cutoff=np.inf, cutoff_low=np.inf, cutoff_high=np.inf)
    again = read_detection(detection_bytes(found)).objects(found.exam)
    for changed in ((), edits(found)):
        assert to_json(conclude(again, edits=changed)) == to_json(conclude(found, edits=changed))
    assert np.array_equal(again.anatomy.uncertain, found.anatomy.uncertain)
    assert again.kept_out.names == found.kept_out.names
    assert detection_bytes(again) == detection_bytes(found)


def test_of_another_exam_or_damaged_it_is_refused() -> None:
    found = sample_objects()
    data = detection_bytes(found)
    grid = found.exam.image
    other = replace(found.exam, image=replace(grid, array=grid.array[1:]))
    with pytest.raises(ResultsError, match="another exam"):
        read_detection(data).objects(other)
    for broken in (b"", data[:-40], data.replace(FACTS.encode(), b"fakes.json")):
        with pytest.raises(ResultsError, match="cannot be read"):
            read_detection(broken)
