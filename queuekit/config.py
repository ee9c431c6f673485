"""Settings: arguments, then ``QUEUEKIT_*`` variables, then ``[tool.queuekit]`` in pyproject.toml, then defaults."""

import os
import re
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from queuekit.backend import KEEP_FAILED, KEEP_SUCCEEDED, BackendSettings
from queuekit.errors import ConfigurationError
from queuekit.job import Keep
from queuekit.registry import redacted
from queuekit.times import SHORTEST, SHORTEST_LEASE, seconds

PREFIX: Final = "QUEUEKIT_"
OUR_TOOLS: Final = ("test_", "chaos")
"""How the names of variables begin that only the test suite reads."""
DEFAULT_URL: Final = "sqlite:///queuekit.db"
URLS: Final = ("url", "listen_url", "cutover_to")
_told: Final[set[str]] = set()
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _number(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value


Duration = Annotated[float, BeforeValidator(_number), AfterValidator(seconds)]
Positive = Annotated[
    float, BeforeValidator(_number), AfterValidator(partial(seconds, least=SHORTEST))
]
Lease = Annotated[
    float, BeforeValidator(_number), AfterValidator(partial(seconds, least=SHORTEST_LEASE))
]


class Settings(BaseSettings):
    """What can be configured.

    Attributes:
        url: of the backend: ``redis://``, ``postgres://``, ``sqlite:///file`` or ``sqlite://`` (in memory).
        namespace: Redis key prefix and Postgres schema.
        listen_url: a direct connection for doorbells where `url` leads through a pooler.
        cutover_to: of the backend to which queues are to move, while they are served (see `queuekit.cutover`).
        mirror: whether an enqueue of a queue in a cutover waits for its mirror (``"sync"``), fails without it
            (``"strict"``), or does not wait (``"async"``).
        pooler: ``"transaction"`` behind pgbouncer in that mode.
        timeout: seconds until a call to the server gives up.
        lease: seconds after which a worker that was not heard of counts as dead.
        keep: seconds for which the record of a succeeded job stays.
        keep_failed: likewise of a failed or cancelled one.
        max_payload: bytes of one job's arguments.
        concurrency: jobs that one worker process runs at once.
        threads: of those, how many in threads.
        children: child processes for ``executor="process"`` and suspects.
        grace: seconds that running jobs get to finish when a worker stops.
        app: ``module:attribute`` of the `Queuekit` object, for the command line.
        tasks: folders or modules whose tasks are loaded with the app.
        log_level: of the command line.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", env_ignore_empty=True
    )

    url: str = DEFAULT_URL
    namespace: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,40}$")] = "queuekit"
    listen_url: str | None = None
    cutover_to: str | None = None
    mirror: Literal["sync", "strict", "async"] = "sync"
    pooler: Literal["transaction"] | None = None
    timeout: Annotated[Positive, Field(le=600)] = 10.0
    lease: Annotated[Lease, Field(le=86_400)] = 30.0
    keep: Duration = KEEP_SUCCEEDED.age / 1_000_000
    keep_failed: Duration = KEEP_FAILED.age / 1_000_000
    max_payload: Annotated[int, Field(gt=0, le=64_000_000)] = 1_000_000
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 50
    threads: Annotated[int, Field(ge=1, le=1_000)] = 16
    children: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: max(2, os.cpu_count() or 1)
    )
    grace: Duration = 30.0
    app: str | None = None
    tasks: str | list[str] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """For `repr` and `str`; URLs without their secrets."""
        for name, value in super().__repr_args__():
            yield name, redacted(value) if name in URLS and value else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic names them
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, pyproject.toml; nothing else."""
        return init_settings, env_settings, _Pyproject(settings_cls)

    @property
    def backend(self) -> BackendSettings:
        """The part that a backend is told."""
        return BackendSettings(
            namespace=self.namespace,
            listen_url=self.listen_url,
            pooler=self.pooler,
            timeout=self.timeout,
            keep_succeeded=Keep(round(self.keep * 1_000_000), KEEP_SUCCEEDED.count),
            keep_failed=Keep(round(self.keep_failed * 1_000_000)),
        )


class _Pyproject(PydanticBaseSettingsSource):
    """``[tool.queuekit]`` of the nearest pyproject.toml."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Not used: the whole table is given at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = pyproject()
        if path is None:
            return {}
        try:
            table: dict[str, Any] = (
                tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("queuekit", {})
            )
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path} is no valid TOML: {error}") from None
        return table


def load(**arguments: Any) -> Settings:
    """Settings from all sources; None counts as not given.

    Raises:
        ConfigurationError: a value is wrong or a name is misspelt; all of them are named.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    _warn_of_unknown_variables()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines = [
            f"{detail['loc'][0]}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError(
            f"Wrong settings (arguments, QUEUEKIT_* variables, [tool.queuekit]): {'; '.join(lines)}"
        ) from None
    if not settings.url:
        raise ConfigurationError(
            "The URL is empty; pass one, or None for QUEUEKIT_URL and its default"
        )
    filled = {name: _filled_in(value) for name in URLS if (value := getattr(settings, name))}
    filled |= {name: _absolute(filled[name]) for name in ("url", "cutover_to") if name in filled}
    return settings.model_copy(update=filled)


def _warn_of_unknown_variables() -> None:
    """Once each; no error, as they may be meant for another version."""
    for variable in filter(_is_unknown, os.environ.keys() - _told):
        # Not sooner, as the log would slow down the start of every program.
        from queuekit.log import log

        near = get_close_matches(_setting(variable), Settings.model_fields, 1)
        meant = f"{PREFIX}{near[0].upper()}" if near else None
        log.warning("unknown variable: no setting has this name", variable=variable, meant=meant)
        _told.add(variable)


def _is_unknown(variable: str) -> bool:
    name = _setting(variable)
    return (
        variable.upper().startswith(PREFIX)
        and name not in Settings.model_fields
        and not name.startswith(OUR_TOOLS)
    )


def _setting(variable: str) -> str:
    return variable[len(PREFIX) :].lower()


def pyproject() -> Path | None:
    """The nearest pyproject.toml, from the working directory up."""
    here = Path.cwd()
    return next(
        (p for folder in (here, *here.parents) if (p := folder / "pyproject.toml").is_file()), None
    )


def _filled_in(value: str) -> str:
    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise ConfigurationError(
                f"{redacted(value)}: the environment has no variable {match[1]}; set it"
            )
        return found

    return _VARIABLE.sub(variable, value)


def _absolute(url: str) -> str:
    """A relative SQLite path counts from the folder of pyproject.toml, whatever the working directory is."""
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not path or path.startswith("/"):
        return url
    found = pyproject()
    return f"sqlite:///{(found.parent if found else Path.cwd()) / path}"
