"""Every foreign error becomes one of ours."""

import errno
import socket
import ssl
from inspect import isclass
from ipaddress import ip_address

import httpx
import pytest

from agent.body import BodyRefused
from agent.errors import AnswerNotUnderstood, BackendUnreachable, ContractBroken, SiteError, SiteMoved, SiteUnreachable
from agent.faults import BACKEND, SITE, authority, spoken
from agent.net.addresses import AddressRefused

URL = httpx.URL("https://user:pw@shop.example/wp-json/?key=s3cret")


def _httpx_exceptions() -> list[type[Exception]]:
    return [kind for kind in vars(httpx).values() if isclass(kind) and issubclass(kind, Exception)]


def _an(kind: type[Exception]) -> Exception:
    for arguments in ({}, {"message": "m"}, {"message": "m", "request": None, "response": None}):
        try:
            return kind(**arguments)
        except TypeError:
            continue
    error = kind.__new__(kind)
    error.args = ("m",)
    return error


@pytest.mark.parametrize("kind", _httpx_exceptions(), ids=lambda kind: kind.__name__)
def test_whatever_httpx_raises_is_mapped(kind: type[Exception]) -> None:
    assert isinstance(SITE.translate(_an(kind), URL), SiteError)


def test_httpx_has_not_lost_its_exceptions() -> None:
    assert len(_httpx_exceptions()) >= 25


def test_a_bug_of_ours_is_no_fault_of_the_peer() -> None:
    assert SITE.translate(KeyError("x"), URL) is None


def test_our_own_errors_pass_as_they_are() -> None:
    ours = SITE.bad_address()

    assert BACKEND.translate(ours, URL) is ours


def connect_error(cause: Exception) -> httpx.ConnectError:
    error = httpx.ConnectError("failed")
    error.__cause__ = ExceptionGroup("all attempts", [cause])
    return error


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (connect_error(socket.gaierror(-2, "Name or service not known")), "dns"),
        (connect_error(ConnectionRefusedError(errno.ECONNREFUSED, "refused")), "refused"),
        (connect_error(OSError(errno.ENETUNREACH, "unreachable")), "unroutable"),
        (connect_error(OSError(errno.EHOSTUNREACH, "no route")), "unroutable"),
        (connect_error(OSError(errno.EMFILE, "too many open files")), "fd_pressure"),
        (connect_error(OSError(errno.ENFILE, "too many open files in system")), "fd_pressure"),
        (connect_error(ConnectionResetError(errno.ECONNRESET, "reset")), "reset"),
        (connect_error(ssl.SSLError(1, "wrong version number")), "tls_handshake"),
        (connect_error(verification(10)), "tls_expired"),
        (connect_error(verification(62)), "tls_name"),
        (connect_error(verification(18)), "tls_untrusted"),
        (httpx.ReadError("x"), "reset"),
        (httpx.WriteError("x"), "reset"),
        (httpx.ConnectTimeout("x"), "connect_timeout"),
        (httpx.ReadTimeout("x"), "read_timeout"),
        (httpx.PoolTimeout("x"), "read_timeout"),
        (httpx.ProxyError("x"), "proxy"),
        (TimeoutError(), "deadline"),
    ],
)
def test_a_lost_connection_says_why_and_may_pass(error: Exception, reason: str) -> None:
    for faults, kind in ((SITE, SiteUnreachable), (BACKEND, BackendUnreachable)):
        ours = faults.translate(error, URL)

        assert type(ours) is kind
        assert ours.reason == reason
        assert ours.transient


@pytest.mark.parametrize("error", [httpx.InvalidURL("x"), httpx.CookieConflict("x"), httpx.LocalProtocolError("x")])
def test_what_breaks_the_protocol_stays_broken(error: Exception) -> None:
    for faults, kind in ((SITE, AnswerNotUnderstood), (BACKEND, ContractBroken)):
        ours = faults.translate(error, URL)

        assert type(ours) is kind
        assert (ours.reason, ours.exit_code, ours.transient) == ("protocol", 76, False)


def test_a_garbled_answer_is_the_sites_own_fault_but_of_a_backend_as_good_as_lost() -> None:
    error = httpx.RemoteProtocolError("illegal status line")

    of_site, of_backend = SITE.translate(error, URL), BACKEND.translate(error, URL)
    assert of_site and of_backend
    assert (type(of_site), of_site.reason, of_site.exit_code) == (AnswerNotUnderstood, "protocol", 76)
    assert (type(of_backend), of_backend.reason, of_backend.transient) == (BackendUnreachable, "reset", True)


def test_an_address_that_nobody_lives_at_names_the_name_the_address_and_its_kind() -> None:
    ours = SITE.translate(AddressRefused("shop.example", ip_address("169.254.169.254"), "a link-local address"), URL)

    assert type(ours) is SiteMoved
    assert (ours.reason, ours.exit_code) == ("ip_blocked", 78)
    assert str(ours) == "shop.example leads to 169.254.169.254, a link-local address, and is not connected to"


def test_a_refused_body_keeps_its_reason() -> None:
    ours = SITE.translate(BodyRefused("the answer is larger than 5 bytes", "too_large"), URL)

    assert ours is not None
    assert (ours.reason, ours.transient) == ("too_large", False)


def test_a_message_shows_host_and_path_without_user_and_query() -> None:
    ours = SITE.translate(httpx.ReadTimeout("x"), URL)

    assert str(ours).startswith("shop.example/wp-json/: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.example/", "shop.example"),
        ("https://shop.example:8443/x?y", "shop.example:8443/x"),
        ("http://[::1]:80/", "[::1]"),
        ("http://[::1]:8080/a", "[::1]:8080/a"),
    ],
)
def test_addresses_are_spoken_short(url: str, shown: str) -> None:
    assert spoken(httpx.URL(url)) == shown
    assert shown.startswith(authority(httpx.URL(url)))


def test_causes_that_go_round_in_circles_end() -> None:
    first, second = httpx.ConnectError("a"), OSError("b")
    first.__cause__, second.__context__ = second, first

    ours = SITE.translate(first, URL)

    assert ours is not None
    assert ours.reason == "reset"
