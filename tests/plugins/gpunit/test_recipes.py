"""The recipes of GP-UNIT: what they train, and that their settings are the published ones."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from metai2i_gpunit.blocks import StyleNorm
from metai2i_gpunit.translator import GPUnit

from metai2i import Objective, TaskSpec
from metai2i.recipe import load_recipe
from metai2i.registry import Registry

RECIPES = Path(__file__).parents[3] / "recipes"
UNSEEN = "systems/gpunit_unseen"
TRAINS = ("translator", "objective", "pretrain", "augment", "tasks", "start")


def rows_of(name):
    return load_recipe(RECIPES / f"{name}.yaml", [], Registry()).rows


def test_a_translation_has_an_encoder_of_its_priors_width_and_size_and_concepts_that_neither_has_seen():
    prior, ours = rows_of("systems/gpunit_prior_emoji")["Prior"], rows_of("systems/gpunit_emoji")["GP-UNIT"]
    assert ours.translator.options["width"] == prior.translator.options["width"]
    shares = ("val_share", "test_share", "categories", "size", "root")
    assert [ours.tasks.options[each] for each in shares] == [prior.tasks.options[each] for each in shares]


def test_rows_differ_in_what_they_are_called_by(tmp_path):
    (tmp_path / "prior.safetensors").touch()
    prior = [f"start.encoder={{file: {tmp_path / 'prior.safetensors'}}}"]
    rows = load_recipe(RECIPES / "systems" / "gpunit_emoji.yaml", prior, Registry()).rows
    base = rows["GP-UNIT"]
    differ = {
        name: [
            section for section in (*TRAINS, "evaluate", "strategy") if getattr(row, section) != getattr(base, section)
        ]
        for name, row in rows.items()
    }
    assert differ == {
        "Source": ["strategy"],
        "Colours": ["strategy"],
        "GP-UNIT": [],
        "By latents": ["evaluate"],
        "Without skips": ["translator"],
        "Untrained encoder": ["start"],
        **{f"Intensity {level}": ["translator"] for level in ("0", "0.5", "1")},
    }
    graded = [rows[f"Intensity {level}"].translator.options for level in ("0", "0.5", "1")]
    assert [(each["graded"], each["intensity"]) for each in graded] == [(True, 0), (True, 0.5), (True, 1)]


def test_the_full_recipes_have_the_published_settings():
    prior, ours = (rows_of(f"full/{name}") for name in ("gpunit_prior", "gpunit_cat2dog"))
    distil, translate = prior["Prior"].pretrain, ours["By an exemplar"].pretrain
    assert (distil.lr, distil.betas, distil.iterations, distil.batch) == (2e-4, (0.9, 0.999), 45_000, 32)
    assert (translate.lr, translate.betas, translate.weight_decay) == (1e-4, (0.0, 0.99), 1e-4)
    assert (translate.iterations, translate.batch) == (75_000, 16)
    assert (translate.average.decay, translate.average.players) == (0.999, ("generator", "style"))
    objective = ours["By an exemplar"].objective
    assert [objective[name] for name in ("l1", "adversarial", "perceptual", "gan")] == [1, 1, 0, "bce"]


def test_the_plain_and_the_meta_trained_start_move_the_same_parameters_for_as_many_samples():
    rows = rows_of(UNSEEN)
    for steps in (5, 20):
        plain, meta = rows[f"Styles alone, {steps} steps"], rows[f"ANIL on styles, {steps} steps"]
        assert plain.strategy == meta.strategy
        assert (plain.metatrain.iterations, plain.continued.match) == (0, "Reptile, 20 steps")
        assert meta.baseline == f"Styles alone, {steps} steps"
        assert plain.adapt.iterations == meta.adapt.iterations == steps


def test_what_moves_are_the_style_encoder_and_the_norms_that_styles_scale():
    patterns = rows_of(UNSEEN)["ANIL on styles, 5 steps"].strategy.options["part"]
    fields = frozenset({"source", "reference", "reference_domain"})
    spec = TaskSpec(0, (64, 64), fields=fields, domains=3)
    model = GPUnit(spec=spec, objective=Objective(l1=1, adversarial=1, perceptual=0), width=2)
    moved = {name for name, _ in model.named_parameters() if any(fnmatch(name, each) for each in patterns)}
    assert {name for name in moved if not name.startswith("generator.")} == {
        f"style.{name}" for name, _ in model.style.named_parameters()
    }
    scaled = {name.rpartition(".fc.")[0] for name in moved if name.startswith("generator.")}
    assert scaled == {
        f"generator.{name}" for name, module in model.generator.named_modules() if isinstance(module, StyleNorm)
    }


def test_every_rate_is_chosen_from_the_same_ones():
    rows = rows_of(UNSEEN)
    tuned = {title: repr(row.tune) for title, row in rows.items() if row.tune is not None}
    assert set(rows) - set(tuned) == {"Source", "GP-UNIT"}
    assert len(set(tuned.values())) == 1


def test_concepts_that_test_unseen_hands_have_not_trained_the_prior():
    prior, ours = rows_of("systems/gpunit_prior_emoji")["Prior"], rows_of(UNSEEN)["GP-UNIT"]
    assert ours.tasks.options["test_share"] == prior.tasks.options["test_share"]
    assert ours.translator.options["width"] == prior.translator.options["width"]
    assert ours.tasks.options["size"] == prior.tasks.options["size"]
