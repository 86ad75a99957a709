import os
from pathlib import Path

import pytest

from metai2i.errors import UserErrors
from metai2i.recipe import load_recipe
from metai2i.recipe.extends import LARGEST_RECIPE, read_recipe
from metai2i.registry import Registry


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
    assert message(path) == (
        "c.yaml:2:10: recipes extend each other in a circle: a.yaml extends b.yaml extends c.yaml extends a.yaml "
        "(take one `extends` out)"
    )


def test_a_recipe_that_extends_itself_is_refused(write):
    assert message(write("extends: recipe.yaml\n")) == (
        "recipe.yaml:1:10: recipes extend each other in a circle: recipe.yaml extends recipe.yaml "
        "(take one `extends` out)"
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
    write("x: 1\n", ".zzz1.yaml")
    hint = "`metai2i recipes` lists those that come along"
    assert message(path.with_name("zzz.yaml")) == f"there is no recipe 'zzz.yaml' ({hint})"


def test_a_folder_is_no_recipe(write):
    path = write("x: 1\n", "folder/street.yaml").parent
    assert message(path) == "folder: this is a folder, expected a recipe"


def test_binary_files_are_named(write):
    path = write("x")
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    expected = "recipe.yaml: this is not text in UTF-8: line 2 has the byte 0xE9 (save it as UTF-8)"
    assert message(path) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_a_recipe_in_utf_16_is_called_so(write, encoding):
    path = write("x")
    path.write_bytes("tasks: {use: scenes}\n".encode(encoding))
    assert message(path) == "recipe.yaml: this is text in UTF-16 or UTF-32, expected UTF-8 (save it as UTF-8)"


def test_a_byte_order_mark_is_no_part_of_the_first_key(write):
    path = write("x")
    path.write_bytes(b"\xef\xbb\xbfseed: 1\n")
    node = read_recipe(path)
    assert node.plain() == {"seed": 1}
    assert str(node.locate(("seed",), on_key=True)) == "recipe.yaml:1:1"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_recipe(device):
    assert message(Path(device)) == f"{device}: this is a device, expected a recipe"


def test_a_pipe_is_not_waited_for(write):
    write("extends: pipe\n")
    os.mkfifo("pipe")
    assert message(Path("pipe")) == "pipe: this is a pipe, expected a recipe"
    assert message(Path("recipe.yaml")) == "recipe.yaml:1:10: pipe: this is a pipe, expected a recipe"


def test_what_is_too_large_for_a_recipe_is_not_read(write):
    path = write("x: 1\n")
    with path.open("r+b") as file:
        file.truncate(LARGEST_RECIPE + 1)
    assert message(path) == "recipe.yaml: the file has more than 4 MiB, which is no recipe"


def test_a_link_to_itself_is_told(write):
    write("x: 1\n")
    Path("loop.yaml").symlink_to("loop.yaml")
    assert message(Path("loop.yaml")).startswith("loop.yaml: cannot read: Too many levels of symbolic links")


def test_a_tilde_is_the_home_folder(write, monkeypatch):
    write("seed: 7\n", "home/base.yaml")
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    assert read_recipe(write("extends: ~/base.yaml\n")).plain() == {"seed": 7}


def test_a_home_that_is_not_there_is_told_where_it_is_named(write):
    assert message(write("x: 1\nextends: ~nobody-of-this-name/base.yaml\n")) == (
        "recipe.yaml:2:10: extends: got '~nobody-of-this-name/base.yaml', but there is no user "
        "'nobody-of-this-name', or none with a home folder, so ~ stands for nothing (write the path in full)"
    )


@pytest.mark.parametrize("key", ["extends", "plugins"])
def test_where_there_is_no_home_folder_the_key_that_asks_for_it_is_told(write, monkeypatch, key):
    monkeypatch.setenv("HOME", "")
    with pytest.raises(UserErrors, match=rf"{key}: got '~/there', but this user has no home folder"):
        load_recipe(write(f"{key}: ~/there\n"), registry=Registry())


def test_a_chain_without_end_is_told(write):
    for n in range(30):
        write(f"extends: {n + 1}.yaml\n", f"{n}.yaml")
    assert (
        message(Path("0.yaml"))
        == "20.yaml:1:10: more than 20 recipes extend one another up to here (put some of them together)"
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words\n", "[1, 2]\n"])
def test_a_file_without_sections_is_no_recipe(write, text):
    assert "expected a recipe (sections such as `tasks:`), got none" in message(write(text))
