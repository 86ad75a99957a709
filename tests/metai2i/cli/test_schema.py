import json


def test_the_schema_is_printed_or_written(run, here):
    code, out, _ = run("schema", "--plugins-dir", "mine")
    assert code == 0
    printed = json.loads(out)
    (translators,) = [
        each["oneOf"] for key, each in printed["$defs"]["translator"]["properties"].items() if key == "use"
    ]
    assert translators == [{"const": "line", "description": "Paints [bold] lines."}]
    code, out, _ = run("schema", "--plugins-dir", "mine", "--out", "recipe.schema.json")
    assert code == 0
    assert "# yaml-language-server: $schema=recipe.schema.json" in out
    assert json.loads((here / "recipe.schema.json").read_text()) == printed


def test_the_tables_of_a_page_are_made_anew(run, here):
    page = here / "page.md"
    page.write_text("<!-- keys: row -->\n<!-- end of keys -->\n")
    assert run("schema", "--markdown", "page.md")[0] == 0
    assert "| `baseline` | `null` |" in page.read_text()


def test_a_page_that_is_not_there_is_told(run):
    code, _, err = run("schema", "--markdown", "missing.md")
    assert code == 2
    assert "missing.md" in err
