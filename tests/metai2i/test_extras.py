import pytest

from metai2i import extra_command


@pytest.mark.parametrize(
    ("listed", "command"),
    [
        (['onnx>=1.16; extra == "onnx"', "b>=0.2; extra == 'onnx'"], 'pip install "onnx>=1.16" "b>=0.2"'),
        (["torch>=2", "ray<3,>=2.46; extra == 'ray'"], 'pip install "mine[onnx]"'),
        (["onnx; extra == 'onnx-all'"], 'pip install "mine[onnx]"'),
        (None, 'pip install "mine[onnx]"'),
    ],
)  # fmt: skip
def test_the_packages_of_an_extra_are_named_where_they_are_known(monkeypatch, listed, command):
    monkeypatch.setattr("metai2i.extras.requires", lambda name: {"mine": listed}[name])
    assert extra_command("mine", "onnx") == command


def test_a_distribution_that_is_not_installed_is_named_itself():
    assert extra_command("no-such-distribution", "svg") == 'pip install "no-such-distribution[svg]"'
