"""`metai2i schema`: recipes as a JSON Schema, by which an editor completes and checks them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from metai2i.cli.common_options import plugins_option
from metai2i.cli.paths import UserPath


@click.command(
    epilog="""\b
Examples:
  metai2i schema --out recipe.schema.json
  metai2i schema --plugins-dir my_plugins --out recipe.schema.json
  metai2i schema --markdown docs/recipes.md
"""
)
@click.option("--out", type=UserPath(dir_okay=False), help="Where to write it; printed when left out.")
@plugins_option
@click.option("--markdown", type=UserPath(exists=True, dir_okay=False), metavar="PAGE",
              help="Write the tables of keys and fields in PAGE anew instead.")  # fmt: skip
def command(out: Path | None, plugins_dir: tuple[Path, ...], markdown: Path | None) -> None:
    """Write the JSON Schema of recipes, with the options of all components that are installed.

    An editor that reads it completes keys and options and marks mistakes. A recipe names it in its first line:
    `# yaml-language-server: $schema=recipe.schema.json`.
    """
    import json

    from metai2i.cli import say
    from metai2i.console.legible import legible_json
    from metai2i.errors import UserError
    from metai2i.files import write_text
    from metai2i.recipe.json_schema import recipe_schema
    from metai2i.recipe.tables import refreshed
    from metai2i.registry import Registry
    from metai2i.registry.field_tables import refreshed_fields

    if markdown is not None:
        try:
            page = markdown.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UserError("this is not text in UTF-8, expected a page in Markdown", where=markdown) from None
        write_text(markdown, refreshed_fields(refreshed(page)))
        say(f"wrote {markdown}")
        return
    if out is not None and out.exists() and not is_schema(out):
        raise UserError(
            "this file is no schema of recipes, so it is not replaced", where=out, hint="--out names another"
        )
    text = json.dumps(recipe_schema(Registry(plugins_dir)), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        print(legible_json(text), end="")
        return
    write_text(out, text)
    say(f"wrote {out}; a recipe names it in its first line: # yaml-language-server: $schema={out}")


def is_schema(path: Path) -> bool:
    """Return whether a file was written by this command, so that it may be replaced."""
    import json

    from metai2i.recipe.json_schema import TITLE

    try:
        schema = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(schema, dict) and schema.get("title") == TITLE
