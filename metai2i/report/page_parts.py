"""The style sheet and the script of the page, put together from files of one idea each."""

from __future__ import annotations

from jinja2 import BaseLoader, Environment

STYLES = ("page", "tables", "heat", "plots", "images", "viewer", "print")
SCRIPTS = ("theme", "sort", "reach", "viewer")


def style_sheet(environment: Environment) -> str:
    """Return the page's style sheet: light, or dark where the system or the reader wants it so, never in print."""
    light, dark = (_text(environment, f"style/{name}.css") for name in ("palette", "dark"))
    screen = (
        f"@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{\n{dark}}} }}\n"
        f"@media screen {{ :root[data-theme=dark] {{\n color-scheme: dark;\n{dark}}} }}\n"
        ":root[data-theme=light] { color-scheme: light; }\n"
    )
    return f":root {{\n{light}}}\n{screen}" + "".join(_text(environment, f"style/{name}.css") for name in STYLES)


def script(environment: Environment) -> str:
    """Return the page's script, without which it shows the same numbers and images."""
    return "".join(_apart(environment, f"script/{name}.js") for name in SCRIPTS)


def watch_style(environment: Environment) -> str:
    """Return the style sheet of the page that watches a run."""
    return style_sheet(environment) + _text(environment, "watch.css")


def watch_script(environment: Environment) -> str:
    """Return the script of the page that watches a run: images are enlarged, and what has changed is fetched."""
    return _apart(environment, "script/viewer.js") + _apart(environment, "watch.js")


def _apart(environment: Environment, name: str) -> str:
    """Return a script whose names are its own: functions in a block would else be those of all scripts of the page."""
    return f"(() => {{\n{_text(environment, name)}}})();\n"


def _text(environment: Environment, name: str) -> str:
    loader = environment.loader
    assert isinstance(loader, BaseLoader)
    return loader.get_source(environment, name)[0]
