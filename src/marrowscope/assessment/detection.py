"""What detection found, small enough to stay in a results folder: a correction then need not search again.

Everything but the exam, which is prepared from the study anew. Evidence is kept as the steps that measuring asks
about (below, or at the lenient, the usual, the strict cut-off); probabilities that detection alone uses are left out.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from pydantic import TypeAdapter, ValidationError

from marrowscope import __version__
from marrowscope.anatomy.types import Anatomy, Exam
from marrowscope.errors import GeometryError, ResultsError
from marrowscope.labelmap import LabelMap
from marrowscope.lesion.types import LesionObject, MarrowLevel, Objects, Reference
from marrowscope.measurement import QcCheck
from marrowscope.volume import AnyArray

FACTS = "facts.json"
ZIP_LEVEL = 1
"""Label maps are long runs: higher levels save a third of a megabyte and take three times as long."""


@dataclass(frozen=True)
class Facts:
    """All that is not voxels: names by label map, objects, checks, where they came from."""

    software: str
    names: Mapping[str, Mapping[int, str]]
    objects: tuple[LesionObject, ...]
    anatomy_qc: tuple[QcCheck, ...]
    qc: tuple[QcCheck, ...]
    source: str
    method: str
    reference: MarrowLevel | None


@dataclass(frozen=True, eq=False)
class Detection:
    """A detection read back: its facts, and arrays by name."""

    facts: Facts
    arrays: Mapping[str, AnyArray]

    @property
    def current(self) -> bool:
        """Whether this version made it."""
        return self.facts.software == __version__

    def objects(self, exam: Exam) -> Objects:
        """The objects on their exam, prepared again; ``evidence`` holds a step's lower bound.

        Raises:
            ResultsError: it belongs to another grid.
        """
        try:
            return self._objects(exam)
        except (KeyError, GeometryError) as error:
            raise ResultsError("a stored detection of another exam", "the study it was made from") from error

    def _objects(self, exam: Exam) -> Objects:
        facts, arrays, grid = self.facts, self.arrays, exam.image
        maps = {name: LabelMap(grid.with_array(arrays[name]), names) for name, names in facts.names.items()}
        cutoff, low, high = (float(x) for x in arrays["cutoffs"])
        steps = np.array([-np.inf, low, cutoff, high], dtype=np.float32)
        anatomy = Anatomy(
            bones=maps["bones"],
            regions=maps["regions"],
            depth_mm=grid.with_array(arrays["depth"]) if "depth" in arrays else None,
            uncertain=arrays["uncertain"],
            qc=facts.anatomy_qc,
            source=facts.source,
            extras={n.removeprefix("extra_"): grid.with_array(a) for n, a in arrays.items() if n.startswith("extra_")},
        )
        r = facts.reference
        return Objects(
            exam=exam,
            anatomy=anatomy,
            reference=None if r is None else Reference(**vars(r), mask=maps["reference"]),
            evidence=grid.with_array(steps[arrays["steps"]]),
            cutoff=cutoff,
            cutoff_low=low,
            cutoff_high=high,
            lesions=maps["lesions"],
            objects=facts.objects,
            kept_out=maps["kept_out"],
            method=facts.method,
            qc=facts.qc,
        )


@cache
def _adapter() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)


def detection_bytes(objects: Objects) -> bytes:
    """The file: a zip of .npy arrays (as numpy's .npz) and one JSON. The same detection gives the same bytes.

    Args:
        objects: as detection left them, without edits.
    """
    facts = json.dumps(_adapter().dump_python(_facts(objects), mode="json"), indent=1, sort_keys=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as packed:
        packed.writestr(_entry(FACTS), facts)
        for name, array in sorted(_arrays(objects).items()):
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
            packed.writestr(_entry(f"{name}.npy"), part.getvalue())
    return buffer.getvalue()


def read_detection(data: bytes) -> Detection:
    """Inverse of :func:`detection_bytes`.

    Raises:
        ResultsError: damaged, or of another form.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            facts = _adapter().validate_json(packed.read(FACTS))
            names = [n for n in packed.namelist() if n.endswith(".npy")]
            arrays = {n.removesuffix(".npy"): np.load(io.BytesIO(packed.read(n)), allow_pickle=False) for n in names}
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, ValidationError) as error:
        raise ResultsError("a stored detection that cannot be read", "a file written by marrowscope") from error
    return Detection(facts, arrays)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # dated 1980: the same content is the same bytes
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _maps(objects: Objects) -> dict[str, LabelMap]:
    anatomy = objects.anatomy
    maps = {"bones": anatomy.bones, "regions": anatomy.regions, "lesions": objects.lesions}
    maps["kept_out"] = objects.kept_out
    return maps | ({"reference": objects.reference.mask} if objects.reference else {})


def _facts(objects: Objects) -> Facts:
    r = objects.reference
    return Facts(
        software=__version__,
        names={name: dict(labels.names) for name, labels in _maps(objects).items()},
        objects=objects.objects,
        anatomy_qc=objects.anatomy.qc,
        qc=objects.qc,
        source=objects.anatomy.source,
        method=objects.method,
        reference=None if r is None else MarrowLevel(float(r.median), float(r.mad), r.muscle, r.trusted, r.reason),
    )


def _arrays(objects: Objects) -> dict[str, AnyArray]:
    anatomy, evidence = objects.anatomy, objects.evidence.array
    bounds = (objects.cutoff_low, objects.cutoff, objects.cutoff_high)
    arrays: dict[str, AnyArray] = {name: labels.volume.array for name, labels in _maps(objects).items()}
    arrays["steps"] = np.asarray(np.sum([evidence >= bound for bound in bounds], axis=0, dtype=np.uint8))
    arrays["cutoffs"] = np.array([objects.cutoff, objects.cutoff_low, objects.cutoff_high], dtype=np.float64)
    arrays["uncertain"] = anatomy.uncertain
    if anatomy.depth_mm is not None:
        arrays["depth"] = anatomy.depth_mm.array
    whole = {n: v.array for n, v in anatomy.extras.items() if np.issubdtype(v.array.dtype, np.integer)}
    return arrays | {f"extra_{name}": array for name, array in whole.items()}
