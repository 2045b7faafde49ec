"""Roles: physics first, words second, in several languages and vendors' dialects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from marrowscope.measurement import Severity
from marrowscope.study import FatSuppression, Role, Sequence, SequenceClass, read_study
from marrowscope.study.contrast import ContrastFacts, contrast_words, settle
from marrowscope.study.roles import decide
from marrowscope.study.words import load, meanings, mentions, phrase_of
from study_files import save, series, truth

SE = Sequence(modality="MR", scanning_sequence=("SE",), image_type=("ORIGINAL", "PRIMARY", "M"))
GR = replace(SE, scanning_sequence=("GR",))
SPECTRAL, NONE = FatSuppression.SPECTRAL, FatSuppression.NONE

PHYSICS = [
    (replace(SE, tr_ms=4000, te_ms=60, ti_ms=160, fat_suppression=FatSuppression.INVERSION), "fluid", "stir"),
    (replace(SE, tr_ms=4000, te_ms=70, fat_suppression=SPECTRAL), "fluid", "t2_fs"),
    (replace(SE, tr_ms=3000, te_ms=35, fat_suppression=SPECTRAL), "fluid", "pd_fs"),
    (replace(SE, tr_ms=600, te_ms=12, fat_suppression=NONE), "t1", "t1"),
    (replace(SE, tr_ms=2200, te_ms=10, ti_ms=860, fat_suppression=NONE), "t1", "t1"),
    (replace(SE, tr_ms=600, te_ms=12, fat_suppression=SPECTRAL, contrast_agent=True), "t1_contrast_fs", "t1_fs"),
    (replace(SE, tr_ms=600, te_ms=12, fat_suppression=SPECTRAL), "other", "t1_fs"),
    (replace(SE, tr_ms=600, te_ms=12, fat_suppression=NONE, contrast_agent=True), "other", "t1"),
    (replace(SE, tr_ms=4000, te_ms=100, fat_suppression=NONE), "t2_nofs", "t2"),
    (replace(SE, tr_ms=2500, te_ms=30, fat_suppression=NONE), "other", "pd"),
    (replace(SE, tr_ms=9000, te_ms=100, ti_ms=2500, fat_suppression=SPECTRAL), "other", "other"),
    (replace(GR, tr_ms=500, te_ms=20, fat_suppression=SPECTRAL), "other", "gre"),
    (replace(SE, scanning_sequence=(), tr_ms=6.8, te_ms=3.1, flip_deg=9, fat_suppression=SPECTRAL), "other", "gre"),
    (replace(SE, scanning_sequence=(), tr_ms=600, te_ms=12, flip_deg=90, fat_suppression=NONE), "t1", "t1"),
    (replace(SE, modality="CT", kvp=120.0), "ct", "other"),
]
KINDS = [
    (("ORIGINAL", "PRIMARY", "M", "WATER"), "fluid", "dixon_water"),
    (("ORIGINAL", "PRIMARY", "M", "FAT"), "fat", "other"),
    (("DERIVED", "PRIMARY", "IN_PHASE"), "in_phase", "other"),
    (("DERIVED", "PRIMARY", "OUT_PHASE"), "opposed_phase", "other"),
    (("ORIGINAL", "PRIMARY", "ADC"), "adc", "dwi"),
    (("DERIVED", "PRIMARY", "T2 MAP"), "map", "other"),
    (("ORIGINAL", "PRIMARY", "LOCALIZER"), "other", "other"),
    (("DERIVED", "PRIMARY", "MPR"), "other", "other"),
    (("ORIGINAL", "PRIMARY", "P"), "other", "other"),
]
WORDS = [
    ("STIR cor", {"stir"}),
    ("t2_tirm_tra", {"stir", "t2"}),
    ("PDw SPAIR sag", {"pd", "fat_suppressed"}),
    ("T2FS ax", {"t2", "fat_suppressed"}),
    ("DP SAT GRASA sagital", {"pd", "fat_suppressed", "fat"}),
    ("T2 fettgesättigt", {"t2", "fat_suppressed"}),
    ("T1 nach KM", {"t1", "contrast"}),
    ("T1 SE sans injection", {"t1", "no_contrast", "contrast"}),
    ("Übersicht", {"localizer"}),
    ("repérage", {"localizer"}),
    ("DESS 3D we", {"gre", "fluid_gre", "water_excitation"}),
    ("knee left", set()),
]


@pytest.mark.parametrize(("sequence", "role", "kind"), PHYSICS)
def test_physics_decides_without_words(sequence: Sequence, role: str, kind: str) -> None:
    decision = decide(sequence, "")
    assert (decision.role.value, decision.sequence_class.value) == (role, kind)
    assert decision.reasons and all(reason.code and reason.text for reason in decision.reasons)


@pytest.mark.parametrize("lie", ["T1", "STIR", "T2 no fat sat"])
def test_words_do_not_overrule_physics(lie: str) -> None:
    decision = decide(replace(SE, tr_ms=4000, te_ms=70, fat_suppression=SPECTRAL), lie)
    assert decision.sequence_class is SequenceClass.T2_FS


@pytest.mark.parametrize(("kind", "role", "contrast_class"), KINDS)
def test_image_types_decide(kind: tuple[str, ...], role: str, contrast_class: str) -> None:
    decision = decide(replace(SE, image_type=kind, tr_ms=4000, te_ms=70, fat_suppression=FatSuppression.DIXON), "")
    assert (decision.role.value, decision.sequence_class.value) == (role, contrast_class)


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words_are_understood_in_several_languages(text: str, expected: set[str]) -> None:
    assert meanings(text) == expected


def test_gradient_echoes_never_size() -> None:
    decision = decide(replace(GR, tr_ms=15, te_ms=5, fat_suppression=FatSuppression.WATER_EXCITATION), "dess we sag")
    assert decision.role is Role.FLUID_GRE


def test_without_physics_one_weighting_word_is_taken_and_two_are_not() -> None:
    assert decide(SE, "t1 sag").role is Role.T1
    assert decide(SE, "t1 t2 sag").sequence_class is SequenceClass.UNKNOWN


@pytest.mark.parametrize(
    ("facts", "injected", "expected"),
    [
        (ContrastFacts(True, False, False, 36_000, 35_000), 36_000.0, False),
        (ContrastFacts(None, False, False, None, 37_000), 36_000.0, True),
        (ContrastFacts(False, False, False, None, None), None, False),
        (ContrastFacts(None, True, False, None, None), None, True),
        (ContrastFacts(True, False, True, None, None), None, False),
        (ContrastFacts(None, False, False, None, None), None, None),
    ],
)
def test_contrast_goes_by_the_clock_then_header_then_words(
    facts: ContrastFacts, injected: float | None, expected: bool | None
) -> None:
    assert settle(facts, injected)[0] is expected


@pytest.mark.parametrize(
    ("extra", "site", "side"),
    [
        ({"BodyPartExamined": "", "SeriesDescription": "IRM genou droit STIR"}, "knee", "right"),
        ({"BodyPartExamined": "", "SeriesDescription": "ISG semicoronal STIR"}, "si_joint", None),
        ({"BodyPartExamined": "", "SeriesDescription": "Hüfte links t2 fs"}, "hip_pelvis", "left"),
        ({"BodyPartExamined": "KNEE", "SeriesDescription": "shoulder t2 fs"}, None, None),
        ({"BodyPartExamined": "", "SeriesDescription": "t2 fs"}, None, None),
        ({"BodyPartExamined": "KNEE", "SeriesDescription": "t2 left right fs"}, "knee", None),
        ({"BodyPartExamined": "KNEE", "SeriesDescription": "t2 fs", "Laterality": "R"}, "knee", "right"),
        ({"BodyPartExamined": "KNEE", "SeriesDescription": "t2 fs", "PixelSpacing": [10, 10]}, None, None),
    ],
)
def test_site_and_side_are_told_or_asked_for(
    extra: dict[str, object], site: str | None, side: str | None, tmp_path: Path
) -> None:
    study = read_study(save(series(truth(), **extra), tmp_path))
    assert study.site.value == site
    assert study.side.value == side


LANGUAGES = [
    ("RODILLA T2 FS sin contraste", "", "knee", None),
    ("rodilla izquierda STIR", "", "knee", "left"),
    ("ginocchio sx PD fat sat", "", "knee", "left"),
    ("joelho direito T2 FS", "", "knee", "right"),
    ("linker enkel STIR", "", "foot_ankle", "left"),
    ("kręgosłup lędźwiowy STIR", "ISO_IR 101", "spine", None),
    ("sacro-iliaques STIR", "", "si_joint", None),
    ("右膝関節 脂肪抑制T2", "ISO_IR 192", "knee", "right"),
    ("左膝关节 T2 压脂", "GB18030", "knee", "left"),
    ("правый коленный сустав", "ISO_IR 144", "knee", "right"),
    ("무릎 STIR 우측", "ISO_IR 192", "knee", "right"),
    ("venstre skulder STIR", "", "shoulder", "left"),
]


@pytest.mark.parametrize(("text", "charset", "site", "side"), LANGUAGES)
def test_site_and_side_are_told_in_many_languages(
    text: str, charset: str, site: str, side: str | None, tmp_path: Path
) -> None:
    extra = {"BodyPartExamined": "", "SpecificCharacterSet": charset, "SeriesDescription": text}
    study = read_study(save(series(truth(), **extra), tmp_path))
    assert (study.site.value, study.side.value) == (site, side)


def test_every_word_is_found_in_its_own_text() -> None:
    lists = [words for key, words in load("words.yaml").items() if key != "other_meanings"]
    lists += [words["words"] for words in load("sites.yaml")["sites"].values()]
    for word in (str(word) for words in lists for word in words):
        assert mentions(phrase_of(f"ax {word.upper()} 3mm"), word), word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Knie STIR ohne KM", False),
        ("SAG PD FS W/O CONTRAST", False),
        ("knee w wo contrast", None),
        ("T1 FS post Gd, pre op", None),
        ("T2 FS post op", None),
        ("PD FS 16 cm", None),
        ("T1 FS post Gd", True),
        ("RODILLA T2 FS sin contraste", False),
        ("膝 T1 造影後", True),
        ("колено T1 с контрастом", True),
    ],
)
def test_contrast_words_are_told_from_their_lookalikes(text: str, expected: bool | None) -> None:
    before, after = contrast_words(text)
    facts = ContrastFacts(None, after, before, None, None)
    assert settle(facts, None)[0] is expected


@pytest.mark.needs("shared:data/dicom/pelvis_study")
def test_the_pelvic_study_is_read_whole_and_has_no_fluid(shared: Path) -> None:
    study = read_study(shared / "data" / "dicom" / "pelvis_study")
    assert study.refusals == ()
    assert [s.number for s in study.series] == [3, 4, 5, 6, 6, 6, 7, 8, 9]
    roles = [s.role.value for s in study.series]
    assert roles == ["t2_nofs"] * 3 + ["other"] * 3 + ["adc", "other", "other"]
    assert study.fluid is None
    assert not [c for s in study.series for c in s.qc if c.severity in (Severity.WARNING, Severity.REFUSE)]


IRREGULAR = {
    "gantrytilting/001": "tilted",
    "notavolume/001": "one_place_many_times",
    "slicecount/001": "too_few_slices",
    "sliceincrement/001": "missing_slices",
    "sliceincrement/002": "missing_slices",
    "sliceorientation/001": "several_orientations",
}


@pytest.mark.needs("shared:data/dicom/irregular")
@pytest.mark.parametrize(("folder", "code"), IRREGULAR.items())
def test_irregular_folders_are_refused_each_for_its_own_reason(folder: str, code: str, shared: Path) -> None:
    study = read_study(shared / "data" / "dicom" / "irregular" / folder)
    assert study.series == ()
    assert [r.code for r in study.refusals] == [code]
