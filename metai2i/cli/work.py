"""`metai2i work`: works on one stage of a recipe."""

from __future__ import annotations

from typing import Unpack

import rich_click as click

from metai2i.cli.recipe_options import RecipeOptions, recipe_options, request_of


@click.command(
    epilog="""\b
Examples:
  metai2i work quickstart --stage 0f3a --with-needs
  metai2i work recipes/cpu/face_5shot.yaml tasks.root=DIR --stage 0f3a9c21b7de4456
  metai2i plan quickstart --left | xargs -P 2 -n 1 metai2i work quickstart --with-needs --stage
""",
)
@recipe_options
@click.option("--stage", "key", metavar="KEY", required=True,
              help="The key of the stage, or the beginning of it, as `metai2i plan` lists it.")  # fmt: skip
@click.option("--with-needs", is_flag=True, help="Work on the stages that it needs as well, where they are not done.")
@click.option(
    "--resume/--afresh",
    default=True,
    help="Go on where an interrupted run stopped, or start anew what it had begun.  [default: resume]",
)
def command(key: str, with_needs: bool, resume: bool, **options: Unpack[RecipeOptions]) -> None:
    """Work on one stage of RECIPE, by anybody who sees the stage store.

    So a table is spread over machines: `metai2i plan` lists the stages, each is worked on somewhere, and `metai2i run`
    with the same recipe, overrides and device finds them and writes the table. A stage that is done is left alone, and
    one that somebody else works on is waited for.
    """
    from metai2i.cli import say
    from metai2i.cli.run import show_log
    from metai2i.pipeline.request import runner_of
    from metai2i.report.wording import duration

    show_log()
    done = runner_of(request_of(resume=resume, **options)).work(key, with_needs=with_needs)
    happened = "was done before" if done["cache"] == "hit" else "done"
    say(f"{done['name']} {done['key']} ({', '.join(done['rows'])}): {happened}, {duration(done['seconds'])}")
