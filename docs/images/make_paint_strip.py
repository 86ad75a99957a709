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
    ("Fill", "sky", [(0.5, 0.2)]),
    ("Box", "building", [(0.02, 0.16), (0.24, 0.56)]),
    ("Box", "building", [(0.66, 0.1), (0.98, 0.56)]),
    ("Brush", "vegetation", [(0.3, 0.5), (0.36, 0.42), (0.4, 0.5)]),
    ("Brush", "vegetation", [(0.56, 0.52), (0.6, 0.46), (0.63, 0.52)]),
    ("Line", "marking", [(0.5, 0.62), (0.44, 0.98)]),
    ("Box", "car", [(0.58, 0.62), (0.76, 0.74)]),
)
"""Tool, class, and points as shares of the map's width and height."""


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
    page.locator("#brush").fill("9")
    page.get_by_role("radio", name="road", exact=True).click()
    page.get_by_role("button", name="Fill all with this class").click()
    box = page.locator("#canvas").bounding_box()
    draw(page, box, "Box", "sky", [(0.0, 0.0), (1.0, 0.52)])
    draw(page, box, "Box", "sidewalk", [(0.0, 0.53), (1.0, 0.6)])
    for tool, name, points in STROKES:
        draw(page, box, tool, name, points)
    page.wait_for_timeout(1200)


def draw(page: Any, box: dict[str, float], tool: str, name: str, points: list[tuple[float, float]]) -> None:
    """Draw with a tool and a class through points."""
    page.get_by_role("radio", name=tool, exact=True).click()
    page.get_by_role("radio", name=name, exact=True).click()
    places = [(box["x"] + x * (box["width"] - 1), box["y"] + y * (box["height"] - 1)) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=12)
    page.mouse.up()


def adapt(page: Any) -> None:
    """Adapt the models that the page proposes to the first test scene of the run."""
    page.locator("#scene").select_option(index=1)
    page.locator("#support img").first.wait_for()
    page.get_by_role("button", name="Adapt", exact=True).click()
    page.get_by_text("done in").wait_for(timeout=300_000)
    page.wait_for_timeout(1200)


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
        with TemporaryDirectory() as kept, open_page(PaintWish([given.run], 0, Path(kept))) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                shots = shoot(server.url)
            finally:
                server.shutdown()
        for name, shot in zip(NAMES, map(smaller, shots), strict=True):
            write_atomically(given.out / name, lambda draft, content=shot: draft.write_bytes(content))
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
