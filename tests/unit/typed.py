"""Types of every kind for the tests of values, and the two ways that a value goes."""

import dataclasses
import enum
import re
import threading
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pydantic.dataclasses
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    SecretStr,
    Tag,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from queuekit.codec import Arguments, Results

LIMIT = 1_000_000
T = TypeVar("T")


def arguments_of(hint: Any) -> Arguments:
    def task(value: Any) -> None: ...

    task.__annotations__["value"] = hint
    return Arguments("task", task)


def sent(hint: Any, value: Any) -> Any:
    """An argument as the task gets it."""
    arguments = arguments_of(hint)
    payload = arguments.dump(arguments.bind((value,), {}), LIMIT)
    return arguments.load(payload)["value"]


def returned(hint: Any, value: Any) -> Any:
    """A result as `result()` gives it."""
    results = Results("task", hint)
    return results.load(results.dump(value))


class Alias(BaseModel):
    user_id: int = Field(alias="userId")


class ValidationAlias(BaseModel):
    user_id: int = Field(validation_alias="userId")


class SerializationAlias(BaseModel):
    user_id: int = Field(serialization_alias="userId")


class BothAliases(BaseModel):
    user_id: int = Field(validation_alias="in", serialization_alias="out")


class Choices(BaseModel):
    user_id: int = Field(validation_alias=AliasChoices("userId", "id"))


class InPath(BaseModel):
    user_id: int = Field(validation_alias=AliasPath("user", "ids", 0))


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    user_id: int
    inner: Alias


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    user_id: int = Field(alias="userId")


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: int = Field(alias="a")


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.width**2

    @cached_property
    def half(self) -> float:
        return self.width / 2


class Patch(BaseModel):
    name: str | None = None
    age: int | None = None


class Stamped(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    name: str = "x"


class Excluded(BaseModel):
    name: str
    note: str = Field(default="", exclude=True)


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class Private(BaseModel):
    name: str
    _seen: int = PrivateAttr(default=0)

    def look(self) -> "Private":
        self._seen += 1
        return self


class Locked(BaseModel):
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


class Secretive(BaseModel):
    name: str
    password: SecretStr


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)

    n: int


class Box(BaseModel, Generic[T]):
    item: T


class Ids(RootModel[list[int]]):
    pass


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: tuple[str, ...] = ()


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
CallablePet = Annotated[
    Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")],
    Discriminator(lambda pet: pet["kind"] if isinstance(pet, dict) else pet.kind),
]


class Node(BaseModel):
    name: str
    children: "list[Node]" = []


class Money(BaseModel):
    cents: int

    @model_serializer
    def write(self) -> str:
        return f"{self.cents} cents"

    @model_validator(mode="before")
    @classmethod
    def read(cls, value: Any) -> Any:
        return {"cents": int(value.split()[0])} if isinstance(value, str) else value


class OneWay(BaseModel):
    cents: int

    @field_serializer("cents")
    def write(self, cents: int) -> str:
        return f"{cents} cents"


class Doubling(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def double(cls, n: int) -> int:
        return 2 * n


class NotFinite(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")

    x: float


class Event(BaseModel):
    name: str


class Paid(Event):
    amount: int


class Whatever(BaseModel):
    data: Any


class Sizes(enum.Enum):
    SMALL = (1, 2)
    LARGE = (3, 4)


class Objects(enum.Enum):
    A = Event(name="a")
    B = re.compile("b")


class Mixed(enum.Enum):
    INT = 1
    STR = "1"
    FLOAT = 1.5
    NONE = None


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Holder(BaseModel):
    size: Sizes
    many: dict[Sizes, list[Sizes]] = {}


@dataclasses.dataclass
class Order:
    total: int
    tax: int = dataclasses.field(init=False, default=0)


@dataclasses.dataclass
class Derived:
    total: int
    double: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.total


@dataclasses.dataclass(slots=True, kw_only=True, frozen=True)
class Slotted:
    x: int
    y: "list[Order]" = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class WithInitVar:
    x: int
    scale: dataclasses.InitVar[int]

    def __post_init__(self, scale: int) -> None:
        self.x *= scale


@dataclasses.dataclass
class WithDefaultInitVar:
    x: int
    scale: dataclasses.InitVar[int] = 1

    def __post_init__(self, scale: int) -> None:
        self.x *= scale


@dataclasses.dataclass
class Premium(Order):
    perks: str = ""


@pydantic.dataclasses.dataclass(config=ConfigDict(extra="forbid"))
class Strict:
    total: int
    alias: int = Field(alias="aliased", default=1)
    tax: int = dataclasses.field(init=False, default=0)


class Nested(TypedDict, total=False):
    order: Order
    at: datetime


class Aliased(TypedDict):
    user_id: Annotated[int, Field(alias="userId")]


class Pair(NamedTuple):
    left: int
    right: tuple[Decimal, ...] = ()


class Coordinates:
    """An arbitrary class that does not say when two are equal."""

    def __init__(self, x: int) -> None:
        self.x = x


AnyCoordinates = Annotated[
    Any,
    BeforeValidator(lambda value: value if isinstance(value, Coordinates) else Coordinates(value)),
    PlainSerializer(lambda value: value.x),
]
Cents = Annotated[int, AfterValidator(lambda euros: euros * 100)]
Shown = Annotated[SecretStr, PlainSerializer(lambda secret: secret.get_secret_value())]
BERLIN = ZoneInfo("Europe/Berlin")
