"""The seam where errors of redis-py become queuekit's own."""

from typing import Final

from redis import exceptions as driver

from queuekit.errors import BackendRefused, BackendUnavailable, QueuekitError

FULL: Final = "command not allowed when used memory"
QUOTING: Final = ", with args beginning with"
"""Behind these words a server repeats what it was sent, a password among it."""
UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
UNAVAILABLE: Final = (
    driver.BusyLoadingError,
    driver.MasterDownError,
    driver.ClusterDownError,
    driver.TryAgainError,
)
UNAVAILABLE_PREFIXES: Final = ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY ", "Redis is busy")


def refused(error: Exception, server: str) -> QueuekitError:
    """What an error that the server answered means to a caller.

    Args:
        error: of redis-py.
        server: the server, without a password.
    """
    text = str(error).partition(QUOTING)[0]
    if isinstance(error, UNAVAILABLE) or text.startswith(UNAVAILABLE_PREFIXES):
        return BackendUnavailable(f"Redis at {server} can't serve yet: {text}. Try again later.")
    if FULL in text:
        return BackendRefused(
            f"Redis at {server} is full: raise maxmemory, or drain and clean queues. Nothing was stored."
        )
    if isinstance(error, driver.AuthenticationError) or "NOAUTH" in text:
        return BackendRefused(
            f"Redis at {server} refuses the credentials: correct user and password in the URL."
        )
    return BackendRefused(f"Redis at {server} refuses: {text}")


def unreachable(error: BaseException, server: str) -> BackendUnavailable:
    """What a failed connection means to a caller."""
    reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
    remedy = (
        "Name who signed the server's certificate: ?ssl_ca_certs=/path/ca.pem in the URL."
        if UNTRUSTED in reason
        else "Start it, or correct the URL."
    )
    return BackendUnavailable(f"Can't connect to Redis at {server} ({reason}). {remedy}")
