"""Which fields of a batch a component reads: what it does not name in `needs`, some task source will not have."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager

from metai2i.errors import UserError
from metai2i.testing.bench import Bench
from metai2i.testing.contract import ContractError, NotApplicable
from metai2i.testing.scenes import ToyScenes


def lone_scenes(bench: Bench, fields: Set[str]) -> ToyScenes:
    """Return toy scenes that have some fields and no others.

    Raises:
        NotApplicable: for a field that toy scenes cannot have.
    """
    try:
        return ToyScenes(spec=bench.spec, fields=frozenset(fields))
    except UserError as error:
        raise NotApplicable(error.what) from None


@contextmanager
def no_other_fields(needs: Set[str]) -> Iterator[None]:
    """Tell a look at a field that is not there as a look at what is not needed.

    Raises:
        ContractError: for such a look.
    """
    try:
        yield
    except KeyError as error:
        named = ", ".join(sorted(needs)) or "none"
        raise ContractError(
            f"that of a batch only the fields of `needs` ({named}) are read", str(error.args[0])
        ) from None
