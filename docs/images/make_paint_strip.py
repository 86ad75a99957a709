"""Make the screenshots of docs/paint.md from a finished run of drawn streets, in the system's Chromium.

    metai2i run recipes/quickstart.yaml
    uv run --with playwright python docs/images/make_paint_strip.py runs/quickstart docs/images

paint-1.png: a street is painted; paint-2.png: two models are adapted to a test scene, step by step; paint-3.png: the
painted street by both, before and after.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from metai2i.errors import UserError
from metai2i.files import write_atomically
from metai2i.paint.serving import PaintWish, open_page

NAMES = ("paint-1.png", "paint-2.png", "paint-3.png")
SIZE = (1240, 860)
"""Of the window, in pixels."""
COLOURS = 200
"""Of a file, which makes it a third as large."""
STROKES = (
    ("Box", "sky", 1, [(0, 0), (1, 0.52)]),
    ("Box", "building", 1, [(0, 0.08), (0.26, 0.56)]),
    ("Box", "building", 1, [(0.72, 0.02), (1, 0.56)]),
    *(("Box", "window", 1, [(x, y), (x + 0.05, y + 0.1)]) for x in (0.04, 0.15) for y in (0.16, 0.34)),
    *(("Box", "window", 1, [(x, y), (x + 0.05, y + 0.1)]) for x in (0.78, 0.89) for y in (0.1, 0.3)),
    ("Box", "vegetation", 1, [(0.26, 0.49), (0.72, 0.53)]),
    ("Brush", "vegetation", 11, [(0.34, 0.42), (0.35, 0.46)]),
    ("Brush", "vegetation", 9, [(0.63, 0.44), (0.63, 0.47)]),
    ("Line", "sidewalk", 5, [(0, 0.68), (0.38, 0.55)]),
    ("Line", "sidewalk", 5, [(1, 0.68), (0.62, 0.55)]),
    ("Line", "marking", 1, [(0.5, 0.58), (0.495, 0.64)]),
    ("Line", "marking", 2, [(0.49, 0.7), (0.48, 0.8)]),
    ("Line", "marking", 3, [(0.475, 0.86), (0.46, 0.99)]),
    ("Line", "pole", 1, [(0.29, 0.2), (0.29, 0.6)]),
    ("Line", "pole", 1, [(0.29, 0.2), (0.34, 0.2)]),
    ("Box", "car", 1, [(0.6, 0.62), (0.8, 0.73)]),
    ("Box", "car", 1, [(0.63, 0.56), (0.76, 0.62)]),
    ("Line", "person", 2, [(0.93, 0.58), (0.93, 0.68)]),
)
"""Tool, class, size, and points as shares of the map's width and height."""


def browser_program() -> str:
    """Return the system's Chromium.

    Raises:
        UserError: when it has none.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        raise UserError("there is no Chromium here", hint="apt-get install chromium")
    return program


def shoot(url: str) -> list[bytes]:
    """Paint, adapt and compare on the page at an address; return a screenshot of each, as PNG.

    Raises:
        UserError: without Playwright or Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UserError("playwright is not installed", hint="uv run --with playwright python ...") from None
    program = browser_program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, device_scale_factor=1)
        page.goto(url)
        page.wait_for_selector("#cards img:not([hidden])")
        paint(page)
        shots = [page.screenshot()]
        adapt(page)
        page.locator("#adapt").scroll_into_view_if_needed()
        shots.append(page.locator("#adapt").screenshot())
        page.locator("header").scroll_into_view_if_needed()
        page.mouse.move(5, 5)
        page.wait_for_timeout(600)
        shots.append(page.locator("#workspace").screenshot())
        browser.close()
    return shots


def paint(page: Any) -> None:
    """Paint a street, stroke by stroke, as a hand does."""
    page.get_by_role("radio", name="road", exact=True).click()
    page.get_by_role("button", name="Fill all with this class").click()
    box = page.locator("#canvas").bounding_box()
    for tool, name, size, points in STROKES:
        draw(page, box, tool, name, size, points)
    page.wait_for_timeout(500)
    painted(page)


def draw(page: Any, box: dict[str, float], tool: str, name: str, size: int, points: list[tuple[float, float]]) -> None:
    """Draw with a tool, a class and a size through points."""
    page.get_by_role("radio", name=tool, exact=True).click()
    page.get_by_role("radio", name=name, exact=True).click()
    page.locator("#brush").fill(str(size))
    places = [(box["x"] + 1 + x * (box["width"] - 2), box["y"] + 1 + y * (box["height"] - 2)) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def painted(page: Any) -> None:
    """Wait until every image is that of the map as it is."""
    page.locator("#cards:not([aria-busy=true])").wait_for(timeout=300_000)


def adapt(page: Any) -> None:
    """Adapt the models that the page proposes to the first test scene of the run."""
    page.locator("#scene").select_option(index=1)
    page.locator("#support img").first.wait_for()
    page.get_by_role("button", name="Adapt", exact=True).click()
    page.get_by_text("done, ").wait_for(timeout=600_000)
    painted(page)


def smaller(shot: bytes) -> bytes:
    """Return a screenshot in fewer colours."""
    buffer = BytesIO()
    Image.open(BytesIO(shot)).convert("RGB").quantize(COLOURS).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def main(words: list[str] | None = None) -> int:
    """Write the screenshots; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the screenshots of docs/paint.md.")
    parser.add_argument("run", type=Path, help="the folder of a finished run of drawn streets")
    parser.add_argument("out", type=Path, help="the folder for the screenshots")
    given = parser.parse_args(words)
    try:
        with TemporaryDirectory() as kept, open_page(PaintWish([given.run], 0, Path(kept))) as page:
            thread = threading.Thread(target=page.server.serve_forever, daemon=True)
            thread.start()
            try:
                shots = shoot(page.url)
            finally:
                page.server.shutdown()
        for name, shot in zip(NAMES, map(smaller, shots), strict=True):
            write_atomically(given.out / name, lambda draft, content=shot: draft.write_bytes(content))
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
