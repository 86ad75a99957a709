"""The command line. Subcommands live in modules of their own, which are imported when they are called.

The group itself is plain click, which is there in half the time of rich-click; the subcommands have rich-click's help.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, cast

import click

from metai2i import __version__
from metai2i.console.exits import (
    EXIT_INTERRUPTED,
    EXIT_UNREAD,
    EXIT_USER_ERROR,
    Ended,
    leave_broken_pipes,
    no_way_out,
    open_streams,
    watch_exits,
)
from metai2i.console.legible import legible
from metai2i.console.stopping import Stopped, cause_of, once, stoppable
from metai2i.errors import GOES_ON, UserError, UserErrors, did_you_mean

COMMANDS = {
    "run": "Train, adapt, score and report what a recipe says.",
    "validate": "Check recipes without running them.",
    "plan": "Show what a recipe asks for, and how long it may take.",
    "work": "Work on one stage of a recipe, on any machine.",
    "stages": "Show what the stage store keeps, and delete what nobody needs.",
    "adapt": "Adapt a run's general model to a few pairs of your own.",
    "translate": "Make images of label maps with an adapted model.",
    "export": "Take a run or an adapted model to another program.",
    "card": "Write the model card of an adapted model.",
    "paint": "Paint label maps on a page, and see their images at once.",
    "data": "Look a data set over, or prepare one.",
    "recipes": "List or copy the recipes that come along.",
    "doctor": "Tell what this machine has, what is missing and how to get it.",
    "plugins": "List what is installed, or show the options of one component.",
    "schema": "Write the JSON Schema of recipes, for editors.",
    "new-plugin": "Write a small working plugin to start from.",
    "check": "Try a component against the contracts of its kind.",
    "watch": "Show a run in the browser while it is at work.",
    "report": "Write the report of a run anew.",
    "compare": "Compare the rows of several runs, paired by task.",
}
"""The subcommands and their help lines. `NAME` is the attribute `command` of its module (`module_of`)."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and help line, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a stand-in that has the name and the help line."""
        return click.Command(name=cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command itself, for a call."""
        name = args[0]
        if name not in COMMANDS:
            if name.startswith("-"):
                return super().resolve_command(ctx, args)
            hint = did_you_mean(name, COMMANDS)
            raise UserError(f"no command is called {name!r}", hint=hint)
        command: click.Command = import_module(module_of(name)).command
        keep_lines(command)
        return name, command, args[1:]


def module_of(name: str) -> str:
    """Return the module of a subcommand: `metai2i.cli.new_plugin` for `new-plugin`."""
    return f"metai2i.cli.{name.replace('-', '_')}"


def keep_lines(command: click.Command) -> None:
    """Leave an epilog that starts with `\\b` as it is written, where rich-click would make one line of it."""
    from rich.text import Text
    from rich_click import RichCommand, RichGroup

    if not isinstance(command, RichCommand | RichGroup):
        return
    epilog: Any = command.epilog
    if isinstance(epilog, str) and epilog.startswith("\b"):
        command.epilog = cast(str, Text(epilog.removeprefix("\b").strip("\n")))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  metai2i run recipes/quickstart.yaml
  metai2i validate recipes/quickstart.yaml
  metai2i plugins pix2pix
""",
)
@click.version_option(__version__, prog_name="metai2i")
def group() -> None:
    """Offer few-shot image-to-image translation by meta-learning.

    A recipe says which task source, translator, strategy and retriever go together; its rows are the lines of an
    ablation table.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and ends the program: 0 when all went well, 2 for what a user can put right."""
    open_streams()
    write_anything()
    if args is None and "_METAI2I_COMPLETE" in os.environ:  # a shell asks while somebody types
        from metai2i.cli.completion import complete

        complete(group)
    code = invoke(args)
    leave_broken_pipes()
    if code:
        watch_exits(code)  # for what is still to run at the end
    sys.exit(code)


def invoke(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; errors that a user can put right have no traceback."""
    asked = list(sys.argv[1:] if args is None else args) or ["--help"]
    tell = once(lambda stopped: tell_stop(asked, stopped))
    with stoppable(tell):
        return _invoke(asked, tell)


def _invoke(asked: list[str], tell: Callable[[Stopped | None], object]) -> int:  # noqa: PLR0911
    try:
        refuse_other_encodings(asked)
        with no_way_out(EXIT_USER_ERROR):
            code: Any = group.main(args=asked, prog_name="metai2i", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        for each in error.errors if isinstance(error, UserErrors) else [error]:
            tell_error(str(each))
        return EXIT_USER_ERROR
    except click.ClickException as error:
        tell_error(error.format_message())
        context = getattr(error, "ctx", None)
        if context is not None:
            print(f"`{context.command_path} --help` shows how it is called", file=sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as interruption:
        stopped = cause_of(interruption)
        tell(stopped)
        return stopped.exit_code if stopped else EXIT_INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        leave_broken_pipes()
        return EXIT_UNREAD
    except OSError as error:  # a disk that is full, a folder that may not be written
        from metai2i.files import refusal

        tell_error(refusal(error))
        return EXIT_USER_ERROR
    except Ended as error:
        return int(str(error.code))
    except BaseException as error:
        return _exit_code_of(error, asked)
    return code if isinstance(code, int) else 0


def _exit_code_of(error: BaseException, asked: list[str]) -> int:
    """Return the exit code for what no user can put right, which is told if it comes from a plugin and else raised."""
    from metai2i.guards.fault_report import fault
    from metai2i.registry.discovery import plugin_behind

    if isinstance(error, SystemExit) and asked[0] == "data":  # a plugin's command may say how it ends
        raise error
    if plugin_behind(error) is None:
        if isinstance(error, Exception):
            raise error
        if isinstance(error, SystemExit) and error.code == EXIT_UNREAD:  # so do click and rich when nobody reads on
            return EXIT_UNREAD
    tell_error(str(fault("", error, None)))
    return EXIT_USER_ERROR


def tell_stop(asked: Sequence[str], stopped: Stopped | None) -> None:
    """Print why the program ends before it is done: by a signal, or by Ctrl-C when None."""
    again = GOES_ON if "--afresh" in asked else "the same command goes on"
    goes_on = f" ({again})" if asked[0] in ("run", "work") else ""
    print(f"stopped by {stopped.signal.name}{goes_on}" if stopped else f"interrupted{goes_on}", file=sys.stderr)


def refuse_other_encodings(words: Sequence[str]) -> None:
    """Refuse arguments that are no UTF-8: names of files that could not be written into recipes, records or reports.

    Raises:
        UserError: for the first of them.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode(errors="backslashreplace")
            hint = "rename the file or folder"
            if (encoding := sys.getfilesystemencoding()) != "utf-8":
                hint = f"this terminal's encoding is {encoding}; LC_ALL=C.UTF-8 before the command has UTF-8"
            raise UserError(f"this is not text in UTF-8: {shown}", hint=hint) from None


def tell_error(message: str) -> None:
    """Print one error to stderr, where that can be written."""
    with suppress(OSError):
        print(f"error: {legible(message)}", file=sys.stderr)


def say(text: str) -> None:
    """Print a line of results to stdout, at once."""
    print(legible(text), flush=True)


def write_anything() -> None:
    """Let stdout and stderr write what their encoding has no letter for as an escape, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
