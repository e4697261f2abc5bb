"""Logging in, and proving it: WordPress answers a wrong application password with 200, as to a stranger."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from agent.errors import LoginRefused
from agent.settings import is_loopback
from agent.wordpress.answers import Index, error_code
from agent.wordpress.root import RestRoot
from agent.wordpress.visit import Visit, code_in
from agent.wordpress.xmlrpc import Login, Told, XmlRpc, XmlRpcRefused, XmlRpcUnavailable

_NEW_PASSWORD = "Create a new application password for that user in WordPress (Users → Profile), and set it."


class ApplicationPassword(httpx.Auth):
    """Basic authentication bound to one origin; a redirect or a link elsewhere goes without it."""

    def __init__(self, root: RestRoot, login: Login) -> None:
        self._origin = root.origin
        self._header = "Basic " + b64encode(f"{login.username}:{login.password}".encode()).decode("ascii")

    def auth_flow(self, request: httpx.Request) -> Any:
        if (request.url.scheme, request.url.netloc.decode("ascii")) == self._origin:
            request.headers["Authorization"] = self._header
        yield request


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What came of the login, and what it opened."""

    state: str
    """`anonymous` without a login; else `proved`, `proved_by_xmlrpc` or `failed`."""
    failure: LoginRefused | None = None
    """Why it failed; the reading goes on as a stranger, and says so."""
    username: str | None = None
    roles: tuple[str, ...] = ()
    xmlrpc: XmlRpc | None = None
    """Usable for exact lists and counts."""
    told: Told | None = None
    xmlrpc_failure: str | None = None

    @property
    def is_administrator(self) -> bool:
        return "administrator" in self.roles or (self.told is not None and self.told.may_manage)


STRANGER = LoggedIn("anonymous")


async def log_in(visit: Visit, root: RestRoot, index: Index | None, login: Login | None) -> LoggedIn:
    """Prove the login, at the cost of one failed attempt at most.

    XML-RPC comes first: its body carries the login past servers that strip the header, and one
    call tells more than REST can. Only then the header is tried, which a wrong password would
    make a second failed attempt.
    """
    if login is None:
        return STRANGER
    try:
        _refuse_where_it_cannot_work(visit, root, index)
        return await _proved(visit, root, login, index.url if index else visit.site.url)
    except LoginRefused as failure:
        visit.warn(f"{failure.message}; the site is read as a stranger sees it. {failure.hint}")
        return LoggedIn("failed", failure, login.username)


async def _proved(visit: Visit, root: RestRoot, login: Login, site_url: str) -> LoggedIn:
    xmlrpc = XmlRpc(visit, endpoint=f"{site_url.rstrip('/')}/xmlrpc.php", login=login)
    told, failure = None, None
    try:
        told = await xmlrpc.introduce()
    except XmlRpcUnavailable as unavailable:
        failure = str(unavailable)
    except XmlRpcRefused as refused:
        if "incorrect" in str(refused).lower() or "passw" in str(refused).lower():
            raise _refused(visit, login, "the user name or the application password is wrong", "auth") from None
        failure = str(refused)
    account, code = await _account(visit, root, ApplicationPassword(root, login))
    if account is not None:
        visit.auth = ApplicationPassword(root, login)
        roles = tuple(role for role in account.get("roles") or () if isinstance(role, str))
        return LoggedIn("proved", None, login.username, roles, xmlrpc if told else None, told, failure)
    if told is not None:
        visit.warn(
            "the web server strips the Authorization header: the login works by XML-RPC only "
            "(Apache: CGIPassAuth On; nginx: pass HTTP_AUTHORIZATION)"
        )
        return LoggedIn("proved_by_xmlrpc", None, login.username, (), xmlrpc, told)
    raise _refused_without_xmlrpc(visit, login, code)


async def _account(visit: Visit, root: RestRoot, auth: httpx.Auth) -> tuple[dict[str, Any] | None, str | None]:
    """(the account, None) when the header's login took effect, else (None, the error's code)."""
    url = root.route("wp/v2/users/me", context="edit", _fields="id,slug,roles")
    answer = await visit.http.fetch("GET", url, auth=auth)
    if answer.status != 200:
        return None, code_in(answer)
    value = visit.understand(answer)
    return (value, None) if isinstance(value, dict) and "id" in value else (None, error_code(value))


def _refuse_where_it_cannot_work(visit: Visit, root: RestRoot, index: Index | None) -> None:
    """Before any credential is sent: not in clear text to another machine, not where it is switched off."""
    where = urlsplit(root.url)
    if where.scheme == "http" and not is_loopback(root.url) and not visit.site.login_over_http:
        raise LoginRefused(
            f"{visit.site.name}: the REST API is at plain http, where the login could be read on the way",
            reason="insecure",
            hint="Serve the site by https, or allow it for this site by allow_insecure_http.",
            exit_code=78,
        )
    if index is not None and not index.application_passwords:
        because = "it is reached by plain http" if where.scheme == "http" else "a plugin or the server switched them off"
        raise LoginRefused(
            f"{visit.site.name}: WordPress offers no application passwords here ({because})",
            reason="app_passwords_unavailable",
            hint="Serve the site by https and let its proxy say so (X-Forwarded-Proto), or allow them in the security "
            "plugin (Wordfence switches them off by default).",
        )


def _refused(visit: Visit, login: Login, because: str, reason: str) -> LoginRefused:
    return LoginRefused(
        f"could not log in to {visit.site.name} as {login.username!r}: {because}", reason=reason, hint=_NEW_PASSWORD
    )


def _refused_without_xmlrpc(visit: Visit, login: Login, code: str | None) -> LoginRefused:
    match code:
        case "incorrect_password" | "invalid_username" | "invalid_email" | "application_passwords_disabled_for_user":
            return _refused(visit, login, f"WordPress says {code}", "auth")
        case "application_passwords_disabled":
            return _refused(visit, login, "application passwords are switched off", "app_passwords_unavailable")
        case _:
            return LoginRefused(
                f"could not log in to {visit.site.name} as {login.username!r}: WordPress answered as to a stranger"
                + (f" ({code})" if code else ""),
                reason="auth",
                hint=f"Either the password is wrong, or the web server strips the Authorization header. {_NEW_PASSWORD}",
            )
