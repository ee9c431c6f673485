"""Settings: where they come from, and what is said of wrong ones."""

from collections.abc import Iterator, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from queuekit import ConfigurationError, Queuekit, config


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("URL", "NAMESPACE", "LEASE"):
        monkeypatch.delenv(f"QUEUEKIT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_arguments_go_before_variables_before_the_file_before_defaults(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.queuekit]\nlease = 3\nconcurrency = 7\nurl = "redis://a"\n'
    )
    monkeypatch.setenv("QUEUEKIT_CONCURRENCY", "8")
    monkeypatch.setenv("QUEUEKIT_URL", "redis://b")

    settings = config.load(url="redis://c")

    assert (settings.url, settings.concurrency, settings.lease, settings.threads) == (
        "redis://c",
        8,
        3,
        16,
    )


def test_the_default_is_a_file_beside_pyproject(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text("")
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")

    assert config.load().url == f"sqlite:///{folder}/queuekit.db"
    assert config.load(url="sqlite:////abs/x.db").url == "sqlite:////abs/x.db"
    assert config.load(url="sqlite://").url == "sqlite://"


def test_variables_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "secret")

    assert config.load(url="redis://:${REDIS_PASSWORD}@h/0").url == "redis://:secret@h/0"
    with pytest.raises(ConfigurationError, match="no variable NOT_THERE; set it"):
        config.load(url="redis://${NOT_THERE}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lease": -1}, "lease: pass seconds or a timedelta, at least 0.05 and at most 3,660 days"),
        ({"lease": 86_401}, "lease: Input should be less than"),
        ({"grace": float("nan")}, "grace: pass seconds"),
        ({"grace": float("inf")}, "grace: pass seconds"),
        ({"grace": 1.7e12}, "grace: pass seconds .* were milliseconds or a moment meant"),
        ({"keep": -1}, "keep: pass seconds"),
        ({"keep": "nan"}, "keep: pass seconds"),
        ({"keep_failed": 3_660 * 86_400 + 1}, "keep_failed: pass seconds"),
        ({"timeout": 0}, "timeout: pass seconds or a timedelta, more than 0"),
        ({"timeout": float("nan")}, "timeout: "),
        ({"leese": 1}, "leese: Extra inputs are not permitted"),
        ({"namespace": "A-b"}, "namespace: String should match"),
        ({"concurrency": "many"}, "concurrency: Input should be a valid integer"),
        ({"pooler": "session"}, "pooler: Input should be 'transaction'"),
    ],
)
def test_a_wrong_value_is_one_clear_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Queuekit("sqlite://", **settings)


def test_durations_may_be_timedeltas() -> None:
    settings = config.load(url="sqlite://", lease=timedelta(minutes=1), keep=timedelta(days=3_660))

    assert (settings.lease, settings.keep) == (60, 3_660 * 86_400)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.queuekit\n")

    with pytest.raises(ConfigurationError, match=r"pyproject.toml is no valid TOML"):
        config.load()


def test_nothing_that_is_printed_has_a_password() -> None:
    qk = Queuekit(
        "unix:///run/redis.sock?password=hunter2", listen_url="postgres://me:hunter2@h/db"
    )

    for shown in (qk, qk.settings, str(qk.settings), qk.settings.backend):
        assert "hunter2" not in repr(shown)
    assert "postgres://me:***@h/db" in repr(qk.settings)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    """What is warned of, as if no variable had been named yet."""
    monkeypatch.setattr("queuekit.config._told", set())
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("QUEUEKIT_CONCURENCY", "QUEUEKIT_CONCURRENCY"),
        ("queuekit_lese", "QUEUEKIT_LEASE"),
        ("QUEUEKIT_SOMETHING_ELSE", None),
        ("QUEUEKIT_", None),
    ],
)
def test_an_unknown_variable_is_named_once(
    monkeypatch: pytest.MonkeyPatch,
    warnings: list[MutableMapping[str, Any]],
    variable: str,
    meant: str | None,
) -> None:
    monkeypatch.setenv(variable, "1")

    config.load()
    config.load()

    (warning,) = warnings
    assert (warning["log_level"], warning["variable"], warning["meant"]) == (
        "warning",
        variable,
        meant,
    )


@pytest.mark.parametrize(
    "variable",
    ["QUEUEKIT_LEASE", "queuekit_lease", "QUEUEKIT_TEST_REDIS_URL", "QUEUEKIT_CHAOS_SEED", "OTHER"],
)
def test_known_variables_and_those_of_our_own_tools_are_not(
    monkeypatch: pytest.MonkeyPatch, warnings: list[MutableMapping[str, Any]], variable: str
) -> None:
    monkeypatch.setenv(variable, "1")

    config.load()

    assert warnings == []
