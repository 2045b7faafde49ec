"""Hypothesis strategies of acquisition geometry, and a phantom exam, shared by tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from marrowscope.volume import Volume

spacings = st.tuples(*[st.floats(0.3, 5.0)] * 3)
shapes = st.tuples(*[st.integers(3, 9)] * 3)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Box-shaped grids: any spacing, any turn (axis-aligned, oblique), any mirror, any origin."""
    turn = draw(
        st.one_of(
            st.sampled_from(
                [np.eye(3)[:, p] for p in ([0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0])]
            ),
            st.builds(lambda a: Rotation.from_euler("xyz", a).as_matrix(), st.tuples(*[st.floats(-3.1, 3.1)] * 3)),
        )
    )
    mirror = np.diag(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ mirror @ np.diag(draw(spacings))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    return affine


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Volumes whose voxels are all different."""
    shape = draw(shapes)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(array, draw(affines()), draw(st.integers(0, 2)))
