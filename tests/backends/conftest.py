"""What the tests of several backends share."""

from pathlib import Path

import pytest
import trustme


@pytest.fixture
def authority() -> trustme.CA:
    """Who signs the certificates of servers."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> Path:
    """The file that makes a client trust it."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file
