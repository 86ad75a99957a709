"""The recipes of GP-UNIT: what they train, and that their settings are the published ones."""

from __future__ import annotations

from pathlib import Path

from metai2i.recipe import load_recipe
from metai2i.registry import Registry

RECIPES = Path(__file__).parents[3] / "recipes"
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
