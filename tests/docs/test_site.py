"""The pages as a site: every page is in its navigation, every link between pages leads somewhere, and it builds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


def named(nav: Any) -> Iterator[str]:
    """The files of a navigation, from top to bottom."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from named(part)


def headings(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_navigation_once():
    nav = list(named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(nav) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page):
    prose = re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    for link in filter(None, (target for pair in LINK.findall(prose) for target in pair)):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not heading or heading in headings(target.read_text()), link


def test_the_pages_of_the_site_link_to_nothing_outside_it():
    """mkdocs knows the files in docs/ alone."""
    for page in sorted(DOCS.rglob("*.md")):
        for link, _ in LINK.findall(page.read_text()):
            if "://" not in link and not link.startswith("#"):
                assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS), f"{page}: {link}"


def test_each_study_has_its_date_a_commit_and_a_place_on_the_page_of_results():
    results = (DOCS / "results.md").read_text()
    for study in sorted((DOCS / "studies").glob("*.md")):
        date = re.match(r"\d{4}-\d\d-\d\d(?=-[a-z])", study.name)
        intro = study.read_text().split("\n\n")[1]
        assert date, study.name
        assert re.search(
            rf"{date[0]}\b.*commits? `[0-9a-f]{{7}}`|commit `[0-9a-f]{{7}}`.*{date[0]}", intro, re.DOTALL
        ), study.name
        assert f"(studies/{study.name})" in results


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="needs the group docs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "<h1" in (tmp_path / "results.html").read_text()
    assert (tmp_path / "images" / "strip.png").is_file()
