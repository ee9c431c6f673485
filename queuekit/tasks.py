"""The tasks of an app by their names, and what is called around its workers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypeVar

from queuekit.errors import InvalidOption, UnknownTask
from queuekit.loops import call
from queuekit.plan import Declared
from queuekit.signature import described, is_async, refuse_uncallable
from queuekit.task import AsyncTask, Enqueuer, SyncTask, Task

Hook = TypeVar("Hook", bound=Callable[[], Any])
When: TypeAlias = Literal["startup", "shutdown"]


class Tasks(Mapping[str, Task[..., Any]]):
    """Tasks by name and former name, and the hooks of their app.

    Attributes:
        script: the path and the attribute where their app was found, if that is no module.
        schedules: of the code, by name.
    """

    def __init__(self) -> None:
        self.script: tuple[str, str] | None = None
        self.schedules: dict[str, Declared] = {}
        self._by_name: dict[str, Task[..., Any]] = {}
        self._hooks: Final[dict[When, list[Callable[[], Any]]]] = {"startup": [], "shutdown": []}

    def __repr__(self) -> str:
        return f"<Tasks: {', '.join(self._by_name) or 'none'}>"

    def __getitem__(self, name: str) -> Task[..., Any]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def queues(self) -> Sequence[str]:
        """The queues of their jobs, each once."""
        return tuple(dict.fromkeys(task.queue for task in self._by_name.values()))

    def shortest_lease(self, lease: float) -> float:
        """Seconds; of those that their jobs may have, where a worker gives this one to jobs without their own."""
        own = [task.policy.lease for task in self._by_name.values() if task.policy.lease]
        return min([lease, *own])

    def register(
        self, app: Enqueuer, function: Callable[..., Any], options: dict[str, Any]
    ) -> Task[..., Any]:
        """Make a function a task.

        Raises:
            InvalidOption: an option is misspelt or impossible, or the name is taken.
        """
        plain = function.__func__ if isinstance(function, staticmethod) else function
        kind = AsyncTask if is_async(plain) else SyncTask
        task: Task[..., Any] = kind(app, plain, options)
        names = dict.fromkeys((task.name, *task.aliases))
        for name in names:
            if name in self._by_name:
                taken = described(self._by_name[name].function)
                raise InvalidOption(f"The name {name!r} is taken by {taken}; pass another name=")
        self._by_name.update(dict.fromkeys(names, task))
        return task

    def find(self, name: str) -> Task[..., Any]:
        """The task of a name or former name. Raises `UnknownTask`."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted({task.name for task in self._by_name.values()})) or "none"
            raise UnknownTask(f"No task {name!r} in this app; known are: {known}") from None

    def hook(self, when: When, hook: Hook) -> Hook:
        """Call a function before a worker's first job, or after its last.

        Raises:
            InvalidOption: it can't be called without arguments.
        """
        try:
            refuse_uncallable(f"on_{when}: a hook", hook, awaited=True)
        except ValueError as error:
            raise InvalidOption(f"{error}; got {described(hook)}") from None
        self._hooks[when].append(hook)
        return hook

    def hooks(self, when: When) -> Sequence[Callable[[], Any]]:
        """In the order in which they are called."""
        return self._hooks[when] if when == "startup" else self._hooks[when][::-1]

    async def run_hooks(self, when: When) -> None:
        """Call them one after the other."""
        for hook in self.hooks(when):
            await call(hook)
