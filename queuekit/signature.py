"""What a function's signature says: the annotations of its parameters and its result."""

import inspect
from collections.abc import Callable
from typing import Any

from queuekit.errors import InvalidPayload


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, evaluated. Raises `InvalidPayload` naming the one that can't be."""
    try:
        return inspect.get_annotations(function, eval_str=True)
    except NameError as error:
        raise InvalidPayload(
            f"{function.__qualname__}: an annotation can't be evaluated: {error}. "
            "Import the type at run time, not only under TYPE_CHECKING."
        ) from error
