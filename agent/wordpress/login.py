"""Logging in, and proving it: WordPress answers a wrong application password with 200, as to a stranger."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from agent.errors import AnswerNotUnderstood, LoginRefused, SiteMoved, SiteUnreachable
from agent.settings import is_loopback
from agent.structure.model import Site
from agent.wordpress.address import host_of
from agent.wordpress.answers import Index, error_code
from agent.wordpress.root import RestRoot
from agent.wordpress.statuses import code_in, failure_of
from agent.wordpress.visit import Visit
from agent.wordpress.xmlrpc import Login, Told, XmlRpc, XmlRpcRefused, XmlRpcUnavailable

_NEW_PASSWORD = "Create a new application password for that user in WordPress (Users → Profile), and set it."


class ApplicationPassword(httpx.Auth):
    """Basic authentication bound to one origin; a redirect or a link elsewhere goes without it."""

    def __init__(self, root: RestRoot, login: Login) -> None:
        self._origin = root.origin
        self._header = _basic(login)

    def auth_flow(self, request: httpx.Request) -> Any:
        if (request.url.scheme, request.url.netloc.decode("ascii")) == self._origin:
            request.headers["Authorization"] = self._header
        yield request


class FrontGate(httpx.Auth):
    """The web server's own password, for a site behind one: for the site's host alone, and not in clearer
    text than the configured address allows."""

    def __init__(self, site: Site, login: Login) -> None:
        self._host = host_of(site.url)
        self._schemes = ("https", urlsplit(site.url).scheme)
        self._header = _basic(login)

    def auth_flow(self, request: httpx.Request) -> Any:
        if host_of(str(request.url)) == self._host and request.url.scheme in self._schemes:
            request.headers["Authorization"] = self._header
        yield request


def _basic(login: Login) -> str:
    return "Basic " + b64encode(f"{login.username}:{login.password}".encode()).decode("ascii")


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
        return await _proved(visit, root, login, _endpoint(visit, root, index))
    except LoginRefused as failure:
        visit.warn(f"{failure.message}; the site is read as a stranger sees it. {failure.hint}")
        return LoggedIn("failed", failure, login.username)


def _endpoint(visit: Visit, root: RestRoot, index: Index | None) -> str:
    """Of XML-RPC, always at the root's own origin: the site's word for its address is no place for a login."""
    base = (root.beside(index.url) if index else None) or root.beside(visit.site.url) or visit.site.url
    return f"{base}/xmlrpc.php"


async def _proved(visit: Visit, root: RestRoot, login: Login, endpoint: str) -> LoggedIn:
    xmlrpc = XmlRpc(visit, endpoint=endpoint, login=login)
    told, failure = None, None
    try:
        told = await xmlrpc.introduce()
    except XmlRpcUnavailable as unavailable:
        failure = str(unavailable)
    except XmlRpcRefused as refused:
        # The words are in the site's language; only a plugin that closes XML-RPC names it in them.
        if refused.code == 403 and "xml-rpc" not in str(refused).lower():
            raise _refused(visit, login, "the user name or the application password is wrong", "auth") from None
        failure = str(refused)
    if visit.site.has_front_gate:
        return _proved_behind_gate(visit, login, xmlrpc, told, failure)
    try:
        account, code = await _account(visit, root, ApplicationPassword(root, login))
    except SiteUnreachable as error:
        # Without the other proof the login may be good or bad: the site is read again when it answers.
        if told is None:
            raise
        account, code = None, error.reason
    if account is not None:
        visit.auth = ApplicationPassword(root, login)
        listed = account.get("roles")
        roles = tuple(role for role in listed if isinstance(role, str)) if isinstance(listed, list) else ()
        return LoggedIn("proved", None, login.username, roles, xmlrpc if told else None, told)
    if told is not None:
        visit.warn(f"{_why_by_xmlrpc_only(code)}: the login works by XML-RPC only")
        return LoggedIn("proved_by_xmlrpc", None, login.username, (), xmlrpc, told)
    raise _refused_without_xmlrpc(visit, login, code)


def _why_by_xmlrpc_only(code: str | None) -> str:
    """The header's login took no effect although XML-RPC took the same one: it never arrived, or REST refuses it."""
    if code == "rest_not_logged_in":
        return (
            "the web server strips the Authorization header "
            "(Apache: CGIPassAuth On; nginx: pass HTTP_AUTHORIZATION)"
        )
    return f"the REST API does not take the login ({code or 'no usable answer at users/me'})"


def _proved_behind_gate(
    visit: Visit, login: Login, xmlrpc: XmlRpc, told: Told | None, failure: str | None
) -> LoggedIn:
    """One header cannot carry two logins: the web server has its own in it, and XML-RPC took ours in its body."""
    if told is None:
        raise LoginRefused(
            f"could not log in to {visit.site.name} as {login.username!r}: the web server's own password takes the "
            f"header, and XML-RPC does not work ({failure})",
            reason="auth",
            hint="Allow xmlrpc.php for this machine, or let the web server ask no password for /wp-json/.",
        )
    visit.warn("the web server's own password takes the header: the WordPress login works by XML-RPC only")
    return LoggedIn("proved_by_xmlrpc", None, login.username, (), xmlrpc, told)


async def _account(visit: Visit, root: RestRoot, auth: httpx.Auth) -> tuple[dict[str, Any] | None, str | None]:
    """(the account, None) when the header's login took effect, else (None, the error's code).

    Raises what is wrong at the moment: that says nothing of the login.
    """
    url = root.route("wp/v2/users/me", context="edit", _fields="id,slug,roles")
    try:
        answer = await visit.http.fetch("GET", visit.asked(url), auth=auth)
        failure = failure_of(answer)
        if failure and failure.transient:
            raise failure
        if answer.status != 200:
            return None, code_in(answer)
        value = visit.understand(answer)
    except (AnswerNotUnderstood, SiteMoved) as error:  # a cache or a firewall in the place of WordPress
        return None, error.reason
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
