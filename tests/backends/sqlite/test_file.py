"""Where a database can live."""

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import PIPE

import pytest

from queuekit.backend import Backend, BackendSettings
from queuekit.errors import ConfigurationError
from queuekit_sqlite import SqliteBackend
from queuekit_sqlite.connection import file_of
from queuekit_sqlite.connection.file import network_file_system

from .conftest import Start

Make = Callable[..., Awaitable[Backend]]

MOUNTS = """\
sysfs /sys sysfs rw,nosuid 0 0
/dev/vda / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/ada/fast xfs rw 0 0
//server/share /mnt/windows\\040share cifs rw 0 0
/dev/vdc /mnt/hidden ext4 rw 0 0
//server/hidden /mnt/hidden smb3 rw 0 0
host:/x /mnt/ssh fuse.sshfs rw 0 0
nonsense
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/var/lib/app", None),
        ("/tmp", None),
        ("/home", "nfs4"),
        ("/home/ada", "nfs4"),
        ("/home/ada/fast", None),
        ("/home/ada/fast/deep", None),
        ("/home/ada/faster", "nfs4"),
        ("/homestead", None),
        ("/mnt/windows share/queue", "cifs"),
        ("/mnt/hidden", "smb3"),
        ("/mnt/ssh", "fuse.sshfs"),
    ],
)
def test_network_file_systems(folder: str, kind: str | None) -> None:
    assert network_file_system(Path(folder), MOUNTS) == kind


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://", None),
        ("sqlite:///queue.db", "queue.db"),
        ("sqlite:////var/lib/queue.db", "/var/lib/queue.db"),
        ("sqlite:///a%20b%3F.db", "a b?.db"),
    ],
)
def test_urls(url: str, path: str | None) -> None:
    assert file_of(url) == (None if path is None else Path(path))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///",
        "sqlite://host/queue.db",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "a.db",
    ],
)
def test_urls_that_name_no_file(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///relative/path"):
        SqliteBackend(url, BackendSettings())


async def test_a_missing_folder(make_backend: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing: make it"):
        await make_backend(f"sqlite:///{tmp_path}/missing/queue.db")


async def test_a_folder_instead_of_a_file(make_backend: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder"):
        await make_backend(f"sqlite:///{tmp_path}")


def test_a_file_that_may_not_be_written(start: Start, file: Path) -> None:
    """Opened by somebody who may only read it; root could write everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        readable = Path(folder, "queue.db")
        with start("open") as maker:
            maker.communicate()
        shutil.copy(file, readable)
        readable.chmod(0o444)
        with start("open_unprivileged", url=f"sqlite:///{readable}", stderr=PIPE) as process:
            _, errors = process.communicate()
    assert "ConfigurationError" in errors
    assert "check the permissions" in errors
