"""PG2 for metai2i."""

from metai2i import Register, hookimpl
from metai2i_pg2.translator import PG2 as PG2


@hookimpl
def register_translators(register: Register) -> None:
    """Hand over `PG2`."""
    register("pg2", PG2)
