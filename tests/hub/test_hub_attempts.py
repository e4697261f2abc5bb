"""Guessing passwords is slowed down, by the API and by the form alike."""

from typing import Any

import pytest
from hub_browser import Browser, sign_in
from hub_builders import Tenant

from agent.backend.contract import LOGIN_PATH


def login(browser: Browser, tenant: Tenant, **changes: Any) -> Any:
    address = changes.pop("address", f"10.0.0.{tenant.user.pk % 250}")
    credentials = {"email": tenant.email, "password": tenant.password, **changes}
    return browser.post(LOGIN_PATH, json=credentials, address=address)


def test_guessing_is_slowed_down_per_address_and_account(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.attempts import ATTEMPTS_PER_ACCOUNT

    guesses = [login(browser, tenant, password="no", address="192.0.2.1") for _ in range(ATTEMPTS_PER_ACCOUNT + 1)]

    assert [guess.status_code for guess in guesses] == [401] * ATTEMPTS_PER_ACCOUNT + [429]
    assert 0 < int(guesses[-1].headers["retry-after"]) <= 300
    assert login(browser, tenant, address="192.0.2.1").status_code == 429
    assert login(browser, tenant, address="192.0.2.2").status_code == 200


def test_guessing_many_accounts_from_one_address_is_slowed_down(
    browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.hub.integrations import attempts

    monkeypatch.setattr(attempts, "ATTEMPTS_PER_ADDRESS", 3)
    guesses = [login(browser, tenant, email=f"x{n}@example.com", address="192.0.2.9") for n in range(4)]

    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]


def test_the_form_and_the_api_share_their_attempts(
    browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.hub.integrations import attempts

    monkeypatch.setattr(attempts, "ATTEMPTS_PER_ACCOUNT", 0)
    answer = sign_in(browser, tenant)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_attempts_are_forgotten_after_their_window(
    browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone

    from agent.hub.integrations import attempts
    from agent.hub.integrations.models import AttemptBucket

    monkeypatch.setattr(attempts, "ATTEMPTS_PER_ACCOUNT", 1)
    assert login(browser, tenant, password="no", address="192.0.2.3").status_code == 401
    assert login(browser, tenant, address="192.0.2.3").status_code == 429
    AttemptBucket.objects.update(ends_at=timezone.now())

    assert login(browser, tenant, address="192.0.2.3").status_code == 200
