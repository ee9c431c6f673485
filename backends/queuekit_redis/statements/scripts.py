"""How the scripts are called, and what comes back."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from redis.exceptions import NoScriptError

from queuekit.backend import BackendSettings
from queuekit.errors import QueuekitError, ReplyLost
from queuekit_redis.connection import Argument, Connections, Request
from queuekit_redis.errors import refused
from queuekit_redis.rows import count_of
from queuekit_redis.statements.keys import Keys
from queuekit_redis.statements.lua import Script, script

T = TypeVar("T")

REGISTER_EVERY: Final = 60.0
MOST_BYTES: Final = 4_000_000
"""About so much goes in one script."""


class Call(NamedTuple):
    """One run of a script: numbered keys, then the keys, then the arguments, as EVAL takes them."""

    script: Script
    key: str
    arguments: tuple[Argument, ...]

    @property
    def by_digest(self) -> Request:
        """For a server that knows the script."""
        return Request(self.key, ("EVALSHA", self.script.digest, *self.arguments))

    @property
    def by_text(self) -> Request:
        """For one that does not: it will from then on."""
        return Request(self.key, ("EVAL", self.script.text, *self.arguments))


class Scripts:
    """Runs the scripts of one namespace.

    Args:
        connections: to the server.
        settings: what every script gets to know.
    """

    def __init__(self, connections: Connections, settings: BackendSettings) -> None:
        self.connections = connections
        self.keys = Keys(settings.namespace)
        self._settings: tuple[Argument, ...] = (
            settings.keep_succeeded.age,
            count_of(settings.keep_succeeded),
            settings.keep_failed.age,
            self.keys.bells,
        )
        self._wait = ("WAIT", 1, int(settings.timeout * 800))
        self._registered: dict[str, float] = {}
        self._known_keys: dict[tuple[str, str | None], tuple[Argument, ...]] = {}

    def call(self, name: str, queue: str | None, arguments: Iterable[Argument] = ()) -> Call:
        """A script with its keys (of a queue; None: of the namespace) and arguments."""
        keys = self._known_keys.get((name, queue))
        if keys is None:
            keys = self._known_keys[name, queue] = self._keys_of(script(name), queue)
        return Call(script(name), str(keys[1]), (*keys, *self._settings, *arguments))

    async def run(self, calls: Sequence[Call], *, replicated: bool = False) -> list[Any]:
        """Run scripts in one round trip; one answer each, which may be a `QueuekitError`.

        Args:
            calls: made by `call`.
            replicated: come back only when a replica has what they wrote.
        """
        answers = await self._send([call.by_digest for call in calls], replicated=replicated)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            texts = [calls[i].by_text for i in unknown]
            again = await self._send(texts, replicated=replicated)
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        return [self._checked(answer) for answer in answers]

    async def run_one(self, name: str, queue: str | None, *arguments: Argument) -> Any:
        """Run one script; an error that it answers is raised."""
        return raised(await self.run([self.call(name, queue, arguments)]))[0]

    async def run_everywhere(
        self, name: str, queues: Iterable[str], *arguments: Argument
    ) -> list[Any]:
        """Run one script for each queue, in one round trip; errors are raised."""
        return await self.run_all([self.call(name, queue, arguments) for queue in queues])

    async def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts in one round trip; an error that one of them answers is raised."""
        return raised(await self.run(calls)) if calls else []

    async def run_at_once(self, calls: Sequence[Call], *, replicated: bool) -> list[Any]:
        """Run scripts in one transaction. Raises what one of them answers as an error."""
        key = calls[0].key
        requests = [Request(key, ("MULTI",)), *(call.by_text for call in calls)]
        answers = await self._send([*requests, Request(key, ("EXEC",))], replicated=replicated)
        *_, done = raised([self._checked(answer) for answer in answers])
        return raised([self._checked(answer) for answer in done])

    async def command(self, name: str, *arguments: Argument) -> Any:
        """Run a plain command that belongs to no queue; an error is raised."""
        key = self.keys.of_namespace(("queues",))[0]
        answers = await self.connections.run([Request(key, (name, *arguments))])
        return raised([self._checked(answers[0])])[0]

    async def register(self, queues: Collection[str]) -> None:
        """Put queues on the list of all queues, now and then again, in case the list was lost."""
        now = asyncio.get_running_loop().time()
        new = [queue for queue in queues if self._registered.get(queue, 0) < now]
        if not new:
            return
        await self.run_one("enqueue_register", None, *new)
        self._registered |= dict.fromkeys(new, now + REGISTER_EVERY)

    async def queues(self) -> list[str]:
        """The names of all queues that ever had a job."""
        (key,) = self.keys.of_namespace(("queues",))
        return sorted(name.decode() for name in await self.command("SMEMBERS", key))

    def _keys_of(self, wanted: Script, queue: str | None) -> tuple[Argument, ...]:
        names = wanted.keys
        keys = self.keys.of_queue(queue, names) if queue else self.keys.of_namespace(names)
        return (len(keys), *keys)

    async def _send(self, requests: list[Request], *, replicated: bool) -> list[Any]:
        if not replicated:
            return await self.connections.run(requests)
        # WAIT looks at what its own connection wrote last, so each node needs one.
        waits = [Request(key, self._wait) for key in {request.key for request in requests}]
        answers = await self.connections.run([*requests, *waits])
        answers, counts = answers[: len(requests)], answers[len(requests) :]
        wrote = not any(isinstance(answer, Exception) for answer in answers)
        if wrote and any(not isinstance(count, int) or count < 1 for count in counts):
            raise ReplyLost(
                f"No replica of Redis at {self.connections.server} has confirmed the jobs: add one, or "
                'enqueue without durability="replicated".'
            )
        return answers

    def _checked(self, answer: Any) -> Any:
        return refused(answer, self.connections.server) if isinstance(answer, Exception) else answer


def raised(answers: list[Any]) -> list[Any]:
    """The same answers; if one is an error it is raised."""
    for answer in answers:
        if isinstance(answer, QueuekitError):
            raise answer
    return answers


def by_queue(
    items: Iterable[T], queue_of: Callable[[T], str], most: int
) -> Iterator[tuple[str, list[T]]]:
    """Items as scripts take them: those of one queue together, at most so many."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(queue_of(item), []).append(item)
    for queue, all_of_them in found.items():
        for start in range(0, len(all_of_them), most):
            yield queue, all_of_them[start : start + most]


def bounded(items: Sequence[T], size_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Items as scripts take them: at most so many, and of a bounded size."""
    some: list[T] = []
    size = 0
    for item in items:
        size += size_of(item)
        if some and (len(some) == most or size > MOST_BYTES):
            yield some
            some, size = [], size_of(item)
        some.append(item)
    yield some
