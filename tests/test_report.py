"""The report: HTML and PDF say the same, nothing leaves the page, nothing that was typed can act, no number is lost."""

from __future__ import annotations

import csv
import html
import io
import re
import subprocess
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marrowscope.assessment import Assessment, Outcome
from marrowscope.assessment.types import NotAssessed, ReleaseStatus
from marrowscope.errors import NoFluidSeriesError
from marrowscope.lesion.types import Objects
from marrowscope.measurement import Measurement
from marrowscope.report.build import report_view
from marrowscope.report.figures import Figure, chosen_slices, make_figures, one_slice
from marrowscope.report.html import render_index
from marrowscope.report.inspection import render_inspection
from marrowscope.report.leaflet import patient_page
from marrowscope.report.pdf import printable, render_pdf, uncovered_characters
from marrowscope.report.raster import EDEMA_COLOUR
from marrowscope.report.tables import measurements_csv
from marrowscope.report.words import measurement_text, number_text, percent_text
from marrowscope.scoring.types import Cell, Score
from marrowscope.study import Role
from marrowscope.volume import Volume
from report_sample import SAGITTAL, sample_assessment, sample_objects
from report_text import LAYOUT_ONLY, NUMBER, page_words, parsed, pdf_text, squeezed, without_addresses

CORONAL = np.array([[2.0, 0.0, 0.0, -40.0], [0.0, 0.0, 3.0, -60.0], [0.0, -2.2, 0.0, 70.0], [0.0, 0.0, 0.0, 1.0]])
"""Columns run to the patient's left, rows to the feet, slices to posterior."""


@cache
def sample() -> tuple[Assessment, Objects, dict[str, Figure]]:
    """One assessment with a score, a NaN-free missing value and its pictures."""
    objects = sample_objects()
    cells = (Cell("medial_femur.size", 2), Cell("medial_femur.cyst", 1), Cell("tibia.size", None, "not covered"))
    score = Score("demo", "Demo score", Measurement.of("total", 3, "{score}", (2, 5), "cells"), 0, 45, cells)
    assessment = replace(
        sample_assessment(objects),
        scores=(score,),
        not_assessed=(NotAssessed("slices 17-18", "fat suppression failed there", "a repeat with STIR"),),
    )
    return assessment, objects, make_figures(assessment, objects)


def page_of(assessment: Assessment, figures: dict[str, Figure] | None = None) -> str:
    return render_index(report_view(assessment), figures or {})


@pytest.mark.needs("poppler")
def test_page_and_pdf_hold_the_same_numbers(tmp_path: Path) -> None:
    assessment, _, figures = sample()
    view = without_addresses(report_view(assessment))
    on_page = Counter(NUMBER.findall(page_words(render_index(view, figures))))
    on_paper = Counter(NUMBER.findall(pdf_text(render_pdf(view, figures), tmp_path)))
    assert not on_page - on_paper, f"on the page only: {on_page - on_paper}"
    assert not on_paper - on_page, f"on paper only: {on_paper - on_page}"
    assert sum(on_page.values()) > 80, "the sample should carry many numbers"


@pytest.mark.needs("poppler")
def test_every_word_of_the_page_is_on_paper(tmp_path: Path) -> None:
    assessment, _, figures = sample()
    paper = squeezed(pdf_text(render_pdf(report_view(assessment), figures), tmp_path))
    spoken = [w.strip() for w in parsed(page_of(assessment, figures)).words if len(w.strip()) > 3]
    lost = [w for w in spoken if squeezed(w) not in paper and not w.startswith(LAYOUT_ONLY)]
    assert not lost


def test_every_measurement_is_on_the_page() -> None:
    assessment, _, figures = sample()
    text = " ".join(parsed(page_of(assessment, figures)).words)
    for lesion in assessment.lesions:
        for m in lesion.measurements:
            shown = m.reason if m.value is None else number_text(m.value, m.unit, m.code)
            assert shown in text, m.code


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    assessment, _, figures = sample()
    page = parsed(page_of(assessment, figures))
    assert not {"script", "iframe", "form", "object", "link", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), name
        assert name != "style", "inline styles break the page's own policy"
        if name == "src":
            assert value.startswith("data:image/png;base64,"), value
        if name == "href":
            assert tag == "a", "only a reader's own click may lead anywhere"


def test_what_was_typed_is_text() -> None:
    assessment, _, _ = sample()
    hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
    records = tuple(replace(s, description=hostile) for s in assessment.series)
    page = page_of(replace(assessment, series=records))
    assert "<script" not in page
    assert "<img src=x" not in page
    assert html.escape(hostile, quote=True).replace("&#x27;", "'") in page.replace("&#34;", "&quot;")


def test_quality_stands_before_the_impression() -> None:
    page = page_of(sample()[0])
    assert page.index('id="quality"') < page.index('id="impression"') < page.index('id="lesions"')


def test_no_lesion_never_reads_as_no_disease() -> None:
    assessment = sample_assessment(sample_objects(lesions=0))
    assert assessment.outcome is Outcome.NO_LESION_FOUND
    text = " ".join(parsed(page_of(assessment)).words)
    assert "This does not exclude disease" in text
    assert "no disease" not in text.lower()


def test_diffuse_marrow_is_said_where_reference_is_not_trusted() -> None:
    objects = sample_objects(lesions=0)
    assert objects.reference is not None
    doubtful = replace(objects, reference=replace(objects.reference, trusted=False, reason="as bright as muscle"))
    text = " ".join(parsed(page_of(sample_assessment(doubtful))).words)
    assert "diffuse marrow abnormality is not excluded" in text
    assert "as bright as muscle" in text


@pytest.mark.needs("poppler")
def test_the_pdf_is_pdf_a_and_the_same_every_time(tmp_path: Path) -> None:
    assessment, _, figures = sample()
    view = report_view(assessment)
    pdf = render_pdf(view, figures, "2025-03-01")
    assert pdf == render_pdf(view, figures, "2025-03-01")
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in pdf
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf)
    fonts = subprocess.run(["pdffonts", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert fonts
    assert all(re.search(r" yes yes (yes|no) ", line) for line in fonts), "every font is embedded and subset"


@pytest.mark.needs("poppler")
def test_glyphs_no_font_covers_are_printed_by_their_code(tmp_path: Path) -> None:
    view = replace(report_view(sample()[0]), impression="膝 knee \u0007 ก end")
    text = pdf_text(render_pdf(view, {}), tmp_path)
    assert "U+819D knee U+0007 U+0E01 end" in text
    assert "no embedded font shows them: U+0007, U+0E01, U+819D" in text


def test_the_names_of_uncovered_characters_are_read_from_the_diagnostic() -> None:
    said = 'the text `"\\u{1}"` could not be displayed ... the text `"漢\\"\\n"` could not be displayed'
    assert uncovered_characters(said) == {"\x01", "漢", '"', "\n"}
    assert uncovered_characters("missing document date") == set()


def test_a_long_word_gets_break_points_and_an_identifier_stays_whole() -> None:
    view = replace(report_view(sample()[0]), impression="x" * 200, subtitle="ab" * 32)
    data = printable(view, set())
    assert "\u200b" in data["impression"]
    assert data["subtitle"] == "ab" * 32


def test_the_csv_is_tidy_and_loses_nothing() -> None:
    assessment, _, _ = sample()
    rows = list(csv.DictReader(io.StringIO(measurements_csv(assessment))))
    lesions = [r for r in rows if r["level"] == "lesion"]
    assert len(lesions) == sum(len(x.measurements) for x in assessment.lesions)
    for lesion in assessment.lesions:
        for m in lesion.measurements:
            row = next(r for r in lesions if r["object"] == lesion.code and r["measurement"] == m.code)
            assert (row["value"] == "") == (m.value is None)
            assert m.value is None or float(row["value"]) == m.value
            assert row["status"] == m.status.value
            assert row["reason"] == m.reason
    assert {"exam", "bone", "reference", "lesion", "score", "score_cell"} <= {r["level"] for r in rows}


def test_figures_are_the_same_bytes_and_hold_no_metadata() -> None:
    assessment, objects, figures = sample()
    again = make_figures(assessment, objects)
    assert {n: f.png for n, f in figures.items()} == {n: f.png for n, f in again.items()}
    for figure in figures.values():
        with Image.open(io.BytesIO(figure.png)) as image:
            assert image.size == (figure.width, figure.height)
            assert not image.info


def _coloured(figure: Figure) -> np.ndarray:
    with Image.open(io.BytesIO(figure.png)) as image:
        return np.all(np.asarray(image.convert("RGB")) == EDEMA_COLOUR, axis=-1)


def test_the_outline_runs_around_the_lesion_where_the_patient_has_it() -> None:
    _, objects, figures = sample()
    ring = np.argwhere(_coloured(figures["lesion_1_fluid"]))
    height, width = figures["lesion_1_fluid"].height, figures["lesion_1_fluid"].width
    rows, columns = objects.exam.image.shape[1], objects.exam.image.shape[0]
    centre = ring.mean(axis=0) / (height, width) * (rows, columns)
    assert centre == pytest.approx((38.5, 40.5), abs=1.0)
    assert not _coloured(figures["lesion_1_plain"]).any()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_reversed_acquisition_gives_the_same_picture(axis: int) -> None:
    """The same patient scanned with an index axis running the other way looks the same on the report."""
    straight = sample_objects()
    affine = SAGITTAL.copy()
    affine[:3, 3] += affine[:3, axis] * (straight.exam.image.shape[axis] - 1)
    affine[:3, axis] *= -1
    flipped = sample_objects(affine, flip=axis)
    one = make_figures(sample_assessment(straight), straight)["lesion_1_fluid"]
    other = make_figures(sample_assessment(flipped), flipped)["lesion_1_fluid"]
    assert one.png == other.png


def test_one_slice_lies_where_it_lay() -> None:
    volume = sample_objects().exam.fluid.volume
    alone = one_slice(volume, 11)
    assert alone.shape == (*volume.shape[:2], 1)
    assert np.array_equal(alone.array[..., 0], volume.array[..., 11])
    np.testing.assert_allclose(alone.to_world((5, 7, 0)), volume.to_world((5, 7, 11)))


def test_t1_of_another_plane_is_shown_on_its_own_slice_with_the_lesion_where_it_is() -> None:
    objects = sample_objects()
    t1 = objects.exam.companion(Role.T1)
    assert t1 is not None
    coronal = Volume(np.ones((40, 60, 30), dtype=np.float32), CORONAL)
    other = replace(t1, series=replace(t1.series, volume=coronal))
    exam = replace(objects.exam, companions={Role.T1: other})
    figures = make_figures(sample()[0], replace(objects, exam=exam))
    figure = figures["lesion_1_t1"]
    assert "T1, coronal, own slice" in figure.caption
    ring = np.argwhere(_coloured(figure)).mean(axis=0) / (figure.height, figure.width) * (60, 40)
    lesion = next(x for x in sample()[0].lesions if x.label == 1)
    column, row, _ = coronal.to_index(lesion.centroid_lps_mm)
    assert ring == pytest.approx((row + 0.5, column + 0.5), abs=1.0)


def test_the_overview_keeps_every_key_slice() -> None:
    assert chosen_slices(12, [3]) == list(range(12))
    chosen = chosen_slices(200, [7, 111])
    assert len(chosen) <= 30
    assert {0, 7, 111, 199} <= set(chosen)


def test_numbers_read_as_readers_write_them() -> None:
    assert measurement_text(Measurement.of("volume", 1.416, "cm3", (1.1, 1.934), "t")) == "1.42 cm³ (1.10–1.93)"
    assert measurement_text(Measurement.not_assessable("adc", "10*-6.mm2/s", "no map")) == "not assessable"
    assert number_text(-0.0001, "cm3") == "0.00"
    assert number_text(3.0, "1", "lesion_count") == "3"
    assert [percent_text(p) for p in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["0 %", "<1 %", "50 %", ">99 %", "100 %"]


@pytest.mark.parametrize(
    ("status", "by", "said"),
    [
        (ReleaseStatus.PRELIMINARY, "", "PRELIMINARY. Not signed by a clinician."),
        (ReleaseStatus.FINAL, "Dr Grey", "FINAL. Released by Dr Grey, 2026-11-23T09:00:00+00:00."),
        (ReleaseStatus.AMENDED, "Dr Grey", "AMENDED. Released by Dr Grey, 2026-11-23T09:00:00+00:00."),
        (ReleaseStatus.AMENDED, "", "AMENDED after release. Not signed again by a clinician."),
    ],
)
def test_only_a_named_person_makes_it_more_than_a_draft(status: ReleaseStatus, by: str, said: str) -> None:
    at = "2026-11-23T09:00:00+00:00" if by else ""
    signed = replace(sample()[0], status=status, released_by=by, released_at=at)
    assert said in page_words(page_of(signed))
    assert report_view(signed).final == bool(by)
    assert ("Draft. A doctor has not yet checked" in patient_page(signed)) == (not by)


def test_the_inspection_page_holds_what_was_typed_as_text() -> None:
    study = sample_objects().exam.study
    hostile = replace(study.series[0], description="<script>alert(1)</script>")
    refusal = NoFluidSeriesError("no fluid <b>series</b>", "STIR", "acquire one")
    page = render_inspection(replace(study, series=(hostile, *study.series[1:])), refusal)
    assert {"script", "b"} & set(parsed(page).tags) == set()
    words = page_words(page)
    assert "<script>alert(1)</script>" in words
    assert "no fluid <b>series</b>" in words
    assert "three orientations in one series" in words
