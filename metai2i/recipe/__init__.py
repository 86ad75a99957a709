"""Recipes: YAML in, checked rows out."""

from typing import TYPE_CHECKING

from metai2i.lazy import exported

if TYPE_CHECKING:
    from metai2i.recipe.load import load_recipe as load_recipe
    from metai2i.recipe.positions import dump_yaml as dump_yaml
    from metai2i.recipe.schema import Adapt as Adapt
    from metai2i.recipe.schema import Aux as Aux
    from metai2i.recipe.schema import Compare as Compare
    from metai2i.recipe.schema import Component as Component
    from metai2i.recipe.schema import ContinuedPretraining as ContinuedPretraining
    from metai2i.recipe.schema import Episodes as Episodes
    from metai2i.recipe.schema import Evaluate as Evaluate
    from metai2i.recipe.schema import Metatrain as Metatrain
    from metai2i.recipe.schema import Pretrain as Pretrain
    from metai2i.recipe.schema import Recipe as Recipe
    from metai2i.recipe.schema import RetrieverComponent as RetrieverComponent
    from metai2i.recipe.schema import Row as Row
    from metai2i.recipe.selection import select as select

_HOME = {
    "Adapt": "schema",
    "Aux": "schema",
    "Compare": "schema",
    "Component": "schema",
    "Episodes": "schema",
    "Evaluate": "schema",
    "ContinuedPretraining": "schema",
    "Metatrain": "schema",
    "Pretrain": "schema",
    "Recipe": "schema",
    "RetrieverComponent": "schema",
    "Row": "schema",
    "dump_yaml": "positions",
    "load_recipe": "load",
    "select": "selection",
}
__all__ = [*_HOME]  # noqa: PLE0604
__getattr__ = exported(__name__, _HOME)
