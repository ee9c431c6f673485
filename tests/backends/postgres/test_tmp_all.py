import importlib
import pkgutil
from urllib.parse import urlsplit

import pytest

from queuekit.testing import conformance
from queuekit.testing.conformance import LosingProxy
from queuekit.testing.proxy import Proxy

classes = {}
for m in pkgutil.iter_modules(conformance.__path__):
    if m.name.startswith("_"):
        continue
    mod = importlib.import_module(f"{conformance.__name__}.{m.name}")
    for n, c in vars(mod).items():
        if n.endswith("Cases") and isinstance(c, type) and c.__module__ == mod.__name__:
            classes[f"{m.name}.{n}"] = c


class Fix:
    @pytest.fixture
    async def backend(self, make_backend, postgres_url):
        return await make_backend(postgres_url)

    @pytest.fixture
    async def other(self, backend, make_backend, postgres_url):
        return await make_backend(postgres_url)

    @pytest.fixture
    async def lossy(self, backend, make_backend, postgres_url):
        place = urlsplit(postgres_url)
        async with Proxy(place.hostname or "", place.port or 0) as proxy:
            yield LosingProxy(await make_backend(proxy.url_for(postgres_url)), proxy)


for n, c in classes.items():
    globals()["Test_" + n.replace(".", "_")] = type("Test_" + n.replace(".", "_"), (Fix, c), {})
