"""What a backend can do whose store has a schema."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class HasSchema(Protocol):
    """A backend with a schema that people may want to see or apply by hand."""

    async def schema_apply(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations that ran."""
        ...

    def schema_show(self) -> str:
        """The whole schema as a script."""
        ...
