"""The knowledge loader and the list of causes."""

import pytest

from marrowscope.knowledge import load
from marrowscope.knowledge.causes import Role, Urgency, causes, groups

DESIGN_GROUPS = [
    "trauma",
    "stress_insufficiency",
    "osteonecrosis",
    "transient_bme_syndrome",
    "degenerative",
    "inflammatory_arthritis",
    "spondyloarthritis",
    "crystal",
    "infection",
    "neuropathic",
    "crps",
    "benign_tumour",
    "malignant_tumour",
    "haematological_benign",
    "marrow_reconversion",
    "treatment_related",
    "autoinflammatory",
    "metabolic",
    "other",
]


def test_groups_are_the_designs_nineteen() -> None:
    assert sorted(groups()) == sorted(DESIGN_GROUPS)


def test_every_group_has_a_cause_and_every_cause_a_group() -> None:
    assert {cause.group for cause in causes().values()} == set(groups())


def test_causes_have_one_urgency_a_role_and_known_sources() -> None:
    for cause in causes().values():
        assert isinstance(cause.urgency, Urgency) and isinstance(cause.role, Role)
        for claim in filter(None, (cause.escalate, cause.note)):
            load.check_sources(claim.sources, cause.id)


def test_synonyms_are_unique_to_one_cause() -> None:
    seen: dict[str, str] = {}
    for cause in causes().values():
        for word in cause.also:
            assert seen.setdefault(word.lower(), cause.id) == cause.id, word


def test_sources_have_title_address_and_kind() -> None:
    assert len(load.sources()) > 200
    assert all(source.title and source.url for source in load.sources().values())


def test_a_claim_needs_a_basis() -> None:
    with pytest.raises(load.KnowledgeError, match="without basis"):
        load.Claim("MRI is painless")
    with pytest.raises(load.KnowledgeError, match="mapping"):
        load.Claim.parse("just text")
    assert load.Claim.parse({"text": "x", "judgement": True}).basis == "judgement"


def test_a_duplicate_id_is_refused() -> None:
    with pytest.raises(load.KnowledgeError, match="two files"):
        load.merge({"a": {"gout": {}}, "b": {"gout": {}}}, "cause")


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(load.KnowledgeError, match="unknown source"):
        load.check_sources(["no_such_page"], "here")
