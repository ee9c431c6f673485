"""What goes in comes out: an argument through the store to the task, and its result back."""

import asyncio
import dataclasses
import enum
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import AfterValidator, BaseModel, Field, PlainSerializer, SecretStr, computed_field

from queuekit import InvalidPayload, JobFailed, Queuekit
from queuekit.difference import difference


class User(BaseModel):
    user_id: int = Field(alias="userId")
    nick: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def label(self) -> str:
        return f"user {self.user_id}"


class Event(BaseModel):
    kind: Literal["event"] = "event"
    name: str


class Paid(Event):
    kind: Literal["paid"] = "paid"  # type: ignore[assignment]
    amount: Decimal


class Noted(Event):
    note: str


class Inbox(BaseModel):
    events: list[Annotated[Event | Paid, Field(discriminator="kind")]]


@dataclasses.dataclass(slots=True)
class Order:
    total: int
    tax: int = dataclasses.field(init=False, default=0)


class Size(enum.Enum):
    SMALL = (1, 2)


class Pair(NamedTuple):
    left: int
    right: bytes


Token = Annotated[SecretStr, PlainSerializer(lambda token: token.get_secret_value())]

VALUES: list[tuple[Any, Any]] = [
    (User, User(userId=7)),
    (Order, Order(5)),
    (Size, Size.SMALL),
    (Pair, Pair(1, b"\xff\x00")),
    (Inbox, Inbox(events=[Event(name="a"), Paid(name="b", amount=Decimal("1.10"))])),
    (Token, SecretStr("hunter2")),
    (dict[Size, list[Order | None]], {Size.SMALL: [Order(1), None]}),
    (int, 10**4_000),
    (int | float | str | None, 1.0),
    (Any, {"a": [1, None, "é"]}),
]


async def test_what_goes_in_comes_out(qk: Queuekit) -> None:
    got: dict[str, Any] = {}

    def define(name: str, hint: Any) -> Any:
        async def echo(value: Any) -> Any:
            got[name] = value
            return value

        echo.__annotations__.update(value=hint, **{"return": hint})
        return qk.task(name=name)(echo)

    tasks = [define(f"echo-{i}", hint) for i, (hint, _) in enumerate(VALUES)]
    async with qk, qk.worker():
        jobs = await asyncio.gather(
            *(task.enqueue(value) for task, (_, value) in zip(tasks, VALUES, strict=True))
        )
        for i, (job, (_, value)) in enumerate(zip(jobs, VALUES, strict=True)):
            result = await job.result(timeout=50)
            assert difference(value, got[f"echo-{i}"]) is None
            assert difference(value, result) is None


async def test_a_validator_runs_once(qk: Queuekit) -> None:
    @qk.task
    async def charge(cents: Annotated[int, AfterValidator(lambda euros: euros * 100)]) -> int:
        return cents

    @qk.task
    async def total(numbers: Iterable[int]) -> int:
        return sum(numbers)

    async with qk, qk.worker():
        charged = await charge.enqueue(3)
        summed = await total.enqueue(n for n in (1, 2, 3))
        assert await charged.result(timeout=50) == 300
        assert await summed.result(timeout=50) == 6


async def test_what_would_not_arrive_is_refused_in_the_caller(qk: Queuekit) -> None:
    @qk.task
    async def login(token: SecretStr) -> None: ...

    @qk.task
    async def handle(event: Event) -> None: ...

    @qk.task
    async def loose(n: int, x: Any) -> None: ...

    async with qk:
        with pytest.raises(InvalidPayload, match="task 'login': token: a secret arrives as"):
            await login.enqueue(SecretStr("hunter2"))
        with pytest.raises(InvalidPayload, match="event: Noted would arrive as Event; annotate"):
            await handle.enqueue(Noted(name="a", note="b"))
        with pytest.raises(InvalidPayload, match="x: tuple would arrive as list; annotate the par"):
            await loose.enqueue(1, (1, 2))
        assert await qk.inspect.list() == []


async def test_a_result_that_would_not_come_back_fails_the_job(qk: Queuekit) -> None:
    @qk.task
    async def note() -> Event:
        return Noted(name="a", note="b")

    @qk.task
    async def loose():  # type: ignore[no-untyped-def]
        return {"at": (1, 2)}

    async with qk, qk.worker():
        jobs = [await note.enqueue(), await loose.enqueue()]
        for job, message in zip(
            jobs,
            [
                "value: Noted would arrive as Event; annotate the result with Noted",
                "at: tuple would arrive as list; annotate the result with the type",
            ],
            strict=True,
        ):
            with pytest.raises(JobFailed) as failed:
                await job.result(timeout=50)
            assert failed.value.reason == "invalid_result"
            assert message in failed.value.errors[0].message
