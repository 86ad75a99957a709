"""Rows whose translators begin with weights of another row, another run or a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from safetensors.torch import load_file, save_file

from metai2i.cli import invoke
from metai2i.meta import adapted
from metai2i.meta.instance import detach, instance_of, still_parameters
from metai2i.scene_state import overlaid
from metai2i.training.checkpoint import load, load_state

DOWNSTREAM = Path(__file__).parents[2] / "downstream"

PLUGIN = '''
    from torch import nn
    from metai2i import Translator, hookimpl

    class Prior(Translator):
        """Learns a code by drawing from it.

        Args:
            width: of the code.
        """

        def __init__(self, *, spec, objective, width: int = 4) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Conv2d(spec.structure_channels, width, 1), nn.BatchNorm2d(width))
            self.decoder = nn.Conv2d(width, 3, 1)

        def players(self):
            return {"autoencoder": self.parameters()}

        def training_step(self, batch, step):
            yield "autoencoder", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

        def translate(self, batch):
            return self.decoder(self.encoder(batch["structure"])).tanh()

    class Coded(Prior):
        """Draws from a code that nobody trains here."""

        def players(self):
            return {"decoder": self.decoder.parameters()}

        def training_step(self, batch, step):
            self.encoder.eval()
            yield "decoder", {"l2": (self.translate(batch) - batch["target"]).square().mean()}

        def adopted(self, part, tensors):
            return {name.replace("conv.", "0.").replace("norm.", "1."): tensor for name, tensor in tensors.items()}

    class Following(Coded):
        """The code follows its own average, behind each step of plain training."""

        def training_step(self, batch, step):
            yield from super().training_step(batch, step)
            if step.role == "train":
                self.encoder[0].bias.data.mul_(0.5)

    @hookimpl
    def register_translators(register):
        register("prior", Prior)
        register("coded", Coded)
        register("following", Following)
'''
BASE = """
    plugins: plugins
    tasks: {use: stripes}
    episodes: {shots: 2, queries: 2}
    objective: {l1: 1, adversarial: 0, perceptual: 0}
    pretrain: {iterations: 4, lr: 1e-2}
    metatrain: {iterations: 2, tasks: 2}
    adapt: {iterations: 2, lr: 1e-2}
    evaluate: {metrics: [mse], images: 0, tasks: 2}
    compare: {metric: mse}
    translator: {use: coded}
    strategy: {use: finetune}
"""
ROWS = """
    rows:
      Coded: {start: {encoder: {row: Prior}}, continued: {iterations: 2}}
      Reptile: {start: {encoder: {row: Prior}}, strategy: {use: reptile, steps: 2}}
      Prior: {translator: {use: prior}, strategy: {use: none}}
"""


def put(folder: Path) -> None:
    (folder / "plugins").mkdir()
    (folder / "plugins" / "coded.py").write_text(dedent(PLUGIN))
    (folder / "base.yaml").write_text(dedent(BASE))
    (folder / "rows.yaml").write_text(f"extends: base.yaml\nplugins: plugins\n{dedent(ROWS)}")


def run(folder: Path, recipe: str, *more: str, out: str = "run") -> int:
    return invoke(["run", str(folder / recipe), "--out", str(folder / out), "--stages", str(folder / "stages"),
                   "--plugins-dir", str(DOWNSTREAM / "one_file"), *more])  # fmt: skip


def keys(folder: Path, out: str = "run") -> dict[tuple[str, str], str]:
    """The stage of each row by its name."""
    records = json.loads((folder / out / "provenance.json").read_text())["stages"]
    return {(row, stage["name"]): stage["key"] for stage in records for row in stage["rows"]}


def weights(folder: Path, key: str) -> Path:
    return folder / "stages" / key / "model.safetensors"


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    put(folder)
    assert run(folder, "rows.yaml") == 0
    return folder


@pytest.fixture
def finished(kept, tmp_path) -> Path:
    """A finished run of rows of which two begin with the third's encoder, and its stages."""
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path


def encoder_of(folder: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(weights(folder, keys(folder)["Prior", "pretrain"]))
    return {name.removeprefix("model.encoder."): t for name, t in tensors.items() if ".encoder." in name}


def test_a_row_begins_with_what_another_has_learned_and_is_trained_behind_it(finished):
    known = keys(finished)
    order = [key for key in known if key[1] in ("pretrain", "start")]
    assert order.index(("Prior", "pretrain")) < order.index(("Coded", "start")) < order.index(("Coded", "pretrain"))
    assert known["Coded", "start"] == known["Reptile", "start"]
    assert known["Coded", "pretrain"] == known["Reptile", "pretrain"]
    gathered = load(weights(finished, known["Coded", "start"]))[0]
    assert gathered.keys() == {f"model.encoder.{name}" for name in encoder_of(finished)}
    assert all(torch.equal(gathered[f"model.encoder.{name}"], each) for name, each in encoder_of(finished).items())
    starts = json.loads((finished / "run" / "provenance.json").read_text())["starts"]
    wanted = {"row": "Prior", "part": "encoder", "stage": known["Prior", "pretrain"]}
    assert starts == {"Coded": {"encoder": wanted}, "Reptile": {"encoder": wanted}}


def test_what_stays_as_it_began_is_in_no_file_of_a_training(finished):
    known = keys(finished)
    for stage in (("Coded", "pretrain"), ("Coded", "continued"), ("Reptile", "metatrain")):
        file = weights(finished, known[stage])
        assert {name for name in load(file)[0] if name.startswith("model.")} == {
            "model.decoder.weight",
            "model.decoder.bias",
        }
        left = load_state(file)["left_out"]
        assert left["stage"] == known["Coded", "start"]
        assert len(left["names"]) == len(encoder_of(finished))


def test_a_second_run_trains_nothing_and_an_interrupted_one_goes_on_to_the_same_numbers(finished):
    before = (finished / "run" / "results.csv").read_bytes()
    assert run(finished, "rows.yaml", out="again") == 0
    records = json.loads((finished / "again" / "provenance.json").read_text())["stages"]
    assert {stage["cache"] for stage in records} == {"hit"}
    shutil.rmtree(finished / "stages" / keys(finished)["Coded", "start"])  # what trained weights leave out
    shutil.rmtree(finished / "stages" / keys(finished)["Reptile", "metatrain"])
    assert run(finished, "rows.yaml", out="again") == 0
    assert (finished / "again" / "results.csv").read_bytes() == before


@pytest.mark.parametrize(("flags", "goes_on"), [([], True), (["--resume"], True), (["--afresh"], False)])
def test_a_training_goes_on_from_a_checkpoint_that_leaves_out_what_it_began_with(
    finished, monkeypatch, capfd, flags, goes_on
):
    before = (finished / "run" / "results.csv").read_bytes()
    for name in ("pretrain", "continued"):
        shutil.rmtree(finished / "stages" / keys(finished)["Coded", name])
    monkeypatch.setattr("metai2i.training.loop.SAVE_EVERY", 0.0)
    taken = 0

    def stop(step):
        nonlocal taken
        taken += 1
        if taken == 3:
            raise KeyboardInterrupt
        return original(step)

    from metai2i.training import loop

    original = loop.values
    monkeypatch.setattr(loop, "values", stop)
    assert run(finished, "rows.yaml", out="again") == 130
    ((progress),) = (finished / "stages").glob("*/progress.safetensors")
    assert load_state(progress)["step"] == 2
    assert not any("encoder" in name for name in load(progress)[0])
    monkeypatch.setattr(loop, "values", original)
    capfd.readouterr()
    assert run(finished, "rows.yaml", *flags, out="again") == 0
    assert ("resumed at 2" in "".join(capfd.readouterr())) == goes_on
    assert (finished / "again" / "results.csv").read_bytes() == before


def test_the_same_tensors_are_the_same_stage_wherever_they_lie(finished):
    encoder = encoder_of(finished)
    (finished / "sub").mkdir()
    save_file(encoder, finished / "sub" / "a.safetensors")
    torch.save({"epoch": 3, "ema": {name.replace("0.", "conv.", 1).replace("1.", "norm.", 1): each
                                    for name, each in encoder.items()}}, finished / "b.pt")  # fmt: skip
    (finished / "moved").symlink_to(finished / "run")
    given = {
        "safetensors": "start.encoder.file=" + str(finished / "sub" / "a.safetensors"),
        "names of others": f"start.encoder={{file: {finished / 'b.pt'}, part: ema}}",
        "a run": f"start.encoder={{run: {finished / 'run'}, row: Prior}}",
        "the same run": f"start.encoder={{run: {finished / 'moved'}, row: Prior, part: encoder}}",
    }
    stages = {}
    for n, (what, override) in enumerate(given.items()):
        assert run(finished, "base.yaml", override, out=f"run{n}") == 0
        known = keys(finished, f"run{n}")
        stages[what] = known["base", "start"], known["base", "pretrain"]
    assert len(set(stages.values())) == 1
    encoder["0.bias"][0] += 1
    save_file(encoder, finished / "sub" / "a.safetensors")
    assert run(finished, "base.yaml", given["safetensors"], out="other") == 0
    assert keys(finished, "other")["base", "start"] != stages["safetensors"][0]
    assert run(finished, "base.yaml", out="drawn") == 0
    assert ("base", "start") not in keys(finished, "drawn")


def test_each_seed_begins_with_the_training_whose_path_has_it_and_they_can_be_pooled(finished):
    start = f'start.encoder={{run: "{finished}/prior-seed{{seed}}", row: Prior}}'
    for seed in ("seed=3", "seed=4"):
        assert run(finished, "rows.yaml", seed, "--rows", "Prior", out=f"prior-{seed.replace('=', '')}") == 0
        assert run(finished, "base.yaml", start, seed, out=seed) == 0
        gathered = load(weights(finished, keys(finished, seed)["base", "start"]))[0]
        prior = load(weights(finished, keys(finished, f"prior-{seed.replace('=', '')}")["Prior", "pretrain"]))[0]
        assert gathered
        assert all(torch.equal(tensor, prior[name]) for name, tensor in gathered.items())
    pooled = finished / "pooled.csv"
    assert invoke(["compare", *(str(finished / seed) for seed in ("seed=3", "seed=4")), "--pool", "seeds",
                   "--out", str(pooled)]) == 0  # fmt: skip
    assert pooled.exists()


def test_the_seed_of_a_training_that_is_not_there_is_told_by_its_path(finished, capsys):
    start = f'start.encoder={{run: "{finished}/prior-seed{{seed}}", row: Prior}}'
    assert run(finished, "base.yaml", start, "seed=7", out="missing") == 2
    assert f"{finished}/prior-seed7" in capsys.readouterr().err


def test_the_whole_translator_may_begin_with_another_and_no_steps_leave_it_as_that(finished):
    override = f"start.translator={{run: {finished / 'run'}, row: Prior}}"
    assert run(finished, "base.yaml", override, "pretrain.iterations=0", out="whole") == 0
    known = keys(finished, "whole")
    assert load(weights(finished, known["base", "pretrain"]))[0] == {}
    begun, prior = (load_file(weights(finished, key)) for key in
                    (known["base", "start"], keys(finished)["Prior", "pretrain"]))  # fmt: skip
    assert begun.keys() == prior.keys()
    assert all(torch.equal(begun[name], prior[name]) for name in prior)


def test_what_follows_behind_the_steps_is_written_for_it_is_not_what_it_was(finished):
    override = f"start.encoder={{run: {finished / 'run'}, row: Prior}}"
    assert run(finished, "base.yaml", override, "translator.use=following", out="following") == 0
    tensors = load(weights(finished, keys(finished, "following")["base", "pretrain"]))[0]
    assert tensors.keys() == {"model.decoder.weight", "model.decoder.bias", "model.encoder.0.bias"}
    assert torch.equal(tensors["model.encoder.0.bias"], encoder_of(finished)["0.bias"] / 2**4)


def support_of(folder: Path) -> Path:
    """Two pairs on the disk, as `metai2i adapt` takes them."""
    from PIL import Image

    from metai2i.registry import Registry

    source = Registry([DOWNSTREAM / "one_file"]).get("task source", "stripes")()
    batch = source.tasks("test")[0].load([0, 1])
    (folder / "support").mkdir()
    for n, (photo, structure) in enumerate(zip(batch["target"], batch["structure"], strict=True)):
        levels = ((photo + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(levels).save(folder / "support" / f"{n}_photo.png")
        Image.fromarray(structure.argmax(0).byte().numpy()).save(folder / "support" / f"{n}_photo_map.png")
    return folder / "support"


@pytest.mark.parametrize("general", [False, True])
def test_an_adapted_model_has_all_it_needs_even_where_the_start_is_gone(finished, general):
    model, apart = finished / "model.safetensors", finished / "general.safetensors"
    more = ["--general", str(apart)] if general else []
    plugins = ["--plugins-dir", str(finished / "plugins"), "--plugins-dir", str(DOWNSTREAM / "one_file")]
    support = str(support_of(finished))
    assert invoke(["adapt", str(finished / "run"), "--support", support, "--out", str(model), "--stages",
                   str(finished / "stages"), "--row", "Coded", *more, *plugins]) == 0  # fmt: skip
    whole = load(apart if general else model)[0]
    for name, each in encoder_of(finished).items():
        assert torch.equal(whole[f"model.encoder.{name}"], each)
    if general:
        assert {name for name in load(model)[0] if name.startswith("kept.")} == {
            "kept.decoder.weight",
            "kept.decoder.bias",
        }
    shutil.rmtree(finished / "stages")
    maps = finished / "maps"
    maps.mkdir()
    shutil.copy(finished / "support" / "0_photo_map.png", maps / "0.png")
    assert invoke(["translate", str(model), str(maps), str(finished / "images"), *plugins]) == 0
    assert (finished / "images" / "0.png").is_file()


def test_adapting_without_the_stage_of_the_start_says_what_is_missing(finished, capsys):
    key = keys(finished)["Coded", "start"]
    shutil.rmtree(finished / "stages" / key)
    plugins = ["--plugins-dir", str(finished / "plugins"), "--plugins-dir", str(DOWNSTREAM / "one_file")]
    assert invoke(["adapt", str(finished / "run"), "--support", str(support_of(finished)), "--out",
                   str(finished / "model.safetensors"), "--stages", str(finished / "stages"), "--row", "Coded",
                   *plugins]) == 2  # fmt: skip
    message = " ".join(capsys.readouterr().err.split())
    assert f"7 tensors that training has left as they were are in the stage {key} (start)" in message
    assert not (finished / "model.safetensors").exists()


WRONG = {
    "a shape": ({"0.weight": torch.zeros(9, 1, 1, 1)}, (), "1 have other shapes (0.weight should be (4,"),
    "an infinite number": ({"0.bias": torch.full((4,), torch.inf)}, (), "have NaN or infinite values in 0.bias"),
    "a name": ({"0.wieght": torch.zeros(4)}, ("0.weight",), "1 of its 7 tensors are missing (0.weight); 1 are not "
               "known (0.wieght, did you mean '0.weight'?)"),
    "whole numbers": ({"0.bias": torch.zeros(4).long()}, (), "0.bias should be torch.float32, got torch.int64"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "gone", "words"), WRONG.values(), ids=WRONG)
def test_tensors_that_do_not_fit_are_told_with_the_place_in_the_recipe(finished, capsys, changed, gone, words):
    tensors = {name: each for name, each in encoder_of(finished).items() if name not in gone}
    torch.save(tensors | changed, finished / "wrong.pt")
    (finished / "wrong.yaml").write_text("extends: base.yaml\nstart:\n  encoder: {file: wrong.pt}\n")
    assert run(finished, "wrong.yaml", out="wrong") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "wrong.yaml:3:3: row 'wrong': start.encoder: " in message
    assert words in message
    assert not (finished / "wrong").exists()


def test_tensors_under_a_longer_name_are_found_and_what_to_write_is_said(finished, capsys):
    torch.save({"g_ema": {f"net.{name}": each for name, each in encoder_of(finished).items()}}, finished / "nested.pt")
    (finished / "nested.yaml").write_text("extends: base.yaml\nstart: {encoder: {file: nested.pt}}\n")
    assert run(finished, "nested.yaml") == 2
    assert "they are there under 'g_ema.net': start.encoder: {part: g_ema.net}" in " ".join(
        capsys.readouterr().err.split()
    )
    assert run(finished, "nested.yaml", "start.encoder.part=g_ema.net") == 0


def test_a_part_that_the_translator_or_the_other_one_lacks_is_told_with_the_nearest(finished, capsys):
    for override, words in (
        ("rows.Coded.start.encodre.row=Prior", "start.encodre: Coded has no part 'encodre' (did you mean 'encoder'?)"),
        (
            "rows.Coded.start.encoder.part=encode",
            "the model of row 'Prior' has no part 'encode' (did you mean 'encoder'?)",
        ),
        ("rows.Coded.start.encoder.part=zzz", "the model of row 'Prior' has no part 'zzz' (its parts: "),
        ("rows.Prior.translator.width=5", "start.encoder: the weights of row 'Prior' do not fit encoder of Coded: "),
    ):
        assert run(finished, "rows.yaml", override, out="other") == 2
        assert words in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def coded(finished):
    """A translator with a frozen encoder, and pairs."""
    from metai2i import Objective
    from metai2i.registry import Registry

    registry = Registry([finished / "plugins", DOWNSTREAM / "one_file"])
    source = registry.get("task source", "stripes")()
    translator = registry.get("translator", "coded")(spec=source.spec(), objective=Objective(perceptual=0))
    translator.encoder.requires_grad_(False)
    return translator, source.tasks("train")[0]


def test_copies_share_what_nobody_trains_and_nothing_else(coded):
    translator, _ = coded
    assert still_parameters(translator).keys() == {name for name, _ in translator.encoder.named_parameters("encoder")}
    copies = [detach(instance_of(translator)), overlaid(translator, {"decoder.bias": torch.ones(3)})]
    for each in copies:
        for name, parameter in translator.named_parameters():
            assert (each.get_parameter(name) is parameter) == name.startswith("encoder")
        assert each.encoder[1].running_mean is not translator.encoder[1].running_mean
    other = overlaid(translator, {"encoder.0.bias": torch.ones(4)})
    assert other.encoder[0].bias is not translator.encoder[0].bias
    assert not torch.equal(translator.encoder[0].bias, torch.ones(4))


def test_adapting_a_copy_leaves_the_general_model_and_what_it_shares_bit_for_bit(coded):
    from metai2i import Adaptation, Step

    translator, task = coded
    before = {name: tensor.clone() for name, tensor in translator.state_dict().items()}
    support = task.load([0, 1])
    copy = adapted(translator, support, Adaptation(iterations=3, lr=1e-1, augment=None), Step())
    assert all(torch.equal(tensor, before[name]) for name, tensor in translator.state_dict().items())
    assert not torch.equal(copy.decoder.weight, translator.decoder.weight)
    assert copy.encoder[0].weight is translator.encoder[0].weight
