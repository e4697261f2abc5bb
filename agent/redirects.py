"""Which redirects are followed: reads only, on the same host, never from https to http."""

import httpx

from agent.faults import Faults

_REDIRECTS = (301, 302, 303, 307, 308)


def next_hop(request: httpx.Request, status: int, headers: httpx.Headers, faults: Faults) -> httpx.URL | None:
    """Where to ask again, or None when the answer is final.

    A redirected POST is always final: following it would make it a GET. `example.com` and
    `www.example.com` are the same host here, since most sites live at both.
    Raises the caller's family: another host, a downgrade, or an address that is none.
    """
    if status not in _REDIRECTS or request.method not in ("GET", "HEAD") or "location" not in headers:
        return None
    here = request.url
    try:
        target = here.join(headers["location"])
    except (httpx.InvalidURL, ValueError):
        raise faults.bad_redirect(here) from None
    if target.scheme not in ("http", "https") or not target.host or target.userinfo:
        raise faults.bad_redirect(here)
    if (here.scheme, target.scheme) == ("https", "http"):
        raise faults.downgrade(here)
    if not _same_host(here, target):
        raise faults.foreign_redirect(here, target)
    return target.copy_with(fragment=None)


def _same_host(here: httpx.URL, target: httpx.URL) -> bool:
    upgraded = (here.scheme, target.scheme) == ("http", "https")
    same_name = here.host.removeprefix("www.") == target.host.removeprefix("www.")
    return same_name and (upgraded or here.port == target.port)
