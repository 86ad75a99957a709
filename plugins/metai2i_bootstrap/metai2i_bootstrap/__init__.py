"""A bootstrapped outer step for metai2i, with learned inner rates and predicted starts."""

from metai2i import Register, hookimpl
from metai2i_bootstrap.strategy import Bootstrap as Bootstrap


@hookimpl
def register_strategies(register: Register) -> None:
    """Hand over `bootstrap`."""
    register("bootstrap", Bootstrap)
