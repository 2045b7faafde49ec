"""The evidence, priors and families as data: complete, in range, sourced; and inference judged by pgmpy."""

import itertools
import warnings

import numpy as np
import pytest

from marrowscope.knowledge.asking import bounds, step_of
from marrowscope.knowledge.causes import causes, groups
from marrowscope.knowledge.evidence import background, evidence, families, scale, variables, weighing
from marrowscope.knowledge.findings import Kind, vocabulary
from marrowscope.knowledge.labs import labs
from marrowscope.knowledge.load import KnowledgeError, check_sources, read_yaml
from marrowscope.knowledge.priors import priors, settings
from marrowscope.reasoning.table import FamilyTable, family_likelihood, predict, table


def test_every_ranked_cause_has_evidence_and_a_prior() -> None:
    ranked = {cause.id for cause in causes().values() if cause.ranked}
    assert evidence().keys() == ranked == priors().keys()
    assert {"sle", "corticosteroid_bone"}.isdisjoint(ranked), "risks, not competing causes"


def test_every_cause_has_something_that_speaks_for_it() -> None:
    """Five decibans from a single finding or family state; a cause without it could never be found."""
    for name, known in evidence().items():
        if causes()[name].role.value == "not_a_cause" and name == "gadolinium_exposure":
            continue
        ratios = [
            entry.shares[-1] / background(v).shares[-1]
            for v, entry in known.variables.items()
            if len(entry.shares) == 2
        ]
        ratios += [
            share / base
            for family, entry in known.families.items()
            for share, base in zip(entry.shares, families()[family].background, strict=True)
        ]
        assert max(ratios) >= 3.2, name


def test_shares_are_probabilities_and_sources_are_known() -> None:
    for name, known in evidence().items():
        for entry in (*known.families.values(), *known.variables.values()):
            assert sum(entry.shares) == pytest.approx(1)
            check_sources((*entry.sources, *entry.association), name)
    for family in families().values():
        for entry in itertools.chain.from_iterable(family.rows.values()):
            check_sources(entry.sources, family.id)
    for name in variables():
        assert sum(background(name).shares) == pytest.approx(1)
        assert min(background(name).shares) > 0


def test_a_member_of_a_family_has_no_second_background() -> None:
    for name, item in variables().items():
        if item.family and name in vocabulary():
            assert vocabulary()[name].background is None, name
        if item.family and name in labs():
            assert not labs()[name].background, name


def test_settings_name_groups() -> None:
    assert all(factors.keys() <= groups().keys() for factors in settings().values())
    assert settings()["unknown"] == {}


def test_words_of_the_scale_rise() -> None:
    assert list(scale().words.values()) == sorted(scale().words.values())
    assert 0 < scale().misreading < 0.1 and 0 < scale().unlisted < 0.1


def test_audited_comparators_never_enter_the_product() -> None:
    """Figures measured against red marrow or normal marrow are not multiplied as if against edema (audit)."""
    t1 = {entry.sources for entry in families()["marrow_fat"].rows["t1_below_muscle"]}
    assert t1 == {()}, "carroll97 compared with red marrow: a judgement stands here, not its figures"
    halo = evidence()["bone_metastasis"].variables["halo_rim"].shares[1]
    assert halo < 0.75, "sensitivity of 0.75 was for a halo or diffuse brightness"
    lr_alp = (
        evidence()["bone_metastasis"].variables["alp"].shares[-1]
        if "alp" in evidence()["bone_metastasis"].variables
        else 0
    )
    assert lr_alp / background("alp").shares[-1] < 6


def test_leukaemia_is_never_excluded_by_a_normal_film() -> None:
    none = evidence()["leukemia"].variables["blasts"].shares[0] / background("blasts").shares[0]
    assert none > 0.2, "75 % had no blasts in the blood (jones06)"


def test_steps_and_bounds_name_variables() -> None:
    assert all(code in variables() for code in bounds())
    regions = {code for code, item in vocabulary().items() if item.kind is Kind.REGION}
    assert not regions & step_of().keys()
    assert weighing() - regions <= step_of().keys()


def test_a_word_outside_the_scale_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from marrowscope.knowledge import evidence as module

    with pytest.raises(KnowledgeError, match="word of scale"):
        module._shares("mostly", 2, "here")
    with pytest.raises(KnowledgeError, match="sum to 1"):
        module._shares([0.5, 0.6], 2, "here")


def test_the_scale_file_says_what_its_words_mean() -> None:
    assert set(read_yaml("scale.yaml")["words"]) == {
        "never",
        "rare",
        "uncommon",
        "sometimes",
        "often",
        "common",
        "usual",
        "hallmark",
    }


def test_pgmpy_agrees_on_a_small_network() -> None:
    """Cause -> family state -> members, and cause -> a single finding: exact inference by another library."""
    pgmpy_models = pytest.importorskip("pgmpy.models")
    names = ["osteomyelitis", "osteoarthritis", "leukemia", "gout"]
    rows = [table().causes.index(name) for name in names]
    before = np.asarray([0.1, 0.6, 0.05, 0.25])
    seen = {"fever": 1, "crp": 2}
    single, level = "focal_bony_tenderness", 1
    ours = _ours(rows, before, seen, single, level)
    theirs = _pgmpy(pgmpy_models, rows, before, seen, single, level)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def _ours(rows: list[int], before: np.ndarray, seen: dict[str, int], single: str, level: int) -> np.ndarray:
    likelihood = (
        family_likelihood(table().families["inflammation"], seen)[0][rows] * table().singles[single][rows, level]
    )
    joint = before * likelihood
    return joint / joint.sum()


def _pgmpy(
    models: object, rows: list[int], before: np.ndarray, seen: dict[str, int], single: str, level: int
) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.inference import VariableElimination

        family = table().families["inflammation"]
        states = family.states.shape[1]
        edges = [("cause", "state"), ("cause", single), *(("state", v) for v in seen), *(("cause", v) for v in seen)]
        model = models.DiscreteBayesianNetwork(edges)  # type: ignore[attr-defined]
        model.add_cpds(TabularCPD("cause", len(rows), before[:, None]))
        model.add_cpds(TabularCPD("state", states, family.states[rows].T, ["cause"], [len(rows)]))
        model.add_cpds(TabularCPD(single, 2, table().singles[single][rows].T, ["cause"], [len(rows)]))
        for variable in seen:
            columns = [_column(family, variable, row, s) for s in range(states) for row in rows]
            model.add_cpds(
                TabularCPD(variable, len(columns[0]), np.asarray(columns).T, ["state", "cause"], [states, len(rows)])
            )
        assert model.check_model()
        found = VariableElimination(model).query(["cause"], evidence={**seen, single: level}, show_progress=False)
        return np.asarray(found.values)


def _column(family: FamilyTable, variable: str, row: int, state: int) -> np.ndarray:
    own = family.own[variable].get(row)
    return own if own is not None else family.rows[variable][state]


def test_prediction_given_the_rest_of_the_family_is_exact() -> None:
    """P(member | cause, other member) by the definition of conditional probability."""
    family = table().families["inflammation"]
    joint, _ = family_likelihood(family, {"crp": 2, "fever": 1})
    alone, _ = family_likelihood(family, {"crp": 2})
    np.testing.assert_allclose(predict("fever", {"crp": 2})[:, 1], joint / alone, atol=1e-12)
