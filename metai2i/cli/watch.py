"""`metai2i watch`: a run that is at work, was stopped or is finished, as a page in the browser."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.paths import UserPath

WATCH_PORT = 8377
"""Where the page is, unless `--port` says otherwise."""


@click.command(
    epilog="""\b
Examples:
  metai2i watch runs/quickstart
  metai2i watch runs/quickstart --port 0
""",
)
@click.argument("run", type=UserPath(), metavar="RUN")
@click.option("--port", type=click.IntRange(0, 65535), default=WATCH_PORT, show_default=True,
              help="The page's port on this machine; 0 takes one that is free.")  # fmt: skip
def command(run: Path, port: int) -> None:
    """Show a run in the browser while it is at work: its stages, losses and images on the way.

    RUN is the folder of a run, which `metai2i run` writes when all is done; before that it shows what the stage store
    has. It only reads, is seen from this machine alone, and ends by Ctrl-C.
    """
    from metai2i.cli import say
    from metai2i.console.loopback import serve
    from metai2i.console.stopping import cause_of
    from metai2i.report.live import Watch
    from metai2i.report.watching import handler_of

    watch = Watch(run.absolute())
    says = watch.look().says
    try:
        serve(handler_of(watch), port, lambda address: say(f"{says}\n{address} shows it, until Ctrl-C"))
    except KeyboardInterrupt as interruption:
        if cause_of(interruption) is not None:
            raise
