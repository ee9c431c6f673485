"""From a URL to its backend, by the entry-point group ``queuekit.backends``."""

from importlib.metadata import entry_points

from queuekit.backend import Backend
from queuekit.errors import ConfigurationError

GROUP = "queuekit.backends"


def backend_class(url: str) -> type[Backend]:
    """The backend for a URL's scheme.

    Raises:
        ConfigurationError: the URL has no scheme, or nobody serves it.
    """
    scheme, separator, _ = url.partition("://")
    known = sorted(entry.name for entry in entry_points(group=GROUP))
    if not separator:
        raise ConfigurationError(
            f"{redacted(url)!r} is no URL: it must start with one of {', '.join(s + '://' for s in known)}"
        )
    for entry in entry_points(group=GROUP, name=scheme):
        found: type[Backend] = entry.load()
        return found
    raise ConfigurationError(
        f"No backend serves {scheme}:// URLs. Known are {', '.join(known)}; "
        f"install the package that brings it (entry point group {GROUP!r}), or correct QUEUEKIT_URL."
    )


def redacted(url: str) -> str:
    """The URL without its password, for messages and logs."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not at:
        return url
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}:***@{place}"
