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


def test_a_schema_is_replaced_and_no_other_file_is(run, here):
    for text in ("mine", '{"title": "mine"}', "[" * 100_000, "5"):
        (here / "mine.json").write_text(text)
        code, _, err = run("schema", "--plugins-dir", "mine", "--out", "mine.json")
        assert code == 2
        assert err == (
            "error: mine.json: this file is no schema of recipes, so it is not replaced (--out names another)\n"
        )
        assert (here / "mine.json").read_text() == text
    (here / "mine.json").write_text('{"title": "A recipe of metai2i"}')
    assert run("schema", "--plugins-dir", "mine", "--out", "mine.json")[0] == 0
    assert run("schema", "--plugins-dir", "mine", "--out", "mine.json")[0] == 0


def test_a_page_that_is_no_utf_8_is_told(run, here):
    (here / "page.md").write_bytes(b"caf\xe9")
    code, _, err = run("schema", "--markdown", "page.md")
    assert (code, err) == (2, "error: page.md: this is not text in UTF-8, expected a page in Markdown\n")


def test_the_tables_of_a_page_are_made_anew(run, here):
    page = here / "page.md"
    page.write_text("<!-- keys: row -->\n<!-- end of keys -->\n")
    assert run("schema", "--markdown", "page.md")[0] == 0
    assert "| `baseline` | `null` |" in page.read_text()


def test_a_page_that_is_not_there_is_told(run):
    code, _, err = run("schema", "--markdown", "missing.md")
    assert code == 2
    assert "missing.md" in err
