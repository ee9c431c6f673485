"""How deeply values may be nested."""

from typing import Any

import pytest

from queuekit.errors import InvalidPayload
from tests.unit.typed import Node, returned, sent


def in_lists(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def in_dicts(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def in_nodes(levels: int) -> Any:
    value = Node(name="a", children=[])
    for _ in range(levels // 2):
        value = Node(name="a", children=[value])
    return value


NESTED = [(Any, in_lists), (Any, in_dicts), (dict[str, Any], in_dicts), (Node, in_nodes)]


@pytest.mark.parametrize(("hint", "nested"), NESTED)
@pytest.mark.parametrize("way", [sent, returned])
def test_what_is_nested_199_deep_arrives(way: Any, hint: Any, nested: Any) -> None:
    assert way(hint, nested(199)) == nested(199)


@pytest.mark.parametrize("levels", [200, 260, 2_000])
@pytest.mark.parametrize(("hint", "nested"), NESTED)
@pytest.mark.parametrize("way", [sent, returned])
def test_what_is_nested_deeper_is_refused(way: Any, hint: Any, nested: Any, levels: int) -> None:
    with pytest.raises(InvalidPayload, match=r"value: what is nested more than 199 deep.*as text"):
        way(hint, nested(levels))
