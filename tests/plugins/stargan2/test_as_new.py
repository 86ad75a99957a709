"""What episodes of a new domain train: the spare layers, which those of known domains leave alone."""

from __future__ import annotations

import pytest
import torch
from metai2i_stargan2 import StarGan2
from PIL import Image

from metai2i import NEW_DOMAIN, Batch, Episode, Field, Objective, Randomness, Step, TaskSpec
from metai2i.cli import invoke
from metai2i.data.as_new import AsNew

NAMES = ("cat", "dog", NEW_DOMAIN)
SPEC = TaskSpec(0, (32, 32), StarGan2.needs, domains=2, also={"domain": Field("label", len(NAMES), NAMES)})


def episode():
    generator = Randomness().generator()
    names = ("source", "reference", "reference2")
    photos = {name: torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1 for name in names}
    batch = Batch(**photos, domain=torch.tensor([0, 0]), reference_domain=torch.tensor([1, 1]))
    return Episode("into dogs", batch, batch)


@pytest.mark.parametrize("as_new", [True, False])
def test_episodes_of_a_new_domain_train_the_spare_layers_and_others_leave_them_alone(as_new):
    with Randomness().scope():
        translator = StarGan2(spec=SPEC, objective=Objective(l1=1, perceptual=0), width=4, widest=8, hidden=8)
    drawn = AsNew.of(SPEC)(episode()) if as_new else episode()
    batch = drawn.support.replace(**translator.draws(drawn.support, Step()))
    spare = {name: each for name, each in translator.named_parameters() if "spare_weight" in name}
    assert {name.split(".")[0] for name in spare} == {"mapping", "style", "discriminator"}
    total = sum(loss for move in translator.training_step(batch, Step()) for loss in move[1].values())
    gradients = torch.autograd.grad(total, [*spare.values()], allow_unused=True)
    moved = {name: each is not None and bool(each.any()) for name, each in zip(spare, gradients, strict=True)}
    assert moved == dict.fromkeys(spare, as_new)


def folders(tmp_path):
    """Photographs of three domains, of which the last does not train."""
    for split, names in (("train", ("cat", "dog", "hen")), ("test", ("cat", "dog", "hen"))):
        for k, name in enumerate(names):
            for n in range(4):
                path = tmp_path / "data" / split / name / f"{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), (50 * n, 60 * k, 90 if split == "test" else 0)).save(path)
    return tmp_path / "data"


def planned(tmp_path, capsys, tasks="", translator=""):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"tasks: {{use: domains, root: {folders(tmp_path)}, size: [32, 32]{tasks}}}\n"
        f"translator: {{use: stargan2, width: 8{translator}}}\n"
        "episodes: {shots: 1, queries: 2, as_new: true}\n"
        "metatrain: {iterations: 2}\n"
        "evaluate: {metrics: [swd]}\n"
        "rows: {A: {strategy: {use: reptile, steps: 1}}}\n"
    )
    code = invoke(["plan", str(recipe), "--stages", str(tmp_path / "stages")])
    return code, " ".join(capsys.readouterr().err.split())


def test_scenes_of_domains_that_train_are_not_asked_for_as_new_ones(tmp_path, capsys):
    code, error = planned(tmp_path, capsys)
    assert code == 2
    assert "mine.yaml:3:42: episodes.as_new: " in error
    assert "tests a domain that trains, which would be asked for as a new one" in error


def test_without_spare_parameters_as_new_is_refused_before_anything_is_trained(tmp_path, capsys):
    code, error = planned(tmp_path, capsys, ", unseen: [hen]", ", spare: false")
    assert code == 2
    assert "without spare parameters there are none for it (translator: {spare: true})" in error


def test_with_spare_parameters_and_unseen_domains_that_test_it_is_planned(tmp_path, capsys):
    assert planned(tmp_path, capsys, ", unseen: [hen]")[0] == 0
