"""How often each cause is behind an edema-like marrow signal that is asked about: by site, age, sex and setting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from marrowscope.knowledge.causes import causes
from marrowscope.knowledge.load import KnowledgeError, read_yaml

BAND_CENTRES = (1.0, 7.0, 15.0, 29.0, 50.0, 72.0)
"""Years at which the six age factors hold; between them the factor is interpolated on a log scale."""

SAMPLES = 9
"""Ages at which a rough age group is averaged."""


@dataclass(frozen=True)
class Prior:
    """Frequency of one cause before any finding.

    Attributes:
        sites: parts per thousand by site.
        rest: parts per thousand at a site that is not named.
        age: factors at :data:`BAND_CENTRES`.
        women, men: factors.
    """

    sites: dict[str, float]
    rest: float
    age: tuple[float, ...]
    women: float
    men: float

    def at_site(self, site: str) -> float:
        """Parts per thousand at a site; the mean over how often each site is asked about when it is not known."""
        if not site:
            return sum(share * self.sites.get(name, self.rest) for name, share in site_shares().items())
        return self.sites.get(site, self.rest)

    def at_age(self, low: float, high: float) -> float:
        """Factor for an age, or its mean over an age range in years."""
        ages = [low] if low == high else [low + (high - low) * i / (SAMPLES - 1) for i in range(SAMPLES)]
        return sum(self._factor(age) for age in ages) / len(ages)

    def _factor(self, age: float) -> float:
        if age <= BAND_CENTRES[0]:
            return self.age[0]
        for i in range(1, len(BAND_CENTRES)):
            if age <= BAND_CENTRES[i]:
                share = (age - BAND_CENTRES[i - 1]) / (BAND_CENTRES[i] - BAND_CENTRES[i - 1])
                return math.exp((1 - share) * math.log(self.age[i - 1]) + share * math.log(self.age[i]))
        return self.age[-1]

    def of_sex(self, sex: str) -> float:
        """Factor for a sex; 1 when it is not known."""
        return {"female": self.women, "male": self.men}.get(sex, 1.0)


@cache
def priors() -> dict[str, Prior]:
    """Prior of every ranked cause.

    Raises:
        KnowledgeError: a cause without prior or a number that is not above 0.
    """
    data = read_yaml("priors.yaml")["causes"]
    wanted = {cause.id for cause in causes().values() if cause.ranked}
    if data.keys() != wanted:
        raise KnowledgeError(f"priors of {sorted(data.keys() ^ wanted)}", "one entry for each ranked cause")
    found = {}
    for key, raw in data.items():
        prior = Prior(raw["sites"], raw["rest"], tuple(raw["age"]), *raw["sex"])
        if len(prior.age) != len(BAND_CENTRES) or min(*prior.sites.values(), prior.rest, *prior.age, *raw["sex"]) <= 0:
            raise KnowledgeError(f"prior of {key}: {raw}", "six age factors and numbers above 0")
        found[key] = prior
    return found


@cache
def site_shares() -> dict[str, float]:
    """How often each site is asked about; sums to 1.

    Raises:
        KnowledgeError: it does not.
    """
    shares = {str(name): float(share) for name, share in read_yaml("priors.yaml")["site_shares"].items()}
    if not math.isclose(sum(shares.values()), 1):
        raise KnowledgeError(f"site shares sum to {sum(shares.values())}", "1")
    return shares


@cache
def settings() -> dict[str, dict[str, float]]:
    """Setting -> factor by cause group."""
    return dict(read_yaml("settings.yaml"))
