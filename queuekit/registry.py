"""From a URL to its backend, by the entry-point group ``queuekit.backends``."""

import re
from importlib.metadata import entry_points
from itertools import takewhile
from typing import Final

from queuekit.backend import Backend
from queuekit.errors import ConfigurationError

GROUP = "queuekit.backends"
HIDDEN: Final = "***"
HARMLESS: Final = frozenset(
    {
        *(
            "application_name",
            "connect_timeout",
            "db",
            "dbname",
            "host",
            "mode",
            "port",
            "protocol",
        ),
        *("socket_connect_timeout", "socket_timeout", "target_session_attrs", "timeout", "user"),
        *(
            "ssl",
            "ssl_ca_certs",
            "ssl_ca_path",
            "ssl_cert_reqs",
            "ssl_certfile",
            "ssl_check_hostname",
        ),
        *("ssl_keyfile", "ssl_min_version", "sslcert", "sslkey", "sslmode", "sslrootcert"),
    }
)
"""Parameters of a URL that hold no secret."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*").fullmatch
_HOST: Final = r"(\[[0-9A-Fa-f:.]*\]|[\w.${}-]*)(:\d*)?"
_HOSTS: Final = re.compile(rf"{_HOST}(,{_HOST})*").fullmatch
_PARAMETER: Final = re.compile(r"\w+=[\w.,:/%-]*").fullmatch


def backend_class(url: str) -> type[Backend]:
    """The backend for a URL's scheme.

    Raises:
        ConfigurationError: the URL has no scheme, or nobody serves it.
    """
    scheme = url.partition("://")[0]
    known = sorted(entry.name for entry in entry_points(group=GROUP))
    if not _is_url(url):
        raise ConfigurationError(
            f"{redacted(url)} is no URL: it must start with one of {', '.join(s + '://' for s in known)}"
        )
    for entry in entry_points(group=GROUP, name=scheme):
        found: type[Backend] = entry.load()
        return found
    raise ConfigurationError(
        f"No backend serves {scheme}:// URLs. Known are {', '.join(known)}; "
        f"install the package that brings it (entry point group {GROUP!r}), or correct QUEUEKIT_URL."
    )


def redacted(url: str) -> str:
    """The URL for messages and logs: without what may be a secret, or a part of one.

    Shown is only what surely is none: the scheme, a user before a password, hosts, the path, and the first parameters
    as long as they are in `HARMLESS`. Where a bare ``/``, ``?`` or ``#`` in a password leaves open what is what, only
    the scheme is shown.
    """
    scheme, _, rest = url.partition("://")
    if not _is_url(url):
        return HIDDEN
    body, fragment, _ = rest.partition("#")
    body, question, query = body.partition("?")
    authority, slash, path = body.partition("/")
    if authority and "@" in rest[len(authority) :]:
        return f"{scheme}://{HIDDEN}"
    shown = f"{scheme}://{_shown(authority)}{slash}{path}{question}{_harmless(query)}"
    return f"{shown}{HIDDEN}" if fragment else shown


def _is_url(text: str) -> bool:
    scheme, separator, _ = text.partition("://")
    return bool(separator and _SCHEME(scheme))


def _shown(authority: str) -> str:
    credentials, at, hosts = authority.rpartition("@")
    user, colon, _ = credentials.partition(":")
    who = f"{user}:" if colon else ""
    where = hosts if _HOSTS(hosts) else HIDDEN
    return f"{who}{HIDDEN}@{where}" if at else where


def _harmless(query: str) -> str:
    """What stands behind a secret may be a part of it, if it has a bare ``&``."""
    given = query.split("&") if query else []
    shown = list(takewhile(_is_harmless, given))
    return "&".join(shown if shown == given else [*shown, HIDDEN])


def _is_harmless(parameter: str) -> bool:
    return _PARAMETER(parameter) is not None and parameter.partition("=")[0] in HARMLESS
