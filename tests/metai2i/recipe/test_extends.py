import pytest

from metai2i.errors import UserErrors
from metai2i.recipe.extends import read_recipe


def message(path):
    with pytest.raises(UserErrors) as caught:
        read_recipe(path)
    return str(caught.value)


def test_a_recipe_is_merged_over_the_one_it_extends(write):
    write("name: paper\nseed: 1\nadapt: {iterations: 20, lr: 1}\n", "paper/base.yaml")
    write("extends: base.yaml\nadapt: {batch: 2}\n", "paper/middle.yaml")
    top = write("extends: ../paper/middle.yaml\nadapt: {iterations: 2}\n", "smoke/top.yaml")
    node = read_recipe(top)
    assert node.plain() == {"seed": 1, "adapt": {"iterations": 2, "lr": 1, "batch": 2}}
    assert str(node.locate(("adapt", "lr"))) == "paper/base.yaml:3:29"
    assert str(node.locate(("adapt", "batch"))) == "paper/middle.yaml:2:16"


def test_the_name_is_not_taken_over(write):
    write("name: base\ndescription: d\n", "base.yaml")
    assert read_recipe(write("extends: base.yaml\n")).plain() == {"description": "d"}


def test_a_circle_is_refused(write):
    write("extends: b.yaml\n", "a.yaml")
    write("extends: c.yaml\n", "b.yaml")
    write("x: 1\nextends: a.yaml\n", "c.yaml")
    path = write("extends: a.yaml\n", "top.yaml")
    expected = "c.yaml:2:10: this goes round in a circle: a.yaml extends b.yaml extends c.yaml extends a.yaml"
    assert message(path) == expected


def test_a_recipe_that_extends_itself_is_refused(write):
    assert message(write("extends: recipe.yaml\n")) == (
        "recipe.yaml:1:10: this goes round in a circle: recipe.yaml extends recipe.yaml"
    )


def test_a_missing_base_is_told_where_it_is_named(write):
    write("x: 1\n", "street.yaml")
    assert message(write("extends: stret.yaml\n")) == (
        "recipe.yaml:1:10: there is no recipe 'stret.yaml' (did you mean 'street.yaml'?)"
    )


def test_extends_must_be_a_path(write):
    assert message(write("extends: [a]\n")) == "recipe.yaml:1:10: extends: expected the path of another recipe"


def test_a_missing_recipe_is_told_with_the_nearest(write):
    path = write("x: 1\n", "street.yaml")
    assert message(path.with_name("streat.yaml")) == "there is no recipe 'streat.yaml' (did you mean 'street.yaml'?)"


def test_a_folder_is_no_recipe(write):
    path = write("x: 1\n", "folder/street.yaml").parent
    assert message(path) == "folder cannot be read: Is a directory"


def test_binary_files_are_named(write):
    path = write("x")
    path.write_bytes(b"\xff\xfe\x00")
    assert message(path) == "recipe.yaml is not a text in UTF-8"


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words\n", "[1, 2]\n"])
def test_a_file_without_sections_is_no_recipe(write, text):
    assert "expected a recipe (sections such as `tasks:`), got none" in message(write(text))
