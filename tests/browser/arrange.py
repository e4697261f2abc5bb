"""What a browser test finds in the hub when it begins; runs inside the hub's process, returns JSON."""

import itertools
import secrets
from datetime import timedelta
from typing import Any

_numbers = itertools.count(1)


def an_owner(email: str = "") -> dict[str, Any]:
    """Somebody who may sign in, signed in already too: as a cookie."""
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from agent.hub.integrations.models import User

    email, password = email or f"owner{next(_numbers)}@example.com", secrets.token_urlsafe(12)
    user = User.objects.create_user(email, password)
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key}
    return {"email": email, "password": password, "cookie": cookie}


def a_site(owner: str, name: str = "Shop", url: str = "https://shop.example") -> dict[str, Any]:
    """A connected site and a key for its agent."""
    from agent.hub.integrations.models import ApiKey, Site, User

    user = User.objects.get(email=owner)
    site = Site.connect(user, name=name, url=url)
    key = ApiKey.issue(user, label=f"agent of {name}"[:100], site=site)
    return {"site": site.pk, "integration": site.integrations.get().pk, "api_key": key}


def many_sites(owner: str, number: int) -> None:
    """So many sites, every tenth never fetched, every seventh stale, every thirteenth failing."""
    from django.utils import timezone

    from agent.hub.integrations.models import Site, SiteIntegration, User

    user, now = User.objects.get(email=owner), timezone.now()
    names = [f"site {index:05d}" for index in range(number)]
    sites = Site.objects.bulk_create(
        [Site(owner=user, name=name, sort_name=name, url=f"https://{name[5:]}.example") for name in names], 1_000
    )
    rows = []
    for index, site in enumerate(sites):
        fetched = None if index % 10 == 3 else now - timedelta(minutes=7 + index % 900, days=4 if index % 7 == 2 else 0)
        rows.append(
            SiteIntegration(
                site=site,
                owner=user,
                last_structure_fetch=fetched,
                failing_since=now if index % 13 == 5 else None,
                wordpress_version="7.1.4" if fetched else "",
                post_types=7 if fetched else 0,
                posts=index * 37 % 5_000 if fetched else 0,
            )
        )
    SiteIntegration.objects.bulk_create(rows, 1_000)


def a_push(integration: int, document: dict[str, Any], ago_minutes: float = 0) -> None:
    """A structure as it came so long ago."""
    from django.utils import timezone

    from agent.hub.integrations.intake import Push, take_in
    from agent.hub.integrations.models import SiteIntegration

    push = Push(document=document, body_sha256=secrets.token_hex(32), idempotency_key=None, generation=None)
    take_in(
        SiteIntegration.objects.all(), integration, push, received_at=timezone.now() - timedelta(minutes=ago_minutes)
    )


def contents(integration: int, type_slug: str, number: int, family: str = "post_type") -> None:
    """So many items that the hub holds."""
    from agent.hub.integrations.contents import record_contents
    from agent.hub.integrations.models import SiteIntegration

    row = SiteIntegration.objects.get(pk=integration)
    record_contents(row, family=family, type_slug=type_slug, external_ids=range(number))


def a_run(
    integration: int, result: str, message: str = "", hint: str = "", reason: str = "", ago_minutes: float = 0
) -> None:
    """A run that the agent reported."""
    from django.utils import timezone

    from agent.hub.integrations.models import SiteIntegration
    from agent.hub.integrations.syncing import record_run

    finished = timezone.now() - timedelta(minutes=ago_minutes)
    report = {"started_at": finished - timedelta(seconds=2), "finished_at": finished, "result": result}
    record_run(
        SiteIntegration.objects.get(pk=integration), {**report, "reason": reason, "message": message, "hint": hint}
    )


def a_report(integration: int, state: str, message: str = "", hint: str = "") -> None:
    """What an agent says about the sync that was asked for."""
    from agent.hub.integrations.models import SiteIntegration
    from agent.hub.integrations.syncing import newest_request, report_sync

    row = SiteIntegration.objects.get(pk=integration)
    request = newest_request(row)
    assert request is not None
    report_sync(row, request.id, state=state, message=message, hint=hint)


def requests_of(integration: int) -> int:
    """How often a sync was asked for."""
    from agent.hub.integrations.models import SyncRequest

    return SyncRequest.objects.filter(integration_id=integration).count()


def everything() -> dict[str, int]:
    """How many rows each table of ours has: what a forged form must leave as it is."""
    from django.apps import apps

    return {model.__name__: model.objects.count() for model in apps.get_app_config("integrations").get_models()}


def sites_called(owner: str, names: list[str]) -> None:
    """A site and a key of each name, with an address that holds it too."""
    from agent.hub.integrations.models import ApiKey, Site, SiteIntegration, User

    user = User.objects.get(email=owner)
    sites = Site.objects.bulk_create(
        Site(owner=user, name=name[:200], sort_name=name.casefold(), url=f"https://x.example/{name}") for name in names
    )
    SiteIntegration.objects.bulk_create(
        SiteIntegration(site=site, owner=user, wordpress_version=site.name[:64]) for site in sites
    )
    ApiKey.objects.bulk_create(
        ApiKey(owner=user, site=site, label=site.name[:100], prefix=f"wpsa_{secrets.token_hex(4)}", sha256="0" * 64)
        for site in sites
    )


def a_failed_sync(integration: int, message: str, hint: str) -> None:
    from agent.hub.integrations.models import SiteIntegration
    from agent.hub.integrations.syncing import ask_for_sync

    ask_for_sync(SiteIntegration.objects.get(pk=integration))
    a_report(integration, "failed", message, hint)


def key_of(api_key: str) -> int:
    """The row of a key."""
    from agent.hub.integrations.models import ApiKey

    found = ApiKey.find(api_key)
    assert found is not None
    return found.pk
