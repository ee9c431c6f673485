"""From a URL to the file of the database, and whether a database can live there."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote

from queuekit.errors import ConfigurationError
from queuekit.registry import redacted

_NETWORK: Final = re.compile(r"nfs\d*|cifs|smb\w*|afs|ceph|lustre|(fuse\.)?(glusterfs|sshfs|s3fs)")
"""Types of file systems whose locks SQLite can't rely on."""

Identity: TypeAlias = "tuple[tuple[int, int] | None, ...]"
"""Of files: device and inode of each; None: it is not there."""


def file_of(url: str) -> Path | None:
    """The file of a URL; None: in memory.

    Raises:
        ConfigurationError: the URL names no file.
    """
    rest = url.removeprefix("sqlite://")
    if not rest:
        return None
    path = unquote(rest.removeprefix("/"))
    if rest == url or not rest.startswith("/") or path in {"", ":memory:"} or "?" in rest:
        raise ConfigurationError(
            f"{redacted(url)} names no SQLite file: write sqlite:///relative/path, sqlite:////absolute/path, "
            "or sqlite:// for a queue in memory."
        )
    return Path(path)


def check_file(path: Path) -> None:
    """Refuse a path where a database can't work.

    Raises:
        ConfigurationError: the folder is missing or on a network file system, or the file can't be written.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigurationError(f"The folder {folder} of the SQLite file is missing: make it.")
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder: name a file in it.")
    # SQLite would open it to read, and even begin to write.
    effective = os.access in os.supports_effective_ids
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        raise ConfigurationError(f"{path} can't be written: check the permissions of the file.")
    if sys.platform == "linux":
        mounts = Path("/proc/mounts")
        text = mounts.read_text("utf-8", "replace") if mounts.exists() else ""
        if kind := network_file_system(folder.resolve(), text):
            raise ConfigurationError(
                f"{folder} is on a network file system ({kind}), where SQLite loses data: "
                "choose a local folder, or use Postgres or Redis."
            )


def files(path: str) -> Sequence[str]:
    """The files of an open database: itself and, beside what a link leads to, SQLite's own two."""
    real = os.path.realpath(path)
    return os.path.abspath(path), f"{real}-wal", f"{real}-shm"  # noqa: PTH100  # Path.absolute keeps ".."


def identity(paths: Iterable[str]) -> Identity:
    """What is at these paths: another one as soon as a file is deleted, moved or replaced."""
    return tuple(map(_identity, paths))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # once a transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino


def network_file_system(folder: Path, mounts: str) -> str | None:
    """The type of the network file system that a folder is on, if it is on one.

    Args:
        folder: an absolute path without links.
        mounts: text in the form of /proc/mounts.
    """
    kind, longest = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        # the later of two mounts at one point hides the earlier
        if folder.is_relative_to(point) and len(point.parts) >= longest:
            kind, longest = fields[2], len(point.parts)
    return kind if _NETWORK.fullmatch(kind) else None


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
