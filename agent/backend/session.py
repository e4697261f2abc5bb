"""Who we are to the backend: an API key, or an e-mail and password that earn short-lived tokens."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx

from agent.backend.contract import Paths
from agent.backend.envelope import inside
from agent.backend.logins import Forgotten, LoginBudget, Refusals, account_of
from agent.backend.statuses import failure_of, no_json, not_the_api, said
from agent.clock import SYSTEM, Clock
from agent.errors import BackendError, BackendThrottled, BackendUnreachable, ContractBroken, CredentialsRefused
from agent.retry import REQUEST, RetryPolicy
from agent.transport import Answer, Transport

LOGIN_PAUSE_SECONDS = 900.0
"""Between two logins of one process with a password that was refused."""

# What a header can carry: visible ASCII.
_TOKEN = re.compile(r"[!-~]+")

KEY_HINT = "Make a new API key at the backend, and set WPSA_BACKEND_API_KEY."
LOGIN_HINT = "Check WPSA_BACKEND_EMAIL and WPSA_BACKEND_PASSWORD by signing in at the backend with them."


class Bearer(httpx.Auth):
    """A token bound to one origin: a request to any other goes without it, whoever asked for it."""

    def __init__(self, base_url: str, token: str) -> None:
        self._origin = _origin(httpx.URL(base_url))
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Any:
        if _origin(request.url) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class Session(Protocol):
    """Where tokens come from."""

    hint: str
    """What to do when the backend refuses us."""

    async def token(self, http: Transport) -> str: ...

    async def renewed(self, http: Transport, refused: str) -> str:
        """The token to try once more with, in place of the refused one."""
        ...


Reread = Callable[[], str | None]
"""The secret as the settings keep it now; None when they cannot be read."""


def nothing_new() -> None:
    """Of a secret that cannot change while the process lives."""


class ApiKey:
    """A static bearer. A refused one is read anew from its file, and tried once more: a glitch is no revocation."""

    hint = KEY_HINT

    def __init__(self, key: str, *, reread: Reread = nothing_new) -> None:
        self._key = key
        self._reread = reread

    async def token(self, http: Transport) -> str:
        return self._key

    async def renewed(self, http: Transport, refused: str) -> str:
        self._key = self._reread() or self._key
        return self._key


class Login:
    """E-mail and password. Tokens stay in memory; however many requests find theirs expired, one renews it."""

    hint = LOGIN_HINT

    def __init__(
        self,
        base_url: str,
        *,
        email: str,
        password: str,
        paths: Paths,
        learned: Callable[[str], None],
        clock: Clock = SYSTEM,
        reread: Reread = nothing_new,
        refusals: Refusals | None = None,
    ) -> None:
        """refusals   of other processes too; None where nothing outlasts this one"""
        self._base = base_url
        self._email = email
        self._password = password
        self._paths = paths
        self._learned = learned
        self._reread = reread
        self._access: str | None = None
        self._refresh: str | None = None
        self._renewing = asyncio.Lock()
        self._clock = clock
        self._refused: BackendError | None = None
        self._again_at = 0.0
        self._budget = LoginBudget(clock, refusals or Forgotten())

    async def token(self, http: Transport) -> str:
        async with self._renewing:
            return self._access or await self._log_in(http)

    async def renewed(self, http: Transport, refused: str) -> str:
        async with self._renewing:
            if self._access not in (None, refused):
                return self._access  # another request was faster
            return await self._refreshed(http) or await self._log_in(http)

    def _take_new(self) -> bool:
        password = self._reread()
        if password is None or password == self._password:
            return False
        self._password, self._refused = password, None
        self._budget.begin_anew()
        return True

    async def _refreshed(self, http: Transport) -> str | None:
        """A refused refresh is no error: the login that follows is the answer to it."""
        if self._refresh is None:
            return None
        answer = await self._post(http, self._paths.refresh, {"refresh": self._refresh})
        if answer.status != 200:
            self._refresh = None
            return None
        return self._keep(answer)

    async def _log_in(self, http: Transport) -> str:
        """A refusal stands for a while: many sites share the account, and each would try for itself."""
        stands = self._refused and self._clock.monotonic() < self._again_at
        if self._refused and stands and not (isinstance(self._refused, CredentialsRefused) and self._take_new()):
            raise self._refused.with_traceback(None)
        self._refused = None
        try:
            answer = await self._tried_once(http)
        except CredentialsRefused as refused:
            if self._take_new():
                return await self._log_in(http)
            self._stand_by(refused)
            raise
        except BackendThrottled as refused:
            self._stand_by(refused)
            raise
        self._budget.count()
        return self._keep(answer)

    async def _tried_once(self, http: Transport) -> Answer:
        """The answer to a login that was taken. Raises CredentialsRefused, BackendThrottled and others."""
        account = account_of(self._base, self._email, self._password)
        self._budget.must_allow(account)
        answer = await self._post(http, self._paths.login, {"email": self._email, "password": self._password})
        try:
            _refuse_login(answer)
        except CredentialsRefused:
            self._budget.count_refused(account)
            raise
        return answer

    def _stand_by(self, refused: BackendError) -> None:
        self._refused = refused
        self._again_at = self._clock.monotonic() + (refused.retry_after_seconds or LOGIN_PAUSE_SECONDS)

    async def _post(self, http: Transport, path: str, body: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/json"}
        return await http.fetch("POST", f"{self._base}{path}", headers=headers, content=json.dumps(body).encode())

    def _keep(self, answer: Answer) -> str:
        tokens = _tokens_in(answer)
        for token in tokens.values():
            self._learned(token)
        self._access = tokens["access"]
        # A refresh without rotation answers with an access token alone.
        self._refresh = tokens.get("refresh", self._refresh)
        return self._access


async def ask_signed(
    http: Transport,
    session: Session,
    base_url: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    retry: RetryPolicy = REQUEST,
) -> Answer:
    """The answer to an authenticated request; an expired token is renewed once and the request repeated."""

    async def send(token: str) -> Answer:
        return await http.fetch(method, url, headers=headers, content=content, auth=Bearer(base_url, token), retry=retry)

    token = await session.token(http)
    answer = await send(token)
    return await send(await session.renewed(http, token)) if is_expiry(answer) else answer


def is_expiry(answer: Answer) -> bool:
    """401, or a 403 that says what a 401 should: some frameworks turn the one into the other."""
    if answer.status == 403:
        return any(sign in answer.body for sign in (b"token_not_valid", b"not_authenticated", b"were not provided"))
    return answer.status == 401


def _refuse_login(answer: Answer) -> None:
    told = f"({said(answer)})"
    match answer.status:
        case 200 | 201:
            return
        case 429:
            raise BackendThrottled(
                f"the backend asks for fewer logins {told}",
                reason="be_login_limited",
                hint="Wait; it is tried again by itself.",
                retry_after_seconds=answer.retry_after_seconds,
            )
        case 400 | 401 | 403:
            raise CredentialsRefused(f"the backend refused the login {told}", reason="be_credentials", hint=LOGIN_HINT)
        case status if status >= 500:
            raise BackendUnreachable(
                f"the backend cannot log anybody in at the moment {told}",
                reason="be_5xx",
                hint="See the backend's own log; it is tried again by itself.",
            )
        case status if (failure := failure_of(answer, hint=LOGIN_HINT)) and (failure.transient or status < 400):
            raise failure
        case _:
            raise not_the_api(answer, lacks="login")


def _tokens_in(answer: Answer) -> dict[str, str]:
    """{"access"[, "refresh"]}, bare or inside an envelope."""
    if (body := inside(answer)) is None:
        raise no_json(answer)
    tokens = {key: body.get(key) for key in ("access", "refresh")} if isinstance(body, dict) else {}
    usable = {key: token for key, token in tokens.items() if isinstance(token, str) and _TOKEN.fullmatch(token)}
    if "access" not in usable:
        raise ContractBroken(
            "the backend's login answered without an access token",
            reason="be_contract",
            hint="Show the backend's owner: login and refresh have to answer with “access”.",
        )
    return usable


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
