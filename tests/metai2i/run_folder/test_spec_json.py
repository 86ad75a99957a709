import json

import pytest

from metai2i import Field, TaskSpec
from metai2i.run_folder.spec_json import spec_data, spec_of


@pytest.mark.parametrize(
    "spec",
    [
        TaskSpec(structure_channels=3, size=(16, 32)),
        TaskSpec(
            structure_channels=2, size=(8, 8), fields=frozenset({"structure", "target", "domain"}), domains=4,
            classes=("a", "b"), palette=((1, 2, 3), (4, 5, 6)),
        ),
    ],
)  # fmt: skip
def test_a_spec_comes_back_from_json_as_it_was(spec):
    record = json.loads(json.dumps([{"rows": ["A", "B"], **spec_data(spec)}]))
    assert spec_of(record, "B") == spec
    with pytest.raises(ValueError, match="there is no spec of row 'C'"):
        spec_of(record, "C")


@pytest.mark.parametrize("data", [{}, {"size": 3}, {**spec_data(TaskSpec(3, (8, 8))), "palette": [[1, 2]]}])
def test_what_is_no_spec_raises(data):
    with pytest.raises(ValueError, match="validation error"):
        spec_of([{"rows": ["A"], **data}], "A")


def test_a_field_keeps_that_it_is_sharp_or_drawn():
    also = {"structure": Field("map", 2, sharp=True), "lines": Field("map", 1, drawn=True), "mask": Field("map", 1)}
    spec = TaskSpec(2, (8, 8), frozenset({"structure"}), also=also)
    record = json.loads(json.dumps([{"rows": ["A"], **spec_data(spec)}]))
    assert spec_of(record, "A") == spec
    assert set(record[0]["also"]["mask"]) == {"kind", "channels", "names", "palette"}
