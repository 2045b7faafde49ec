"""The simulated knees of the benchmark: which are drawn, with what, and why their number is what it is.

Seeds below are for the published table only. Whoever tunes a threshold uses seeds from TUNING_SEED on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FIRST_SEED, TUNING_SEED = 1000, 5000
"""First seed of the published cases and of those used for tuning; the two never meet."""

NOISE = ("low", "medium", "high")
FIELDS = (1.5, 3.0)
FLUIDS = ("pd_fs", "pd_fs", "pd_fs", "t2_fs", "stir", "dixon")
"""Half of the studies are PD-FS, the commonest knee protocol."""

FAULTS = ("failed_fatsat", "metal", "motion")

KINDS = ("lesions", "free", "fault")

VOLUMES_CM3 = (0.1, 8.0)
"""Smallest and largest lesion (issue 2)."""

SITES = {
    # site: largest volume its bone holds with ease, cm3
    "medial_femoral_condyle": 8.0,
    "lateral_femoral_condyle": 8.0,
    "posterior_medial_condyle": 6.0,
    "trochlea": 6.0,
    "medial_tibial_plateau": 8.0,
    "lateral_tibial_plateau": 8.0,
    "posterolateral_tibia": 5.0,
    "tibial_metaphysis": 6.0,
    "femoral_metaphysis": 6.0,
    "patella_lateral": 2.0,
    "fibular_head": 1.0,
}
PATTERNS = ("subchondral", "contusion", "fracture", "osteonecrosis", "diffuse")


@dataclass(frozen=True)
class Case:
    """One study.

    Attributes:
        name: unique, sorts in order.
        seed: person, pose and scanner.
        kind: ``lesions``, ``free`` or the fault.
        field, noise, fluid: of the scanner.
        lesions: as the command line takes them.
    """

    name: str
    seed: int
    kind: str
    field: float
    noise: str
    fluid: str
    lesions: str

    def arguments(self, folder: str) -> list[str]:
        """Arguments of ``marrowscope simulate knee``."""
        fault = ["--fault", self.kind] if self.kind in FAULTS else []
        return [
            "simulate", "knee", "-o", folder, "--seed", str(self.seed), "--field", f"{self.field:g}",
            "--noise", self.noise, "--fluid", self.fluid, "--lesions", self.lesions, *fault,
        ]  # fmt: skip


def cases(first_seed: int, with_lesions: int = 34, free: int = 20, faulty: int = 10) -> tuple[Case, ...]:
    """The studies of one benchmark: fields, noise levels and fluid classes cycle, lesion volumes are log-uniform."""
    kinds = ["lesions"] * with_lesions + ["free"] * free + [FAULTS[i % len(FAULTS)] for i in range(faulty)]
    made = []
    for i, kind in enumerate(kinds):
        rng = np.random.default_rng(first_seed + i)
        lesions = "none" if kind == "free" else lesions_for(rng, i)
        field, noise = FIELDS[i % 2], NOISE[(i // 2) % 3]
        fluid = "pd_fs" if kind in FAULTS else FLUIDS[(i // 6) % len(FLUIDS)]
        made.append(Case(f"{i:03d}_{kind}", first_seed + i, kind, field, noise, fluid, lesions))
    # Every kind early: a run that is stopped has still met all of them.
    count = {kind: [c for c in made if c.kind == kind or (kind == "fault" and c.kind in FAULTS)] for kind in KINDS}
    place = {c.name: (n + 0.5) / len(mine) for mine in count.values() for n, c in enumerate(mine)}
    return tuple(sorted(made, key=lambda c: (place[c.name], c.name)))


def lesions_for(rng: np.random.Generator, i: int) -> str:
    """One or two lesions in different sites; volumes log-uniform, every third study forced above 1 cm3."""
    sites = rng.permutation(sorted(SITES))[: 1 + int(rng.random() < 0.4)]
    parts = []
    for site in sites:
        low = 1.0 if i % 3 == 0 and SITES[site] > 1 else VOLUMES_CM3[0]
        volume = float(np.exp(rng.uniform(np.log(low), np.log(SITES[site]))))
        parts.append(f"{site}:{volume:.3f}:{rng.choice(PATTERNS)}")
    return ",".join(parts)
