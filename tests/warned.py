"""What a test has warned of, without what is not its own."""

from __future__ import annotations

import pytest


def warned(recorded: pytest.WarningsRecorder) -> list[str]:
    """Return the warnings of a test; a file that another has left open may be found by its garbage collection."""
    return [str(each.message) for each in recorded if not issubclass(each.category, ResourceWarning)]
