"""A failed attempt as text, whatever the error does when it is looked at."""

import json
import traceback
from collections.abc import Callable
from typing import Final

MESSAGE_CAP: Final = 2_000
TRACEBACK_CAP: Final = 16_000


def failure(error: BaseException, attempt: int) -> str:
    """A failed attempt as JSON object text: what can't be stored in it is escaped, what is too long is cut."""
    return json.dumps(
        {
            "attempt": attempt,
            "type": kind_of(error),
            "message": message_of(error),
            "traceback": traceback_of(error),
        }
    )


def kind_of(error: BaseException) -> str:
    """The name of an error's class."""
    return _asked(lambda: type(error).__qualname__, "an error without a name")[:MESSAGE_CAP]


def message_of(error: BaseException) -> str:
    """The text of an error; if it has none, because its ``__str__`` fails, that is said."""
    return _asked(lambda: str(error), "its message can't be shown: __str__ failed")[:MESSAGE_CAP]


def traceback_of(error: BaseException) -> str:
    """The end of an error's traceback."""
    why = "its traceback can't be shown: formatting it failed"
    return _asked(lambda: "".join(traceback.format_exception(error)), why)[-TRACEBACK_CAP:]


def printable(text: object, cap: int = MESSAGE_CAP) -> str:
    """A text that every store takes: NUL and lone surrogates are escaped, what is too long is cut."""
    return _asked(lambda: str(text), "a text that can't be shown: __str__ failed")[:cap]


def repr_of(value: object, cap: int = 100) -> str:
    """A value as an error's message quotes it."""
    return _asked(lambda: repr(value), "a value that can't be shown: __repr__ failed")[:cap]


def _asked(what: Callable[[], str], otherwise: str) -> str:
    """What an object of a task's says about itself."""
    try:
        # A subclass of str may have methods of its own.
        text = "".join(what())
        return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    except BaseException:  # noqa: BLE001  # GeneratorExit and SystemExit are texts here, too
        return f"<{otherwise}>"
