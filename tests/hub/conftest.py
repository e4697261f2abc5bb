"""One hub for all tests of this folder: Django can be set up once a process. Tenants keep tests apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_tenant

from agent.hub import embedded


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Embedded]:
    directory = tmp_path_factory.mktemp("hub") / "state"
    prepared = embedded.prepare(directory, sites={"first": "https://first.example"}, listen="127.0.0.1:8765")
    # A test's own password hashing is not under test; Argon2 takes 50 ms each time.
    from django.test.utils import override_settings

    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield prepared
    from django.db import connections

    connections.close_all()


@pytest.fixture
def hub_directory(hub: embedded.Embedded) -> Path:
    from django.conf import settings

    return Path(settings.DATABASES["default"]["NAME"]).parent


@pytest.fixture
def browser(hub: embedded.Embedded) -> Browser:
    return Browser(hub.application)


@pytest.fixture
def tenant(hub: embedded.Embedded) -> Tenant:
    return a_tenant()


@pytest.fixture
def closed_pages(hub: embedded.Embedded) -> Iterator[None]:
    from django.test.utils import override_settings

    with override_settings(WPSA_HUB_OPEN_PAGES=False):
        yield
