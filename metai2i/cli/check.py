"""`metai2i check`: tries a component against the contracts of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from metai2i.cli.common_options import plugins_option
from metai2i.cli.completion import components

if TYPE_CHECKING:
    from metai2i.registry import PluginStatus, Registry
    from metai2i.tasks import TaskSource, TaskSpec
    from metai2i.testing import Outcome

_KINDS = ("translator", "task-source", "strategy", "retriever", "metric", "network", "exporter")


@click.command(
    epilog="""\b
Examples:
  metai2i check pix2pix width=8
  metai2i check my_unet --plugins-dir my_plugins
  metai2i check bil order=second
  metai2i check domains root=data/domains
  metai2i check face_parts_l1 --classes face,eyebrows,eyes,lips,inner-mouth
"""
)
@click.argument("name", shell_complete=components)
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE …]")
@click.option("--kind", type=click.Choice(_KINDS), help="Which one, where a name stands for several.")
@plugins_option
@click.option("--tasks", help="A task source to try it on, with its defaults; drawn blocks when left out.")
@click.option("--size", nargs=2, type=click.IntRange(min=1), metavar="H W", help="Size of the blocks' images.")
@click.option("--classes", help="Names of the blocks' classes, with commas between them.")
def command(
    name: str,
    options: tuple[str, ...],
    kind: str | None,
    plugins_dir: tuple[Path, ...],
    tasks: str | None,
    size: tuple[int, int] | None,
    classes: str | None,
) -> None:
    """Try the component NAME against the contracts of its kind.

    A line for each contract: ok, failed (with what was expected, what was got and the page to read) or skipped (with
    the reason). Options are given as in a recipe: width=8. The exit code is 1 when a contract failed.
    """
    from metai2i.losses.networks import looking_in
    from metai2i.registry import Registry
    from metai2i.testing.run import contracts_of, make_bench, outcomes

    registry = Registry(plugins_dir)
    status = chosen(registry, name, kind)
    assert status.kind is not None
    assert status.component is not None
    spec, source = scenes(registry, tasks, size, classes)
    given = parsed(options)
    refuse_lacking(name, status.component, given)
    bench = make_bench(
        status.kind, status.component, given, spec=spec, source=source,
        strategies=registry.components("strategy") if status.kind == "translator" else None,
    )  # fmt: skip
    failed = 0
    with looking_in(registry):
        for outcome in outcomes(contracts_of(status.kind, bench.component), bench):
            _show(outcome)
            failed += outcome.status == "failed"
    if failed:
        raise Exit(1)


def chosen(registry: Registry, name: str, kind: str | None) -> PluginStatus:
    """Return the component of that name.

    Raises:
        UserError: when there is none, several, or one that is broken.
    """
    from metai2i.errors import UserError, did_you_mean
    from metai2i.registry.registry import broken_plugins

    wanted = kind.replace("-", " ") if kind else None
    statuses = [status for status in registry.all() if wanted is None or status.kind in (wanted, None)]
    matches = [status for status in statuses if status.name == name]
    if not matches:
        what = wanted or "component"
        near = did_you_mean(name, {status.name for status in statuses if status.status == "ok"})
        sure = near is not None and near.startswith("did")
        hints = [*([near] if near else []), *([] if sure else broken_plugins(statuses))]
        if name.endswith(".py") or "/" in name:
            hints = ["give the name of a component; --plugins-dir names the folder of its file"]
        raise UserError(f"no {what} is called {name!r}", hint="; ".join(hints).replace("?;", "?"))
    broken = next((status for status in matches if status.status != "ok"), None)
    if broken is not None:
        hint = f"`metai2i plugins {name}` shows more"
        raise UserError(f"{name!r} cannot be checked, it is {broken.status}: {broken.cause}", hint=hint)
    if len(matches) > 1:
        kinds = " and a ".join(str(status.kind) for status in matches)
        raise UserError(f"{name!r} is a {kinds}", hint="say which by --kind")
    return matches[0]


def refuse_lacking(name: str, component: type, given: dict[str, Any]) -> None:
    """Refuse to check a component without the options that have no default.

    Raises:
        UserError: naming them, with the command that gives them.
    """
    from metai2i.errors import UserError
    from metai2i.registry.options import describe_options

    described = describe_options(component)
    lacking = [option.name for option in described if option.default == "required" and option.name not in given]
    if lacking and set(given) <= {option.name for option in described}:  # a misspelt one is told as such
        command_line = " ".join(["metai2i check", name, *(f"{option}={option.upper()}" for option in lacking)])
        what = f"{name!r} needs {' and '.join(lacking)}, which {'has' if len(lacking) == 1 else 'have'} no default"
        raise UserError(what, hint=f"`{command_line}`")


def parsed(options: tuple[str, ...]) -> dict[str, Any]:
    """Return `width=8` as {"width": 8}, read as an override of a recipe is.

    Raises:
        UserErrors: for everything that is not of this form.
    """
    from metai2i.recipe.overrides import merged, parse_overrides

    tree = merged(parse_overrides(options))
    plain: Any = {} if tree is None else tree.plain()
    return dict(plain)


def scenes(
    registry: Registry, tasks: str | None, size: tuple[int, int] | None, classes: str | None
) -> tuple[TaskSpec | None, TaskSource | None]:
    """Return what the component is tried on: the spec of drawn blocks, or a task source.

    Raises:
        UserError: when both are asked for, or for a task source that cannot be made with its defaults.
    """
    from metai2i.errors import UserError
    from metai2i.pipeline.assemble import construct
    from metai2i.registry.options import check_options
    from metai2i.testing.scenes import CLASSES, SCENE_SIZE, toy_spec

    if tasks is not None:
        if size or classes:
            raise UserError("--size and --classes are for drawn blocks", hint="leave them out, or --tasks")
        source_class = registry.get("task source", tasks)
        source: TaskSource = construct(source_class, "task source", tasks, **check_options(source_class, {}))
        return None, source
    if size is None and classes is None:
        return None, None
    names = tuple(each.strip() for each in classes.split(",")) if classes else CLASSES
    return toy_spec(size or SCENE_SIZE, names), None


def _show(outcome: Outcome) -> None:
    """Print one contract's line, and what is wrong where it failed."""
    from metai2i.cli import say
    from metai2i.console.legible import on_one_line

    why = f": {outcome.why}" if outcome.why else ""
    say(on_one_line(f"{outcome.status:8} {outcome.contract.name}{why}"))
    if outcome.error is not None:
        for head, text in (
            ("expected", outcome.error.expected),
            ("got", outcome.error.got),
            ("read", outcome.error.read),
        ):
            say(on_one_line(f"         {head + ':':10}{text}"))
