"""One table from every foreign error to ours, spoken for one peer: a site or the backend."""

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from agent.body import BodyRefused
from agent.errors import (
    AgentError,
    AnswerNotUnderstood,
    BackendUnreachable,
    ContractBroken,
    NotificationFailed,
    SiteMoved,
    SiteUnreachable,
)
from agent.net.addresses import AddressRefused


@dataclass(frozen=True, slots=True)
class Faults:
    """Which class of our tree a failed exchange with this peer becomes."""

    peer: str
    """`site`, `backend` or `receiver`: how logs and metrics call it."""
    unreachable: type[AgentError]
    not_understood: type[AgentError]
    moved: type[AgentError]

    def translate(self, error: Exception, url: httpx.URL) -> AgentError | None:
        """Our error for a foreign one; None for what is no fault of the peer but a bug."""
        if isinstance(error, AgentError):
            return error
        where = self.where(url)
        if isinstance(error, AddressRefused):
            return self.moved(
                f"{error}, and is not connected to",
                reason="ip_blocked",
                hint="Check what the name resolves to, and who answers for its DNS.",
            )
        if isinstance(error, BodyRefused):
            return self.not_understood(
                f"{where}: {error}", reason=error.reason, hint="Check what answers at this address."
            )
        for kinds, reason, what, hint in _TABLE:
            if isinstance(error, kinds):
                return self.unreachable(f"{where}: {what}", reason=reason, hint=hint)
        if isinstance(error, httpx.ConnectError):  # no path was asked for yet
            where = authority(url) if self.peer == "site" else where
        if isinstance(error, httpx.ConnectError | httpx.ReadError | httpx.WriteError | httpx.CloseError):
            reason, what, hint = _network_failure(error)
            return self.unreachable(f"{where}: {what}", reason=reason, hint=hint)
        if isinstance(error, httpx.RemoteProtocolError) and self.peer != "site":
            # Of what we sent, an answer that was garbled on its way says no more than one that was lost.
            return self.unreachable(f"{where}: the answer breaks the HTTP protocol", reason="reset", hint=_SLOW_HINT)
        if isinstance(error, _PROTOCOL_ERRORS):
            return self.not_understood(
                f"{where}: the answer breaks the HTTP protocol",
                reason="protocol",
                hint="Check the address and what answers there (a web server, a proxy, another service).",
                exit_code=76,
            )
        return None

    def where(self, url: httpx.URL) -> str:
        """The peer as messages name it; the operator's backend is one, and its paths are ours."""
        return spoken(url) if self.peer == "site" else f"the {self.peer} at {authority(url)}"

    def bad_address(self) -> AgentError:
        return self.not_understood(
            f"the {self.peer} gave an address that cannot be asked",
            reason="bad_address",
            hint="Check the configured address and what answers there.",
        )

    def redirect_loop(self, url: httpx.URL) -> AgentError:
        return self.not_understood(
            f"{spoken(url)}: it redirects again and again",
            reason="redirect_loop",
            hint="Open the address in a browser, and set the one it ends at.",
        )

    def foreign_redirect(self, url: httpx.URL, target: httpx.URL) -> AgentError:
        return self.moved(
            f"{spoken(url)} redirects to another host, {target.host}",
            reason="redirect_foreign",
            hint=f"If that is the same site, set its address to {target.scheme}://{authority(target)}",
        )

    def downgrade(self, url: httpx.URL) -> AgentError:
        return self.moved(
            f"{spoken(url)} redirects from https to plain http",
            reason="downgrade",
            hint="Mend the redirect on the server; https is never left for http.",
        )

    def bad_redirect(self, url: httpx.URL) -> AgentError:
        return self.not_understood(
            f"{spoken(url)} redirects to an address that cannot be followed",
            reason="bad_redirect",
            hint="Open the address in a browser, and set the one it ends at.",
        )


SITE = Faults("site", SiteUnreachable, AnswerNotUnderstood, SiteMoved)
BACKEND = Faults("backend", BackendUnreachable, ContractBroken, ContractBroken)
RECEIVER = Faults("receiver", NotificationFailed, NotificationFailed, NotificationFailed)

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
RAISE_LIMIT = (
    "Raise the limit of open files (LimitNOFILE= of systemd, --ulimit nofile= of a container, ulimit -n), "
    "or lower WPSA_READING_SITES_AT_ONCE."
)

_SLOW_HINT = "Check that the server is up and not overloaded; it is tried again by itself."

_TABLE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str, str], ...] = (
    (TimeoutError, "deadline", "no whole answer within the deadline", _SLOW_HINT),
    (httpx.ConnectTimeout, "connect_timeout", "no connection within the time limit",
     "Check the address, the port and any firewall between here and there."),
    (httpx.TimeoutException, "read_timeout", "no answer within the time limit", _SLOW_HINT),
    (httpx.ProxyError, "proxy", "the proxy refused", "Check the proxy's address."),
)

# Everything else that httpx raises, inside HTTPError and (measured) outside of it.
_PROTOCOL_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)


def _network_failure(error: Exception) -> tuple[str, str, str]:
    """(reason, what happened, hint) from the operating system's or TLS's own words."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return _tls_failure(cause)
            case ssl.SSLError():
                return ("tls_handshake", "TLS could not be agreed on",
                        "Check that this port speaks TLS, and that the server offers TLS 1.2 or newer.")
            case socket.gaierror():
                return ("dns", "the name does not resolve",
                        "Check the spelling of the host name, and the DNS of this machine.")
            case ConnectionRefusedError():
                return "refused", "the connection was refused", "Check the port, and that the server is running."
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return "unroutable", "there is no route to the host", "Check the network of this machine."
            case OSError(errno=errno.EMFILE | errno.ENFILE):
                return "fd_pressure", "this machine may open no more files, so no connection either", RAISE_LIMIT
    return "reset", "the connection broke", _SLOW_HINT


def _tls_failure(error: ssl.SSLCertVerificationError) -> tuple[str, str, str]:
    hint = "Mend the certificate on the server, or give its private CA by the standard SSL_CERT_FILE."
    match error.verify_code:
        case 10:
            return "tls_expired", "the certificate has expired", "Renew the certificate on the server."
        case 62 | 64:
            return "tls_name", "the certificate is for another name", "Use the name that the certificate is for."
        case _:
            return "tls_untrusted", "the certificate is not trusted", hint


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions


def spoken(url: httpx.URL) -> str:
    """A URL as messages show it: host, port and path; no user, no query."""
    return f"{authority(url)}{url.path if url.path != '/' else ''}"


def authority(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}" if url.port else host
