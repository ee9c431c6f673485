"""From a URL to its backend, and what of a URL is shown."""

from importlib.metadata import entry_points
from urllib.parse import quote

import pytest
from hypothesis import assume, given, strategies as st

from queuekit import ConfigurationError
from queuekit.registry import GROUP, backend_class, redacted


@pytest.mark.parametrize("scheme", sorted(entry.name for entry in entry_points(group=GROUP)))
def test_each_scheme_has_a_backend(scheme: str) -> None:
    found = backend_class(f"{scheme}://somewhere")
    family = {"unix": "redis", "valkey": "redis", "rediss": "redis"}.get(scheme, scheme)
    assert found.__module__.partition(".")[0] == f"queuekit_{family.partition('+')[0]}".replace(
        "postgresql", "postgres"
    )


def test_a_url_nobody_serves_lists_the_known_schemes() -> None:
    with pytest.raises(
        ConfigurationError, match=r"No backend serves mysql:// URLs. Known are .*postgres.*sqlite"
    ):
        backend_class("mysql://h/db")
    with pytest.raises(ConfigurationError, match="is no URL: it must start with one of"):
        backend_class("localhost:6379")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@ss@h:1/0", "redis://u:***@h:1/0"),
        ("redis://:${PASSWORD}@${HOST}:6379/0", "redis://:***@${HOST}:6379/0"),
        ("redis://token@h", "redis://***@h"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis+cluster://u:p@h1:1,u:p@h2", "redis+cluster://u:***@h2"),
        ("postgres://u:p@h1:1,h2:2/db?sslmode=require", "postgres://u:***@h1:1,h2:2/db?sslmode=require"),
        ("redis://u:a/b@h/0", "redis://***"),
        ("redis://u:a?b@h/0", "redis://***"),
        ("redis://u:a#b@h/0", "redis://***"),
        ("redis://:secret", "redis://***"),
        ("unix:///run/redis.sock?db=0&password=x", "unix:///run/redis.sock?db=0&***"),
        ("unix:///run/redis.sock?password=a&db=b", "unix:///run/redis.sock?***"),
        ("postgres:///app?host=db&user=me&passwd=x", "postgres:///app?host=db&user=me&***"),
        ("sqlite:///x", "sqlite:///x"),
        ("sqlite:////home/me@work/a#b.db", "sqlite:////home/me@work/a***"),
        ("host=db password=x", "***"),
        ("user:password@host", "***"),
        ("not a scheme://password", "***"),
        ("", "***"),
    ],
)  # fmt: skip
def test_only_what_is_surely_no_secret_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


PLACES = [
    "redis://:{}@h:6379/0",
    "redis://user:{}@h/0?db=1",
    "unix:///run/redis.sock?db=0&password={}",
    "unix://user:{}@/run/redis.sock?db=0",
    "redis://h?password={}&db=1",
    "redis://h?ssl_password={}",
    "redis+sentinel://u:x@h,h2/main/0?sentinel_password={}",
    "redis+cluster://u:{}@h:1,h:2",
    "postgres://me:{}@h1:5432,h2/db?sslmode=require",
    "postgres:///app?host=db&user=me&password={}",
    "postgres:///app?sslpassword={}&user=me",
    "third+party://h/x?auth_token={}",
    "host=h user=me password={}",
    "{}",
    "me:{}@host",
]


@pytest.mark.parametrize("place", PLACES)
@given(password=st.text(min_size=1) | st.text("@/?#&=:%+, ab", min_size=1), encode=st.booleans())
def test_a_password_is_never_shown(place: str, password: str, encode: bool) -> None:
    written = quote(password, safe="") if encode else password
    assume("://" not in written)
    assume(all(secret not in place.replace("{}", "***") for secret in (password, written)))

    shown = redacted(place.format(written))

    assert password not in shown
    assert written not in shown
