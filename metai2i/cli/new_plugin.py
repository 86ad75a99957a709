"""`metai2i new-plugin`: writes a small working plugin to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import rich_click as click

from metai2i.cli.paths import UserPath

_KINDS = ("translator", "strategy", "task-source", "retriever", "metric", "network", "exporter")


@click.command(
    epilog="""\b
Examples:
  metai2i new-plugin translator my_unet
  metai2i new-plugin translator my_unet my_plugins --single-file
  metai2i new-plugin task-source my_streets ~/src
"""
)
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("name")
@click.argument("folder", type=UserPath(), default=Path(), metavar="[DIR]")
@click.option("--single-file", is_flag=True, help="One file for --plugins-dir, instead of a package with tests.")
def command(kind: str, name: str, folder: Path, single_file: bool) -> None:
    """Write a plugin NAME to start from, into DIR.

    It works as it is, and keeps all contracts that `metai2i check` knows. Nothing that is there is overwritten.
    """
    from metai2i.cli import say
    from metai2i.registry.scaffold.install import install_command
    from metai2i.registry.scaffold.write import write_plugin

    written = write_plugin(kind.replace("-", " "), name, folder, single_file=single_file)
    say(f"wrote {written}")
    if single_file:
        say(f"`{shlex.join(['metai2i', 'check', name, '--plugins-dir', str(folder)])}` tries it")
    else:
        say(f"`{install_command(written)}` makes it known, `metai2i check {name}` tries it")
