"""A pytest plugin: the tests that most likely see a mutant run first."""

import json
import os
from typing import Final

import pytest

HINTS: Final = "QUEUEKIT_MUTANTS_HINTS"
"""The environment variable that has tests that saw relatives of the mutant, and words that it is about, as JSON."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests, words = json.loads(os.environ[HINTS])
    rank = {test: number for number, test in enumerate(tests)}

    def place(item: pytest.Item) -> tuple[int, int]:
        return rank.get(item.nodeid, len(rank)), -sum(word in item.nodeid for word in words)

    items.sort(key=place)
