"""`metai2i plugins`: what is installed, what is broken and why, and the options of one component."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.common_options import plugins_option
from metai2i.cli.completion import components

if TYPE_CHECKING:
    from metai2i.registry import PluginStatus


@click.command(
    epilog="""\b
Examples:
  metai2i plugins
  metai2i plugins pix2pix
  metai2i plugins --plugins-dir my_plugins
"""
)
@click.argument("name", required=False, shell_complete=components)
@plugins_option
def command(name: str | None, plugins_dir: tuple[Path, ...]) -> None:
    """List all components, or show the options of those called NAME.

    A plugin that cannot be loaded is listed with its cause; `metai2i plugins NAME` shows the whole traceback.
    Exit code: 0, or 1 where what is called NAME cannot be used.
    """
    from metai2i.errors import UserError, did_you_mean
    from metai2i.registry import Registry

    statuses = Registry(plugins_dir).all()
    if name is None:
        show_all(statuses)
        return
    chosen = [status for status in statuses if status.name == name]
    if not chosen:
        hint = did_you_mean(name, {status.name for status in statuses})
        raise UserError(f"no component is called {name!r}", hint=hint)
    for status in chosen:
        show_one(status)
    if any(status.status != "ok" for status in chosen):
        raise Exit(1)


def show_all(statuses: list[PluginStatus]) -> None:
    """Print one line for each component and each failure."""
    from metai2i.cli.tables import print_rows

    print_rows(
        ["name", "kind", "version", "from", "status", "cause"],
        [
            [
                status.name,
                status.kind or "-",
                status.version or "-",
                status.distribution or status.origin,
                status.status,
                status.cause,
            ]
            for status in statuses
        ],
    )


def show_one(status: PluginStatus) -> None:
    """Print what a component is for and its options; for a broken one, what broke it."""
    from metai2i.cli.tables import print_rows
    from metai2i.console.consoles import stdout_console
    from metai2i.metrics.display import info_from_class
    from metai2i.registry.options import describe_options, summary

    console = stdout_console()
    console.print(f"{status.name}  {status.kind or 'plugin'}  {status.plugin.label}")
    console.print(status.origin)
    if status.status != "ok":
        console.print(f"{status.status}: {status.cause}")
    if status.traceback:
        console.print(f"\n{status.traceback}")
    if status.component is None:
        return
    if status.kind == "metric":
        console.print(f"in tables: {info_from_class(status.name, status.component).label}")
    console.print(f"\n{summary(status.component)}")
    if status.kind == "network":
        files, origin = getattr(status.component, "files"), getattr(status.component, "origin")  # noqa: B009
        console.print(f"its file, in the folder of --weights: {' or '.join(files)}\nfrom: {origin}")
    options = describe_options(status.component)
    if not options:
        console.print("\nIt has no options.")
        return
    console.print()
    print_rows(
        ["option", "type", "default", "meaning"],
        [[option.name, option.type, option.default, option.doc] for option in options],
    )
    for_images = sorted(getattr(status.component, "paint_options", ()))
    if for_images:
        console.print(f"\nFor images alone, and what `metai2i translate --set` takes: {', '.join(for_images)}")
