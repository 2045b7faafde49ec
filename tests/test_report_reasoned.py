"""Reasoning in the report: checks on top, reasons that add a basis, sources listed once, page and paper alike."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from marrowscope.assessment import Assessment, reason
from marrowscope.reasoning.answer import reason_findings
from marrowscope.reasoning.intake import Intake
from marrowscope.report.build import report_view
from marrowscope.report.html import render_index
from marrowscope.report.pdf import render_pdf
from marrowscope.report.view import ReportView
from needs import CHECKOUT
from report_text import NUMBER, page_words, pdf_text, squeezed, without_addresses

CASES = sorted(p for p in (CHECKOUT / "tests" / "cases").glob("*.yaml") if p.stem != "answers")
BASIS = re.compile(r"\[(J|\d+(?:, \d+)*)\]")


@cache
def assessed(case: Path) -> Assessment:
    intake = Intake.load(case)
    return replace(reason(intake), reasoning=reason_findings(intake).to_dict())


def view_of(case: Path) -> ReportView:
    return report_view(assessed(case))


def test_there_are_cases() -> None:
    assert len(CASES) >= 20


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_every_statement_names_its_basis_and_every_number_its_source(case: Path) -> None:
    view = view_of(case)
    listed = {s.number for s in view.sources}
    assert listed == set(range(1, len(listed) + 1))
    statements = [text for cause in view.causes for text in (*cause.reasons_for, *cause.reasons_against)]
    statements += [line for block in view.checks for line in block.bullets]
    statements += [row[2] for block in view.plan for row in block.rows]
    for text in statements:
        assert BASIS.search(text), text
    used = {int(n) for text in statements for found in BASIS.findall(text) if found != "J" for n in found.split(", ")}
    assert used <= listed


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_a_check_that_is_not_clear_stands_above_the_impression(case: Path) -> None:
    view = view_of(case)
    page = render_index(view, {})
    assert len(view.checks) == 3
    above = page.index('id="checks"') < page.index('id="impression"')
    assert above == any(not block.title.endswith(": no sign") for block in view.checks)
    assert above == view.checks_first


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_causes_are_ranked_and_the_unlisted_one_is_last(case: Path) -> None:
    causes = view_of(case).causes
    listed = [c.share for c in causes[:-1]]
    assert listed == sorted(listed, reverse=True)
    assert causes[-1].label.lower().endswith("not on the list")
    assert sum(c.share for c in causes) <= 1 + 1e-6


@pytest.mark.needs("poppler")
@pytest.mark.parametrize("case", CASES[:: max(1, len(CASES) // 3)], ids=lambda p: p.stem)
def test_page_and_paper_hold_the_same_numbers(case: Path, tmp_path: Path) -> None:
    whole = view_of(case)
    view = without_addresses(whole)
    on_page = Counter(NUMBER.findall(page_words(render_index(view, {}))))
    on_paper = Counter(NUMBER.findall(pdf_text(render_pdf(view, {}), tmp_path)))
    assert on_page - on_paper == Counter()
    assert on_paper - on_page == Counter()
    paper = squeezed(pdf_text(render_pdf(whole, {}), tmp_path))
    assert [s.url for s in whole.sources if squeezed(s.url) not in paper] == []


def test_without_images_there_is_no_image_section() -> None:
    page = render_index(view_of(CASES[0]), {})
    for section in ("quality", "lesions", "measurements", "series"):
        assert f'id="{section}"' not in page
