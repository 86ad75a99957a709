"""`metai2i data`: looks data sets over, and the commands of plugins that prepare data."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.common_options import plugins_option
from metai2i.cli.completion import recipes_or_files
from metai2i.cli.paths import UserPath
from metai2i.errors import UserError

if TYPE_CHECKING:
    from click import Command, Context

    from metai2i.data_tools.data_commands import DataCommands
    from metai2i.data_tools.findings import DataReport, Demand
    from metai2i.pipeline.assemble import Assembler
    from metai2i.recipe import Row
    from metai2i.tasks import Split, TaskSpec


SIZES = 3
"""So many sizes of photographs are named."""
_MANY = 40
"""Of data with more classes, those that no label map has are counted, not listed in the table."""


class DataGroup(click.RichGroup):
    """The core's own commands, then those of plugins, which are imported when they are asked for."""

    def list_commands(self, ctx: Context) -> list[str]:
        """Return all names."""
        return [*self.commands, *self._offered().names()]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return the command called so."""
        return self.commands.get(cmd_name) or self._offered().get(cmd_name)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Return the command itself, for a call; the hint of a name that is not there is ours."""
        from metai2i.cli import keep_lines

        if args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        command = self.get_command(ctx, args[0])
        if command is not None:
            keep_lines(command)
        return args[0], command, args[1:]

    def _offered(self) -> DataCommands:
        from metai2i.data_tools.data_commands import DataCommands
        from metai2i.registry.discovery import installed_plugins

        return DataCommands(installed_plugins(), reserved=frozenset(self.commands))


@click.group(
    cls=DataGroup,
    epilog="""\b
Examples:
  metai2i data check recipes/quickstart.yaml
  metai2i data --help
""",
)
def command() -> None:
    """Look a data set over before anyone trains on it, or prepare one.

    Besides `check`, the commands are those of installed plugins.
    """


@command.command(
    epilog="""\b
Examples:
  metai2i data check recipes/quickstart.yaml
  metai2i data check my.yaml tasks.root=DIR --out sheets
  metai2i data check my.yaml --sheet episodes.png
  metai2i data check my.yaml --strict && metai2i run my.yaml
"""
)
@click.argument("recipe", shell_complete=recipes_or_files)
@click.argument("overrides", nargs=-1, metavar="[a.b=c …]")
@click.option("--out", type=UserPath(), metavar="DIR",
              help="Write a contact sheet of every split to this folder.")  # fmt: skip
@click.option("--sheet", type=UserPath(), metavar="FILE.png",
              help="Write support and queries of the first scored scenes to a file, as a run draws them.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit with 1 when there are warnings.")
@plugins_option
def check(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    sheet: Path | None,
    strict: bool,
    plugins_dir: tuple[Path, ...],
) -> None:
    """Read every sample that RECIPE would train on or score, once, and tell what is in it and what is wrong.

    Told are scenes, pairs, sizes and the share of every class; as errors: files that cannot be read (the first of them,
    and how many), values out of range, scenes that are too short for shots and queries, and photographs that are in two
    splits; as warnings: photographs that are there twice within a split, that are smaller than the wanted size, lose
    much of their area to it, or lie where all others stand; photographs of one colour and label maps of one class;
    classes that no training map has; scenes whose names differ in capitals only.

    Exit code: 0 when all is well, 2 when there are errors; 1 when there are warnings, with --strict.
    """
    from metai2i.cli.overrides import tell_overrides
    from metai2i.data_tools.dataset_check import check_source
    from metai2i.pipeline.assemble import Assembler
    from metai2i.pipeline.preflight import check_out
    from metai2i.recipe import load_recipe
    from metai2i.recipe.bundled import recipe_path
    from metai2i.recipe.key_places import told_with_places
    from metai2i.registry import Registry
    from metai2i.training.device import choose_device

    registry = Registry(plugins_dir)
    checked = load_recipe(recipe_path(recipe), overrides, registry)
    tell_overrides(checked)
    groups = rows_by_source(checked.rows)
    if out is not None:
        check_out(out)
        check_sheets(out, len(groups))
    sheets = episode_sheets(sheet, len(groups))
    assembler = Assembler(registry, checked.seed, choose_device("cpu"))
    errors = warnings = 0
    for number, rows in enumerate(groups, start=1):
        used = next(iter(rows.values())).tasks.use
        with told_with_places(checked.key_places.get(next(iter(rows)), {})):
            source = assembler.source(next(iter(rows.values())))
        report = check_source(source, demand(rows.values(), assembler), bar)
        _show(used if len(groups) == 1 else f"{used} (rows {', '.join(rows)})", report)
        if out is not None:
            save_sheets(out, report, prefix_of(number, len(groups)))
        if sheets:
            save_episodes(sheets[number - 1], next(iter(rows.values())), assembler, report)
        errors += report.errors
        warnings += len(report.findings) - report.errors
    click.echo(f"\n{errors} errors, {warnings} warnings")
    if errors:
        raise Exit(2)
    if warnings and strict:
        raise Exit(1)


def rows_by_source(rows: Mapping[str, Row]) -> list[dict[str, Row]]:
    """Return the rows in groups that have one task source, in the order of the recipe."""
    groups: list[dict[str, Row]] = []
    for name, row in rows.items():
        group = next((group for group in groups if next(iter(group.values())).tasks == row.tasks), None)
        if group is None:
            groups.append({name: row})
        else:
            group[name] = row
    return groups


def demand(rows: Collection[Row], assembler: Assembler) -> Demand:
    """Return what rows ask of their source: what `metai2i run` would refuse."""
    from metai2i.data_tools.findings import Demand, Need

    needs: list[Need] = []
    for row in rows:
        at_test, in_training = row.test_shots + row.test_queries, row.episodes.shots + row.episodes.queries
        needs.append(Need(row.evaluate.split, at_test, row.evaluate.tasks))
        if row.tune is not None:
            needs.append(Need("val", at_test))
        if assembler.strategy(row).meta:
            needs.append(Need("train", in_training, single=row.augment is None))
    most = max(max(row.test_shots + row.test_queries, row.episodes.shots + row.episodes.queries) for row in rows)
    return Demand(needs, most)


@contextmanager
def bar(split: Split, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar; none for a split without samples."""
    from metai2i.training.progress import StageProgress

    if not total:
        yield lambda done: None
        return
    with StageProgress(split, total) as progress:
        yield progress.advance


def _show(title: str, report: DataReport) -> None:
    """Print the tables of one source and its findings on stdout."""
    from metai2i.cli.tables import print_rows
    from metai2i.console.consoles import stdout_console
    from metai2i.data_tools.dataset_check import noun_of
    from metai2i.data_tools.findings import class_names

    console = stdout_console()
    height, width = report.spec.size
    console.print(f"{title}: {_channels(report.spec)}{height}x{width}\n")
    noun = f"{noun_of(report.spec)}s"
    print_rows(
        ["split", "scenes", noun, f"{noun} per scene", "sizes", f"unusable {noun}"],
        [
            [
                name,
                str(len(split.lengths)),
                str(sum(split.lengths.values())),
                span(list(split.lengths.values())),
                sizes_of(split.sizes),
                str(len(split.damaged)),
            ]
            for name, split in report.splits.items()
        ],
    )
    shares = {name: split.shares for name, split in report.splits.items() if split.shares is not None}
    if shares:
        console.print("\nshare of all pixels, %\n")
        names = [*class_names(report.spec), "(none)"]
        everything = len(names) <= _MANY
        print_rows(
            ["id", "class", *shares],
            [
                ["" if name == "(none)" else str(i), name, *(f"{100 * share[i]:.2f}" for share in shares.values())]
                for i, name in enumerate(names)
                if (everything and name != "(none)") or any(share[i] for share in shares.values())
            ],
        )
    for finding in report.findings:
        console.print(f"{finding.level}: {finding.text}", style="red" if finding.level == "error" else "yellow")


def _channels(spec: TaskSpec) -> str:
    """Return what `structure` has, in words before the size; nothing for data without it."""
    if "structure" not in spec.fields:
        return ""
    return f"{spec.structure_channels} {'classes' if spec.field('structure').is_labels else 'channels'}, "


def span(lengths: list[int]) -> str:
    """Return the smallest and the largest."""
    if not lengths:
        return "-"
    return str(min(lengths)) if min(lengths) == max(lengths) else f"{min(lengths)}-{max(lengths)}"


def sizes_of(sizes: Counter[tuple[int, int]]) -> str:
    """Return the commonest sizes of photographs, and how many more there are."""
    if not sizes:
        return "-"
    more = f" and {len(sizes) - SIZES} more" if len(sizes) > SIZES else ""
    return ", ".join(f"{height}x{width}" for (height, width), _ in sizes.most_common(SIZES)) + more


def prefix_of(number: int, sources: int) -> str:
    """Return what the sheets' names begin with: the source's number, where there are several."""
    return "" if sources == 1 else f"{number}-"


def check_sheets(out: Path, sources: int) -> None:
    """Refuse to write sheets over files that are none.

    Raises:
        UserError: for the first of them.
    """
    from metai2i.data.contact_sheet import is_sheet
    from metai2i.tasks import SPLITS

    for number in range(1, sources + 1):
        for split in SPLITS:
            path = out / f"{prefix_of(number, sources)}{split}.png"
            if os.path.lexists(path) and not is_sheet(path):
                raise UserError(
                    "a contact sheet would be written over this file", where=path, hint="--out names another folder"
                )


def save_sheets(out: Path, report: DataReport, prefix: str) -> None:
    """Write a contact sheet for every split that has images, and say which splits have none."""
    from metai2i.cli import say
    from metai2i.data.contact_sheet import save_sheet

    for name, split in report.splits.items():
        if split.cells:
            path = out / f"{prefix}{name}.png"
            save_sheet(path, split.cells)
            say(str(path))
        elif split.lengths:
            say(f"no sheet of {name}: no sample has an image or a structure of the wanted size")


def episode_sheets(sheet: Path | None, sources: int) -> list[Path]:
    """Return the files of the sheets of episodes, one for each task source; none where none is asked for.

    Raises:
        UserError: for a place where none can be written.
    """
    from metai2i.data_tools.episode_sheet import check_sheet_path

    if sheet is None:
        return []
    paths = [sheet.with_name(f"{prefix_of(number, sources)}{sheet.name}") for number in range(1, sources + 1)]
    for path in paths:
        check_sheet_path(path)
    return paths


def save_episodes(path: Path, row: Row, assembler: Assembler, report: DataReport) -> None:
    """Write the sheet of the episodes that a row is scored on, and say so; with errors in the data there is none."""
    from metai2i.cli import say
    from metai2i.data_tools.episode_sheet import drawn_episodes, save_episode_sheet

    if report.errors:
        say(f"no sheet is written to {path}: the data has errors")
        return
    save_episode_sheet(path, drawn_episodes(row, assembler), report.spec)
    say(str(path))
