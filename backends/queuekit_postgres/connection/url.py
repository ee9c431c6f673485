"""What a URL and the settings beside it must be, before anything is connected."""

from typing import Final
from urllib.parse import urlsplit

from queuekit.backend import BackendSettings
from queuekit.errors import ConfigurationError
from queuekit.registry import redacted

SCHEMES: Final = ("postgres", "postgresql")


def check(url: str, settings: BackendSettings) -> None:
    """Refuse what can lead nowhere.

    Raises:
        ConfigurationError: that can't be.
    """
    if _is_malformed(url):
        # Without a cause: that quotes a part of a password that has a / or # in it.
        raise ConfigurationError(
            f"Can't read the URL {redacted(url)}: postgresql://user:password@host:port/database is expected, "
            "with special characters in user and password percent-encoded."
        )
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ConfigurationError(f"{scheme}:// is no URL of Postgres: use postgresql://.")
    if settings.pooler not in {None, "transaction"}:
        raise ConfigurationError(f'pooler {settings.pooler!r} is unknown: use "transaction".')


def _is_malformed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return True
    return "@" in parts.path + parts.fragment
