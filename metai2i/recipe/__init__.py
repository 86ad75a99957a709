"""Recipes: YAML in, checked rows out."""

from metai2i.recipe.load import load_recipe as load_recipe
from metai2i.recipe.positions import dump_yaml as dump_yaml
from metai2i.recipe.schema import Adapt as Adapt
from metai2i.recipe.schema import Aux as Aux
from metai2i.recipe.schema import Compare as Compare
from metai2i.recipe.schema import Component as Component
from metai2i.recipe.schema import Episodes as Episodes
from metai2i.recipe.schema import Evaluate as Evaluate
from metai2i.recipe.schema import Further as Further
from metai2i.recipe.schema import Metatrain as Metatrain
from metai2i.recipe.schema import Pretrain as Pretrain
from metai2i.recipe.schema import Recipe as Recipe
from metai2i.recipe.schema import RetrieverComponent as RetrieverComponent
from metai2i.recipe.schema import Row as Row
from metai2i.recipe.selection import select as select

__all__ = [
    "Adapt",
    "Aux",
    "Compare",
    "Component",
    "Episodes",
    "Evaluate",
    "Further",
    "Metatrain",
    "Pretrain",
    "Recipe",
    "RetrieverComponent",
    "Row",
    "dump_yaml",
    "load_recipe",
    "select",
]
