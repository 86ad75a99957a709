"""The page: one HTML file that asks for nothing but its own server."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

PARTS = ("canvas.js", "painter.js", "images.js", "adapting.js", "paint.js")
"""Of the script, in this order."""


def page_script() -> str:
    """Return the script of the page."""
    folder = files("metai2i.paint") / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in PARTS)


@cache
def page_policy() -> str:
    """Return what a browser lets the page do: run its own script alone, ask its own server, be in no frame."""
    digest = b64encode(sha256(f"\n{page_script()}\n".encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def page() -> str:
    """Return the page, with its style, its script and the report's colours in it."""
    folder = files("metai2i.paint") / "templates"
    colours = files("metai2i.report") / "templates" / "style"
    light, dark = ((colours / name).read_text(encoding="utf-8") for name in ("palette.css", "dark.css"))
    text = {name: (folder / name).read_text(encoding="utf-8") for name in ("paint.html", "paint.css")}
    style = f":root {{\n{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{\n{dark}}} }}\n{text['paint.css']}"
    return text["paint.html"].replace("/*STYLE*/", style).replace("/*SCRIPT*/", page_script())
