"""Settings that are right one by one and not together, and those that are allowed and yet unwise. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from agent.settings import Settings, SiteSettings, is_loopback


def contradictions(settings: Settings) -> Iterator[str]:
    """What each option allows by itself and all of them together do not."""
    for site in settings.all_sites:
        yield from about_login(site)
    yield from _about_backend(settings)
    yield from _about_notify(settings)
    for what, times in (
        ("name", Counter(site.called for site in settings.all_sites)),
        ("address", Counter(site.url for site in settings.all_sites)),
    ):
        yield from (f"two sites have the {what} {value}" for value, count in times.items() if count > 1)


def about_login(site: SiteSettings) -> Iterator[str]:
    if bool(site.username) != bool(site.application_password):
        yield f"site {site.called}: username and application_password go together"
    if bool(site.http_username) != bool(site.http_password):
        yield f"site {site.called}: http_username and http_password go together"
    if (site.application_password or site.http_password) and _is_exposed(site.url) and not site.allow_insecure_http:
        yield f"site {site.called}: a login over plain http can be read on the way; use https, or set allow_insecure_http"


def _about_backend(settings: Settings) -> Iterator[str]:
    backend = settings.backend
    if bool(backend.email) != bool(backend.password):
        yield "WPSA_BACKEND_EMAIL and WPSA_BACKEND_PASSWORD go together"
    if backend.url is None:
        if settings.state.url:
            yield "WPSA_BACKEND_URL is missing beside WPSA_STATE_URL: machines that share a state push to one backend"
        if backend.api_key or backend.email:
            yield "WPSA_BACKEND_URL is missing beside its credentials"
        return
    if not (backend.api_key or backend.email):
        yield "WPSA_BACKEND_API_KEY (or WPSA_BACKEND_EMAIL and WPSA_BACKEND_PASSWORD) is missing beside WPSA_BACKEND_URL"
    if _is_exposed(backend.url) and not backend.allow_insecure_http:
        yield "WPSA_BACKEND_URL: credentials over plain http can be read on the way; use https, or set allow_insecure_http"
    if len(settings.all_sites) > 1 and (backend.site_id or backend.integration_id):
        yield "WPSA_BACKEND_SITE_ID and WPSA_BACKEND_INTEGRATION_ID are for one site: name them per [[sites]]"
    for site in settings.all_sites:
        if not (site.site_id or site.integration_id or backend.site_id or backend.integration_id):
            yield f"site {site.called}: its site_id at the backend is missing (WPSA_BACKEND_SITE_ID)"


def _about_notify(settings: Settings) -> Iterator[str]:
    notify = settings.notify
    addresses = [("WPSA_NOTIFY_PING_URL", notify.ping_url), ("WPSA_NOTIFY_WEBHOOK_URL", notify.webhook_url)]
    addresses += [(f"site {site.called}: ping_url", site.ping_url) for site in settings.all_sites]
    for name, address in addresses:
        if address and _is_exposed(address.get_secret_value()) and not notify.allow_insecure_http:
            yield f"{name}: its key could be read on the way over plain http; use https, or set allow_insecure_http of [notify]"
    if notify.webhook_secret and not notify.webhook_url:
        yield "WPSA_NOTIFY_WEBHOOK_URL is missing beside its secret"


def _is_exposed(url: str) -> bool:
    return url.startswith("http://") and not is_loopback(url)


@dataclass(frozen=True, slots=True)
class Caution:
    """What somebody has allowed and had better not, and the remedy; names no secret."""

    said: str
    hint: str


def cautions(settings: Settings) -> Iterator[Caution]:
    hint = "Serve it by https, and take allow_insecure_http away."
    for site in settings.all_sites:
        if (site.application_password or site.http_password) and _is_exposed(site.url):
            yield Caution(f"the login of site {site.called} passes the network in clear", hint)
    if settings.backend.url and _is_exposed(settings.backend.url):
        yield Caution("what opens the backend passes the network in clear", hint)
