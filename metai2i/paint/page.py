"""The page: one HTML file that asks for nothing but its own server."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PARTS = ("paint.css", "canvas.js", "painter.js", "images.js", "adapting.js", "paint.js")
"""What is put into the page, in this order."""


@cache
def page() -> str:
    """Return the page, with its style, its script and the report's colours in it."""
    folder = files("metai2i.paint") / "templates"
    colours = files("metai2i.report") / "templates" / "style"
    light, dark = ((colours / name).read_text(encoding="utf-8") for name in ("palette.css", "dark.css"))
    text = {name: (folder / name).read_text(encoding="utf-8") for name in ("paint.html", *PARTS)}
    style = f":root {{\n{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{\n{dark}}} }}\n{text['paint.css']}"
    script = "\n".join(text[name] for name in PARTS if name.endswith(".js"))
    return text["paint.html"].replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
