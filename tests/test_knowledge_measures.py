"""Cut-offs keep their comparator: a figure against red marrow is never one against edema."""

from __future__ import annotations

import pytest

from marrowscope.knowledge import measures as room
from marrowscope.knowledge.load import KnowledgeError
from marrowscope.knowledge.measures import measures


def test_every_cutoff_is_sourced_and_bounded() -> None:
    room.check_measures()
    assert {"t1_over_muscle", "t1_over_disc", "opposed_phase_drop", "fat_fraction", "adc"} <= set(measures())
    for measure in measures().values():
        for cutoff in measure.cutoffs.values():
            assert cutoff.against, (measure.id, cutoff.key)
            assert 0 < cutoff.value <= 100, (measure.id, cutoff.key)


def test_figures_against_red_marrow_are_barred_from_edema() -> None:
    for name in ("t1_over_muscle", "t1_over_disc"):
        cutoff = measures()[name].cutoff("iso_or_dark")
        assert cutoff.against == "red_marrow"
        assert "severe_edema" in cutoff.never


def test_dixon_rules_never_reach_an_inflamed_sacroiliac_joint() -> None:
    for name, key in (("opposed_phase_drop", "dixon_1_5t"), ("fat_fraction", "focal_lesion")):
        assert "sacroiliac_inflammation" in measures()[name].cutoff(key).never


def test_a_drop_below_the_cutoff_needs_low_t1() -> None:
    for cutoff in measures()["opposed_phase_drop"].cutoffs.values():
        assert "t1_low" in cutoff.needs
    assert measures()["opposed_phase_drop"].cutoff("replacement_1_5t").met(12.0)
    assert not measures()["opposed_phase_drop"].cutoff("replacement_1_5t").met(20.0)


def test_bad_data_is_refused() -> None:
    raw = {"op": "<", "value": 20, "favours": "x", "against": "y", "regions": [], "needs": [], "never": []}
    with pytest.raises(KnowledgeError, match="basis"):
        room._cutoff("a", {**raw, "text": "t"}, "%", "a")
    with pytest.raises(KnowledgeError, match="between 0 and 1"):
        room._cutoff("a", {**raw, "text": "t", "judgement": True, "specificity": 95}, "%", "a")
    with pytest.raises(KnowledgeError, match="finite"):
        room._cutoff("a", {**raw, "text": "t", "judgement": True, "value": float("nan")}, "%", "a")
    with pytest.raises(KnowledgeError, match="dixon_1_5t"):
        measures()["opposed_phase_drop"].cutoff("nonsense")
