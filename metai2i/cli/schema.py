"""`metai2i schema`: recipes as a JSON Schema, by which an editor completes and checks them."""

from __future__ import annotations

from pathlib import Path

import rich_click as click


@click.command(
    epilog="""\b
Examples:
  metai2i schema --out recipe.schema.json
  metai2i schema --plugins-dir my_plugins --out recipe.schema.json
  metai2i schema --markdown docs/recipes.md
"""
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it; printed when left out."
)
@click.option("--plugins-dir", type=click.Path(path_type=Path), multiple=True,
              help="A folder of one-file plugins; may be given several times.")  # fmt: skip
@click.option("--markdown", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="PAGE",
              help="Write the tables of keys and fields in PAGE anew instead.")  # fmt: skip
def command(out: Path | None, plugins_dir: tuple[Path, ...], markdown: Path | None) -> None:
    """Write the JSON Schema of recipes, with the options of all components that are installed.

    An editor that reads it completes keys and options and marks mistakes. A recipe names it in its first line:
    `# yaml-language-server: $schema=recipe.schema.json`.
    """
    import json

    from metai2i.cli import say
    from metai2i.field_tables import refreshed_fields
    from metai2i.files import write_text
    from metai2i.recipe.json_schema import recipe_schema
    from metai2i.recipe.tables import refreshed
    from metai2i.registry import Registry

    if markdown is not None:
        write_text(markdown, refreshed_fields(refreshed(markdown.read_text(encoding="utf-8"))))
        say(f"wrote {markdown}")
        return
    text = json.dumps(recipe_schema(Registry(plugins_dir)), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
        return
    write_text(out, text)
    say(f"wrote {out}; a recipe names it in its first line: # yaml-language-server: $schema={out}")
