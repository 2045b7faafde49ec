"""The model registry: each model is a folder under ``marrowscope/models`` with a card and its weights.

A card (``card.yaml``) says what goes in (the input contract), which data the weights were trained on (hash of every
image, source, licence as stated), how well each fold did on patients it never saw, and where the model fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from marrowscope.errors import ModelError
from marrowscope.tables import parse_yaml

CARD = "card.yaml"


@dataclass(frozen=True)
class InputContract:
    """What a model may be shown; whoever prepares its input checks this and abstains outside it.

    Attributes:
        channels: names of the input channels, in order, e.g. ``t1[-1]``.
        first, second: the patient directions that the two in-plane axes point to, e.g. ``L`` and ``S``.
        pixel_mm: in-plane pixel size of the working grid.
        multiple_of: each in-plane extent is padded to a multiple of this many pixels.
        context_mm: distance of the neighbouring slices shown beside each slice; 0 when none are shown.
        planes: planes that the model was trained on.
        spacing_mm: smallest and largest in-plane spacing of an input.
        slice_spacing_mm: smallest and largest distance between slices.
    """

    channels: tuple[str, ...]
    first: str
    second: str
    pixel_mm: float
    multiple_of: int
    context_mm: float
    planes: tuple[str, ...]
    spacing_mm: tuple[float, float]
    slice_spacing_mm: tuple[float, float]


@dataclass(frozen=True)
class Weights:
    """One file of weights.

    Attributes:
        file: name inside the model's folder. sha256: of its bytes.
        fold: number of the fold. held_out: names of the cases that it never saw.
        seen: SHA-256 of every image file that it was trained on.
    """

    file: str
    sha256: str
    fold: int
    held_out: tuple[str, ...]
    seen: frozenset[str]


@dataclass(frozen=True)
class ModelCard:
    """All that is known of a model.

    Attributes:
        name, version, site, task: what it is.
        contract: its input. outputs: names of its output channels, in order.
        weights: one entry a fold; the shipped model is their ensemble.
        data: the training data: source, licence as stated, cases.
        results: cross-validated figures with their spread.
        failures: what it is known to get wrong.
        settings: numbers fixed in training that inference needs (cut-offs, calibration).
    """

    name: str
    version: str
    site: str
    task: str
    contract: InputContract
    outputs: tuple[str, ...]
    weights: tuple[Weights, ...]
    data: tuple[Mapping[str, Any], ...]
    results: Mapping[str, Any]
    failures: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Name and version, as provenance states it."""
        return f"{self.name} {self.version}"

    def fold_that_never_saw(self, hashes: Iterable[str]) -> int:
        """The fold to score a case with.

        Args:
            hashes: SHA-256 of the case's image files.

        Returns:
            The first fold trained on none of them.

        Raises:
            ModelError: every fold was trained on one of them, so no honest score exists.
        """
        images = frozenset(hashes)
        for weights in self.weights:
            if not images & weights.seen:
                return weights.fold
        raise ModelError(
            f"a case that every fold of {self.id} was trained on",
            "a case that at least one fold never saw",
            "score it with a model trained without it",
        )


def models_folder() -> Traversable:
    """Where the models lie, one folder each."""
    return resources.files("marrowscope") / "models"


def model_names() -> tuple[str, ...]:
    """Every model with a card, sorted."""
    folder = models_folder()
    if not folder.is_dir():
        return ()
    return tuple(sorted(f.name for f in folder.iterdir() if (f / CARD).is_file()))


@cache
def load_card(name: str) -> ModelCard:
    """The card of a model.

    Raises:
        ModelError: no such model, or a card that lacks a part.
    """
    path = models_folder() / name / CARD
    if not path.is_file():
        raise ModelError(f"no model {name!r}", f"one of {', '.join(model_names()) or 'none installed'}")
    raw = parse_yaml(path.read_text(encoding="utf-8"))
    try:
        return _card(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"a card of {name!r} that cannot be read ({error})", "every part of a model card") from error


def _card(raw: Mapping[str, Any]) -> ModelCard:
    contract = dict(raw["contract"])
    for key in ("channels", "planes", "spacing_mm", "slice_spacing_mm"):
        contract[key] = tuple(contract[key])
    return ModelCard(
        name=raw["name"],
        version=str(raw["version"]),
        site=raw["site"],
        task=raw["task"],
        contract=InputContract(**contract),
        outputs=tuple(raw["outputs"]),
        weights=tuple(_weights(w, raw["images"]) for w in raw["weights"]),
        data=tuple(raw["data"]),
        results=raw["results"],
        failures=tuple(raw["failures"]),
        settings=raw.get("settings", {}),
    )


def _weights(raw: Mapping[str, Any], images: Mapping[str, Mapping[str, str]]) -> Weights:
    """A weight entry; it saw every image of the card except those of the cases it held out."""
    held = tuple(str(c) for c in raw["held_out"])
    seen = frozenset(h for case, files in images.items() if str(case) not in held for h in files.values())
    return Weights(raw["file"], raw["sha256"], int(raw["fold"]), held, seen)
