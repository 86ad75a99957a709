"""`metai2i plan`: shows what a recipe asks for before any of it is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import rich_click as click

from metai2i.cli.recipe_options import RecipeOptions, recipe_options, request_of
from metai2i.errors import UserError

if TYPE_CHECKING:
    from metai2i.pipeline.outlook import RecipeOutlook, StageOutlook


@click.command(
    epilog="""\b
Examples:
  metai2i plan quickstart
  metai2i plan recipes/cpu/face_5shot.yaml tasks.root=DIR
  metai2i plan my.yaml --json
  metai2i plan my.yaml --left | xargs -P 2 -n 1 metai2i work my.yaml --with-needs --stage
""",
)
@recipe_options
@click.option("--left", is_flag=True, help="Print the keys of the stages that are not done, one a line.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, with the stages that each stage needs.")
def command(left: bool, as_json: bool, **options: Unpack[RecipeOptions]) -> None:
    """Show the stages that RECIPE asks for, and what its comparison could show.

    Of each stage: its key in the stage store, its rows, whether it is done or what is left of it, why it is to be
    trained anew where only something has changed, and how long it takes if stages like it tell. Data and weights are
    looked at as `metai2i run` does before it begins; nothing is trained or written. `metai2i work` works on one stage.
    """
    import json

    from metai2i.cli import say
    from metai2i.cli.overrides import tell_overrides
    from metai2i.pipeline.outlook import outlook
    from metai2i.pipeline.request import runner_of
    from metai2i.pipeline.runner import distinct

    if left and as_json:
        raise UserError("--left and --json are given, expected one of them", hint="the JSON has every stage's state")
    runner = runner_of(request_of(**options), tell=None if left or as_json else tell_overrides)
    planned = runner.plan()
    seen = outlook(runner.recipe, planned, distinct(planned), runner.store, runner.assembler)
    if left:
        for stage in seen["stages"]:
            if stage["state"] != "done":
                say(stage["key"])
    elif as_json:
        say(json.dumps(seen, indent=1))
    else:
        _show(seen)


def _show(seen: RecipeOutlook) -> None:
    from metai2i.cli import say
    from metai2i.cli.tables import print_rows
    from metai2i.report.wording import duration

    print_rows(
        ["key", "stage", "rows", "state", "iterations", "time", "why"],
        [
            [
                stage["key"],
                stage["name"],
                ", ".join(stage["rows"]),
                _state(stage),
                f"{stage['iterations']:,}",
                duration(stage["seconds"]),
                stage["why"] or "",
            ]
            for stage in seen["stages"]
        ],
    )
    left = [stage for stage in seen["stages"] if stage["state"] != "done"]
    if not left:
        say("Everything is done.")
    elif seen["seconds_left"] is not None:
        say(f"{len(left)} of {len(seen['stages'])} stages are left, about {duration(seen['seconds_left'])} at the pace "
            "of stages like them.")  # fmt: skip
    else:
        say(f"{len(left)} of {len(seen['stages'])} stages are left; where no time stands, no stage like it is known.")
    if seen["comparison"] is not None:
        say(f"{seen['comparison']['says']}.")


def _state(stage: StageOutlook) -> str:
    return f"begun, {stage['step']:,} of {stage['iterations']:,}" if stage["state"] == "begun" else stage["state"]
