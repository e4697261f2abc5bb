"""Who we are to the backend."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import respx
from backend_builders import BASE, LIST, OURS, a_client, backend_transport, push_url
from builders import a_delivery
from fakes import ManualClock

from agent.backend.contract import Paths
from agent.backend.logins import account_of
from agent.backend.session import ApiKey, Bearer, Login, is_expiry
from agent.errors import BackendError, BackendThrottled, BackendUnreachable, ContractBroken, CredentialsRefused
from agent.redact import Redactor
from agent.state.ledger import Ledger
from agent.transport import Answer, Limits, Transport

pytestmark = pytest.mark.anyio

LOGIN, REFRESH = f"{BASE}/api/v1/auth/login/", f"{BASE}/api/v1/auth/refresh/"


@pytest.fixture
def login(redactor: Redactor, clock: ManualClock) -> Login:
    return Login(BASE, email="bot@shop.example", password="pä\"ss", paths=Paths(), learned=redactor.add, clock=clock.clock)


class Far:
    """A backend whose tokens can be made to expire."""

    def __init__(self, routes: respx.MockRouter, *, expired: dict[str, Any] | int = 401) -> None:
        self.valid: str | None = None
        self.expired = expired
        self.refreshes: set[str] = set()
        self.made = 0
        routes.post(LOGIN).mock(side_effect=self.log_in)
        routes.post(REFRESH).mock(side_effect=self.refresh)
        routes.get(url__startswith=LIST).mock(side_effect=self.listed)
        self.routes = routes

    def _tokens(self) -> dict[str, str]:
        self.made += 1
        self.valid = f"access-{self.made}"
        self.refreshes = {f"refresh-{self.made}"}
        return {"access": self.valid, "refresh": f"refresh-{self.made}"}

    def log_in(self, request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content) == {"email": "bot@shop.example", "password": "pä\"ss"}
        return httpx.Response(200, json=self._tokens())

    def refresh(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["refresh"] not in self.refreshes:
            return httpx.Response(401, json={"code": "token_not_valid"})
        return httpx.Response(200, json=self._tokens())

    def listed(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == f"Bearer {self.valid}":
            return httpx.Response(200, json=[OURS])
        if isinstance(self.expired, int):
            return httpx.Response(self.expired)
        return httpx.Response(403, json=self.expired)

    def count(self, url: str) -> int:
        return sum(str(call.request.url) == url for call in self.routes.calls)


async def ask(http: Transport, login: Login) -> str:
    return await a_client(http, session=login).integration_of("shop")


async def test_logging_in_happens_once(http: Transport, routes: respx.MockRouter, login: Login) -> None:
    far = Far(routes)

    assert [await ask(http, login) for _ in range(3)] == ["42"] * 3
    assert (far.count(LOGIN), far.count(REFRESH)) == (1, 0)


@pytest.mark.parametrize(
    "expired",
    [
        401,
        {"code": "token_not_valid", "detail": "Given token not valid"},
        {"code": "not_authenticated"},
        {"detail": "Authentication credentials were not provided."},
    ],
)
async def test_an_expired_token_is_refreshed_and_the_request_repeated(
    http: Transport, routes: respx.MockRouter, login: Login, expired: Any
) -> None:
    far = Far(routes, expired=expired)
    await ask(http, login)
    far.valid = "another"

    assert await ask(http, login) == "42"
    assert (far.count(LOGIN), far.count(REFRESH)) == (1, 1)


async def test_fifty_expired_requests_refresh_once(
    clock: ManualClock, routes: respx.MockRouter, login: Login
) -> None:
    far, everybody = Far(routes), asyncio.Barrier(50)
    async with backend_transport(clock, limits=Limits(connections=50)) as http:
        await ask(http, login)
        far.valid = "another"

        async def all_expired(request: httpx.Request) -> httpx.Response:
            said = far.listed(request)
            if said.status_code == 401:
                await everybody.wait()
            return said

        routes.get(url__startswith=LIST).mock(side_effect=all_expired)
        found = await asyncio.gather(*(ask(http, login) for _ in range(50)))

    assert found == ["42"] * 50
    assert (far.count(LOGIN), far.count(REFRESH)) == (1, 1)


async def test_fifty_first_requests_log_in_once(http: Transport, routes: respx.MockRouter, login: Login) -> None:
    far = Far(routes)

    await asyncio.gather(*(ask(http, login) for _ in range(50)))

    assert far.count(LOGIN) == 1


async def test_a_rotated_refresh_token_is_the_next_one_used(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    far = Far(routes)
    await ask(http, login)
    for _ in range(3):
        far.valid = "another"
        await ask(http, login)

    assert (far.count(LOGIN), far.count(REFRESH)) == (1, 3)


async def test_a_refused_refresh_is_answered_by_a_login(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    far = Far(routes)
    await ask(http, login)
    far.valid, far.refreshes = "another", set()

    assert await ask(http, login) == "42"
    assert (far.count(LOGIN), far.count(REFRESH)) == (2, 1)


async def test_a_refresh_without_rotation_keeps_the_old_refresh_token(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    far = Far(routes)
    await ask(http, login)
    routes.post(REFRESH).mock(side_effect=[httpx.Response(200, json={"access": f"a{n}"}) for n in (1, 2)])
    for n in (1, 2):
        far.valid = f"a{n}"
        await ask(http, login)

    sent = [json.loads(call.request.content) for call in routes.calls if str(call.request.url) == REFRESH]
    assert sent == [{"refresh": "refresh-1"}] * 2


async def test_a_genuine_403_costs_no_login(http: Transport, routes: respx.MockRouter, login: Login) -> None:
    far = Far(routes, expired={"detail": "You do not have permission to perform this action."})
    await ask(http, login)
    far.valid = "another"

    with pytest.raises(CredentialsRefused):
        await ask(http, login)

    assert (far.count(LOGIN), far.count(REFRESH)) == (1, 0)


async def test_a_new_token_that_is_refused_too_ends_the_matter(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    far = Far(routes)
    routes.get(url__startswith=LIST).respond(401)

    with pytest.raises(CredentialsRefused) as failed:
        await ask(http, login)

    assert "WPSA_BACKEND_PASSWORD" in failed.value.hint
    assert (far.count(LOGIN), far.count(REFRESH)) == (1, 1)


async def test_an_api_key_that_is_refused_stays_refused(http: Transport, routes: respx.MockRouter) -> None:
    routes.get(url__startswith=LIST).respond(401)

    with pytest.raises(CredentialsRefused) as failed:
        await a_client(http).integration_of("shop")

    assert len(routes.calls) == 2
    assert "WPSA_BACKEND_API_KEY" in failed.value.hint


async def test_a_glitch_is_no_revocation(http: Transport, routes: respx.MockRouter) -> None:
    routes.get(url__startswith=LIST).mock(side_effect=[httpx.Response(401), httpx.Response(200, json=[OURS])])

    assert await a_client(http).integration_of("shop") == "42"


async def test_a_key_that_was_replaced_in_its_file_is_read_anew_before_the_old_one_is_called_wrong(
    http: Transport, routes: respx.MockRouter
) -> None:
    kept = ["first"]
    routes.get(url__startswith=LIST).mock(
        side_effect=lambda request: httpx.Response(200, json=[OURS])
        if request.headers["authorization"] == "Bearer second"
        else httpx.Response(401)
    )
    session = ApiKey("first", reread=lambda: kept[-1])
    with pytest.raises(CredentialsRefused):
        await a_client(http, session=session).integration_of("shop")

    kept.append("second")

    assert await a_client(http, session=session).integration_of("shop") == "42"
    assert await session.token(http) == "second"


async def test_a_password_that_was_replaced_is_read_anew_even_while_the_refusal_stands(
    http: Transport, routes: respx.MockRouter, redactor: Redactor, clock: ManualClock
) -> None:
    kept = ["wrong"]
    login = Login(
        BASE, email="bot@shop.example", password="wrong", paths=Paths(), learned=redactor.add, clock=clock.clock,
        reread=lambda: kept[-1],
    )  # fmt: skip
    far = Far(routes)
    routes.post(LOGIN).mock(
        side_effect=lambda request: far.log_in(request) if b"wrong" not in request.content else httpx.Response(401)
    )
    with pytest.raises(CredentialsRefused):
        await ask(http, login)

    kept.append("pä\"ss")

    assert await ask(http, login) == "42"
    assert far.count(LOGIN) == 2


async def test_four_logins_an_hour_have_to_do(
    http: Transport, routes: respx.MockRouter, login: Login, clock: ManualClock
) -> None:
    """Its tokens die at once, and so does every refresh token."""
    far = Far(routes)

    async def use_up() -> None:
        far.valid, far.refreshes = "another", set()
        await ask(http, login)

    await ask(http, login)
    for _ in range(3):
        await use_up()
    with pytest.raises(BackendThrottled) as limited:
        await use_up()

    assert (far.count(LOGIN), limited.value.reason) == (4, "be_login_limited")
    clock.advance(minutes=61)
    await use_up()
    assert far.count(LOGIN) == 5


async def test_refused_logins_count_among_the_four_of_an_hour(
    http: Transport, routes: respx.MockRouter, login: Login, clock: ManualClock
) -> None:
    far = Far(routes)
    route = routes.post(LOGIN).respond(401)
    for _ in range(2):
        with pytest.raises(CredentialsRefused):
            await ask(http, login)
        clock.advance(minutes=16)
    route.mock(side_effect=far.log_in)

    for _ in range(2):
        await ask(http, login)
        far.valid, far.refreshes = "another", set()
    with pytest.raises(BackendThrottled) as limited:
        await ask(http, login)

    assert far.count(LOGIN) == 4
    assert limited.value.retry_after_seconds == (60 - 32) * 60


async def test_a_password_that_somebody_has_just_changed_does_not_wait_for_the_hour(
    http: Transport, routes: respx.MockRouter, redactor: Redactor, clock: ManualClock
) -> None:
    kept = ["wrong"]
    login = Login(
        BASE, email="bot@shop.example", password="wrong", paths=Paths(), learned=redactor.add, clock=clock.clock,
        reread=lambda: kept[-1],
    )  # fmt: skip
    far = Far(routes)
    route = routes.post(LOGIN).respond(401)
    for minutes in (15, 15, 15, 10):
        with pytest.raises(CredentialsRefused):
            await ask(http, login)
        clock.advance(minutes=minutes)

    kept.append("pä\"ss")
    route.mock(side_effect=far.log_in)

    assert await ask(http, login) == "42"


async def test_a_program_that_is_started_again_and_again_locks_no_account(
    http: Transport, routes: respx.MockRouter, ledger: Ledger, clock: ManualClock
) -> None:
    """A timer every few minutes, a container in a loop of restarts, the workers of a fleet: one account."""
    far = Far(routes)
    routes.post(LOGIN).respond(401)

    def started(password: str = "typing error") -> Login:
        return Login(
            BASE, email="bot@shop.example", password=password, paths=Paths(), learned=lambda _: None,
            clock=clock.clock, refusals=ledger,
        )  # fmt: skip

    said = []
    for _ in range(9):
        with pytest.raises(CredentialsRefused) as failed:
            await ask(http, started())
        said.append(failed.value.message)
        clock.advance(minutes=2)

    assert far.count(LOGIN) == 4
    assert said[-1] == "the backend has refused this login 4 times within an hour, and is not asked again before 11:00 UTC"
    with pytest.raises(CredentialsRefused):
        await ask(http, started("another one"))
    assert far.count(LOGIN) == 5, "whoever corrects the password sees at once whether it is right now"
    clock.advance(hours=1)
    with pytest.raises(CredentialsRefused):
        await ask(http, started())
    assert far.count(LOGIN) == 6


async def test_a_password_that_is_corrected_in_its_file_is_tried_at_once_even_when_others_were_refused(
    http: Transport, routes: respx.MockRouter, ledger: Ledger, clock: ManualClock
) -> None:
    far, account = Far(routes), account_of(BASE, "bot@shop.example", "typing error")
    for _ in range(4):
        ledger.record_refused_login(account, at=clock.at)
    kept = ["typing error"]
    login = Login(
        BASE, email="bot@shop.example", password=kept[0], paths=Paths(), learned=lambda _: None, clock=clock.clock,
        refusals=ledger, reread=lambda: kept[-1],
    )  # fmt: skip
    with pytest.raises(CredentialsRefused, match="4 times"):
        await ask(http, login)

    kept.append("pä\"ss")

    assert await ask(http, login) == "42"
    assert far.count(LOGIN) == 1


def test_the_name_of_a_login_gives_no_password_away() -> None:
    names = {account_of(BASE, "bot@shop.example", password) for password in ("right", "wrong")}

    assert len(names) == 2
    assert len({name[:-4] for name in names}) == 1
    assert all(len(name) == 21 for name in names)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, CredentialsRefused, 77),
        (401, CredentialsRefused, 77),
        (403, CredentialsRefused, 77),
        (404, ContractBroken, 78),
        (301, ContractBroken, 78),
        (204, ContractBroken, 78),
        (429, BackendThrottled, 75),
        (500, BackendUnreachable, 75),
        (503, BackendUnreachable, 75),
    ],
)
async def test_a_login_that_fails_says_how(
    http: Transport, routes: respx.MockRouter, login: Login, status: int, kind: type[BackendError], code: int
) -> None:
    routes.post(LOGIN).respond(status)

    with pytest.raises(kind) as failed:
        await ask(http, login)

    assert type(failed.value) is kind
    assert failed.value.exit_code == code


async def test_a_refused_login_is_told_in_the_backends_own_words(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    routes.post(LOGIN).respond(403, json={"detail": "This account is locked for an hour."})

    with pytest.raises(CredentialsRefused, match=r"HTTP 403: This account is locked for an hour\."):
        await ask(http, login)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_password_is_not_tried_again_for_every_site(
    http: Transport, routes: respx.MockRouter, login: Login, clock: ManualClock, status: int
) -> None:
    """Fifty sites of one account would lock it: one try counts for all of them, for a quarter of an hour."""
    far = Far(routes)
    routes.post(LOGIN).respond(status)

    results = await asyncio.gather(*(ask(http, login) for _ in range(50)), return_exceptions=True)

    assert all(isinstance(result, CredentialsRefused) for result in results)
    assert far.count(LOGIN) == 1
    clock.advance(minutes=16)
    with pytest.raises(CredentialsRefused):
        await ask(http, login)
    assert far.count(LOGIN) == 2


async def test_a_limit_on_logins_is_kept_for_all_sites(
    http: Transport, routes: respx.MockRouter, login: Login, clock: ManualClock
) -> None:
    far = Far(routes)
    limited = routes.post(LOGIN).respond(429, headers={"Retry-After": "120"})

    results = await asyncio.gather(*(ask(http, login) for _ in range(20)), return_exceptions=True)

    assert all(isinstance(result, BackendThrottled) for result in results)
    assert all(result.retry_after_seconds == 120 for result in results if isinstance(result, BackendThrottled))
    assert far.count(LOGIN) == 1
    clock.advance(seconds=121)
    limited.mock(side_effect=far.log_in)
    assert await ask(http, login) == "42"


async def test_a_broken_backend_is_asked_again_at_once(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    far = Far(routes)
    answers = iter([500, 500, 500])
    routes.post(LOGIN).mock(
        side_effect=lambda request: httpx.Response(s) if (s := next(answers, None)) else far.log_in(request)
    )

    with pytest.raises(BackendUnreachable):
        await ask(http, login)

    assert await ask(http, login) == "42"


@pytest.mark.parametrize(
    "body",
    [{"access": "a"}, {"access": "a", "refresh": "r"}, {"success": True, "data": {"access": "a", "refresh": "r"}}],
)
async def test_tokens_are_found_bare_or_in_an_envelope(
    http: Transport, routes: respx.MockRouter, login: Login, body: Any
) -> None:
    routes.post(LOGIN).respond(200, json=body)

    assert await login.token(http) == "a"


async def test_a_web_page_in_the_place_of_the_login_is_a_wrong_address(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    routes.post(LOGIN).respond(200, content=b"<!doctype html><title>Our web app</title>")

    with pytest.raises(ContractBroken, match="POST /api/v1/auth/login/") as failed:
        await login.token(http)

    assert failed.value.exit_code == 78
    assert "WPSA_BACKEND_URL" in failed.value.hint


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"token": "x"}', b'{"access": ""}', b'{"access": 5}', b'{"data": {}}',
     b'{"access": "two\\nlines"}', '{"access": "tökén"}'.encode(), b'{"access": "a b"}'],
)  # fmt: skip
async def test_a_login_without_a_usable_token_breaks_the_contract(
    http: Transport, routes: respx.MockRouter, login: Login, body: bytes
) -> None:
    routes.post(LOGIN).respond(200, content=body)

    with pytest.raises(ContractBroken):
        await login.token(http)


async def test_learned_tokens_are_hidden_from_then_on(
    http: Transport, routes: respx.MockRouter, login: Login, redactor: Redactor
) -> None:
    Far(routes)
    await ask(http, login)

    assert redactor.hide("x access-1 y refresh-1 z") == "x *** y *** z"


async def test_a_push_with_an_expired_token_repeats_its_bytes_and_key(
    http: Transport, routes: respx.MockRouter, login: Login
) -> None:
    far = Far(routes)
    pushed = routes.post(push_url())
    pushed.mock(side_effect=[httpx.Response(401), httpx.Response(200, json={"success": True})])

    await a_client(http, session=login).push(a_delivery())

    first, second = (call.request for call in pushed.calls)
    assert first.content == second.content
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert (first.headers["authorization"], second.headers["authorization"]) == ("Bearer access-1", "Bearer access-2")
    assert far.count(REFRESH) == 1


def answer(status: int, body: bytes = b"") -> Answer:
    return Answer("GET", BASE, status, httpx.Headers(), body)


@pytest.mark.parametrize(
    ("status", "body", "expired"),
    [
        (401, b"", True),
        (401, b"whatever", True),
        (403, b'{"code":"token_not_valid"}', True),
        (403, b'{"detail":"You do not have permission"}', False),
        (403, b"", False),
        (400, b"token_not_valid", False),
        (200, b"token_not_valid", False),
    ],
)
async def test_which_answers_mean_an_expired_token(status: int, body: bytes, expired: bool) -> None:
    assert is_expiry(answer(status, body)) is expired


@pytest.mark.parametrize(
    ("url", "goes_along"),
    [
        ("https://backend.example/api/", True),
        ("https://backend.example:443/api/", True),
        ("http://backend.example/api/", False),
        ("https://backend.example:8443/", False),
        ("https://www.backend.example/", False),
        ("https://backend.example.evil.example/", False),
    ],
)
async def test_a_token_goes_to_its_own_origin_only(url: str, goes_along: bool) -> None:
    request = httpx.Request("GET", url)
    next(Bearer(BASE, "t").auth_flow(request))

    assert ("authorization" in request.headers) is goes_along
