"""Settings: where they come from, and what is said of wrong ones."""

from pathlib import Path

import pytest

from queuekit import ConfigurationError, Queuekit, config
from queuekit.registry import backend_class, redacted


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
        ({"lease": -1}, "lease: Input should be greater than"),
        ({"leese": 1}, "leese: Extra inputs are not permitted"),
        ({"namespace": "A-b"}, "namespace: String should match"),
        ({"concurrency": "many"}, "concurrency: Input should be a valid integer"),
        ({"pooler": "session"}, "pooler: Input should be 'transaction'"),
    ],
)
def test_a_wrong_value_is_one_clear_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Queuekit("sqlite://", **settings)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.queuekit\n")

    with pytest.raises(ConfigurationError, match=r"pyproject.toml is no valid TOML"):
        config.load()


def test_a_url_nobody_serves_lists_the_known_schemes() -> None:
    with pytest.raises(
        ConfigurationError, match=r"No backend serves mysql:// URLs. Known are .*postgres.*sqlite"
    ):
        backend_class("mysql://h/db")
    with pytest.raises(ConfigurationError, match="is no URL: it must start with one of"):
        backend_class("localhost:6379")


def test_passwords_are_redacted() -> None:
    assert redacted("redis://u:p@ss@h:1/0") == "redis://u:***@h:1/0"
    assert redacted("sqlite:///x") == "sqlite:///x"
    assert "hunter2" not in repr(Queuekit("redis://:hunter2@localhost"))
