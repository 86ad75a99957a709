"""What a hand does on the page of `metai2i paint`: paint, choose files, adapt, save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 32
"""Of the map on the page, in pixels."""


def downloaded(tab: Any, button: str, path: Path) -> bytes:
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name=button, exact=True).click()
    waiting.value.save_as(path)
    return path.read_bytes()


def ids_of(tab: Any, folder: Path, name: str = "map.png") -> np.ndarray:
    """The class ids on the page, as the saved map has them."""
    downloaded(tab, "Save the map", folder / name)
    return np.asarray(Image.open(folder / name)).astype(int)


def place(tab: Any, x: float, y: float) -> tuple[float, float]:
    """Where the middle of a pixel of the map is on the screen."""
    box = tab.locator("#canvas").bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / SIDE, box["y"] + (y + 0.5) * box["height"] / SIDE


def stroke(tab: Any, *points: tuple[float, float]) -> None:
    tab.mouse.move(*place(tab, *points[0]))
    tab.mouse.down()
    for point in points[1:]:
        tab.mouse.move(*place(tab, *point), steps=4)
    tab.mouse.up()


def choose(tab: Any, tool: str, number: int, size: int | None = None) -> None:
    tab.get_by_role("radio", name=tool, exact=True).click()
    tab.get_by_role("radio", name=f"class {number}", exact=True).click()
    if size is not None:
        tab.locator("#brush").fill(str(size))


def square(*span: int) -> np.ndarray:
    """A map of class 0 with class 2 in the rows and columns from, to (and with it)."""
    ids = np.zeros((SIDE, SIDE), int)
    top, bottom, left, right = span
    ids[top : bottom + 1, left : right + 1] = 2
    return ids


def ids_of_canvas(tab: Any) -> np.ndarray:
    """The class ids on the page, by what it would hand over: the body of the next image that is asked for."""
    with tab.expect_request("**/map.png") as waiting:
        tab.locator("#save-map").evaluate("button => button.click()")
    return np.frombuffer(waiting.value.post_data_buffer, np.uint8).reshape(SIDE, SIDE).astype(int)


def hand_over(tab: Any, button: str, *files: Path) -> None:
    """Chooses files as a hand does, by the button and the system's dialog."""
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name=button).click()
    chooser.value.set_files(files)


def adapt_on_page(tab: Any, small: Path, steps: str = "0, 3") -> None:
    hand_over(tab, "Choose files …", *sorted((small / "pairs").iterdir()))
    tab.locator("#support img").first.wait_for()
    tab.locator("#steps").fill(steps)
    tab.get_by_role("button", name="Adapt", exact=True).click()
    tab.get_by_text("done, ").wait_for()
