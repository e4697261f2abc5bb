"""Signing in as a state machine: expiry, rotation, many requests at once, a wrong password, restarts (D21)."""

import asyncio
import json
from datetime import datetime
from typing import Any

import httpx
import pytest
from fakes import ManualClock
from figures import Proof
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from machines import histories, until_it_breaks

from agent.backend.contract import LOGIN_PATH, REFRESH_PATH, Paths
from agent.backend.logins import Forgotten
from agent.backend.session import Login, is_expiry
from agent.errors import BackendThrottled, CredentialsRefused
from agent.transport import Answer

BASE = "https://backend.example"
LOGINS_AN_HOUR = 4
"""Of one process, refused ones among them: fewer than lock an account anywhere."""

PAUSE_SECONDS = 3_600
"""So long may a refusal stand, although the password is right again by now."""


class FarEnd:
    """A backend's tokens; stands where the transport does."""

    def __init__(self) -> None:
        self.made = 0
        self.access: str | None = None
        self.refresh: str | None = None
        self.rotates = True
        self.password = "right"
        self.logins = self.refreshes = 0

    async def fetch(self, method: str, url: str, *, content: bytes = b"", **_: Any) -> Answer:
        await asyncio.sleep(0)
        given = json.loads(content)
        if url == BASE + LOGIN_PATH:
            self.logins += 1
            return self._tokens() if given["password"] == self.password else answered(401, {})
        assert url == BASE + REFRESH_PATH
        self.refreshes += 1
        if given["refresh"] != self.refresh:
            return answered(401, {"code": "token_not_valid"})
        if self.rotates:
            return self._tokens()
        self.made += 1
        self.access = f"access-{self.made}"
        return answered(200, {"access": self.access})

    def _tokens(self) -> Answer:
        self.made += 1
        self.access, self.refresh = f"access-{self.made}", f"refresh-{self.made}"
        return answered(200, {"access": self.access, "refresh": self.refresh})

    async def ask(self, token: str) -> Answer:
        """A request with this token."""
        await asyncio.sleep(0)
        return answered(200 if token == self.access else 401, {})


def answered(status: int, body: Any) -> Answer:
    return Answer("POST", BASE, status, httpx.Headers(), json.dumps(body).encode())


class Remembered(Forgotten):
    """What the state keeps."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, datetime]] = []

    def refused_logins(self, account: str, *, since: datetime) -> list[datetime]:
        return [at for whose, at in self.refused if whose == account and at > since]

    def record_refused_login(self, account: str, *, at: datetime) -> None:
        self.refused.append((account, at))


class SignIn(RuleBasedStateMachine):
    kind: type[Login] = Login
    remembers: type[Forgotten] = Remembered

    def __init__(self) -> None:
        super().__init__()
        self.far, self.time = FarEnd(), ManualClock()
        self.loop = asyncio.new_event_loop()
        self.refusals = self.remembers()
        self.refused_logins_at: list[float] = []
        self.refused_at: float | None = None
        self.login = self.started()

    def started(self) -> Login:
        self.logins_at: list[float] = []
        return self.kind(
            BASE, email="bot@shop.example", password="right", paths=Paths(), learned=lambda _: None,
            clock=self.time.clock, refusals=self.refusals,
        )  # fmt: skip

    def teardown(self) -> None:
        self.loop.close()

    @rule()
    def expire(self) -> None:
        self.far.access = None

    @rule()
    def blacklist(self) -> None:
        self.far.access = self.far.refresh = None

    @rule(rotates=st.booleans())
    def rotate(self, rotates: bool) -> None:
        self.far.rotates = rotates

    @rule(password=st.sampled_from(("right", "changed")))
    def change_password(self, password: str) -> None:
        self.far.password = password

    @rule(minutes=st.sampled_from((1, 5, 16, 200)))
    def wait(self, minutes: int) -> None:
        self.time.advance(minutes=minutes)

    @rule()
    def restart(self) -> None:
        self.login = self.started()

    @rule(at_once=st.sampled_from((1, 2, 500)))
    def ask(self, at_once: int) -> None:
        """However many find their token refused, one refresh and one login are the most that it costs."""
        logins, refreshes = self.far.logins, self.far.refreshes
        results = self.loop.run_until_complete(self._all(at_once))
        assert self.far.refreshes - refreshes <= 1, "more than one refreshed"
        assert self.far.logins - logins <= 1, "more than one logged in"
        if self.far.logins > logins:
            self.logins_at.append(self.time.seconds)
            if self.far.password != "right":
                self.refused_logins_at.append(self.time.seconds)
        assert self._lately(self.logins_at) <= LOGINS_AN_HOUR, "the account would be locked"
        assert self._lately(self.refused_logins_at) <= LOGINS_AN_HOUR, "the account would be locked, by restarts"
        self._check(results, logged_in=self.far.logins > logins)

    async def _all(self, number: int) -> list[int | BaseException]:
        return await asyncio.gather(*(self._one() for _ in range(number)), return_exceptions=True)

    def _check(self, results: list[int | BaseException], *, logged_in: bool) -> None:
        """Each request is answered, or was refused for a reason that still stands."""
        refused = [result for result in results if isinstance(result, CredentialsRefused)]
        paused = [result for result in results if isinstance(result, BackendThrottled)]
        assert len(refused) + len(paused) + results.count(200) == len(results), results
        assert not paused or self._lately(self.logins_at) == LOGINS_AN_HOUR, "a pause without need"
        if refused and logged_in:
            self.refused_at = self.time.seconds
        if refused and self.far.password == "right":
            assert self.refused_at is not None, "the password is right"
            assert self.time.seconds - self.refused_at < PAUSE_SECONDS, "the password is right again"

    def _lately(self, moments: list[float]) -> int:
        return sum(self.time.seconds - at < 3_600 for at in moments)

    async def _one(self) -> int:
        token = await self.login.token(self.far)  # type: ignore[arg-type]
        answer = await self.far.ask(token)
        if is_expiry(answer) and (renewed := await self.login.renewed(self.far, token)):  # type: ignore[arg-type]
            answer = await self.far.ask(renewed)
        return answer.status


class Everybody(Login):
    """Each request that finds its token refused renews it for itself."""

    async def renewed(self, http: Any, refused: str) -> str:
        return await self._refreshed(http) or await self._log_in(http)


class Stubborn(Login):
    """Whatever was refused, and however often, a login is tried again at once."""

    async def _log_in(self, http: Any) -> str:
        self._refused = None
        self._budget.begin_anew()
        return await super()._log_in(http)


class WithoutLock(SignIn):
    kind = Everybody


class WithoutPause(SignIn):
    kind = Stubborn


class WithoutMemory(SignIn):
    """Each process counts for itself alone."""

    remembers = Forgotten


@pytest.mark.parametrize("number", [100, pytest.param(10_000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1_200)
def test_signing_in_costs_one_refresh_and_never_an_account(proof: Proof, number: int) -> None:
    run_state_machine_as_test(SignIn, settings=histories(number, steps=40))

    size = f"{number} histories of 40 steps"
    proof("D21 K01–K06", "sign-in as a state machine", size, f"1 refresh, ≤ {LOGINS_AN_HOUR} logins an hour")


@pytest.mark.parametrize("broken", [WithoutLock, WithoutPause])
def test_a_session_that_renews_too_often_is_noticed(proof: Proof, broken: type[SignIn]) -> None:
    with pytest.raises(AssertionError, match=r"more than one|would be locked"):
        run_state_machine_as_test(broken, settings=until_it_breaks(steps=40))

    proof("D21", f"negative control: {broken.__name__}", "1 rule broken", "noticed")


def test_processes_that_count_for_themselves_alone_are_noticed(proof: Proof) -> None:
    """Chance seldom finds a program that is restarted five times while its password is wrong."""
    machine = WithoutMemory()
    machine.change_password("changed")
    with pytest.raises(AssertionError, match="by restarts"):
        for _ in range(LOGINS_AN_HOUR + 1):
            machine.restart()
            machine.ask(1)
    machine.teardown()

    proof("D21 K05", "negative control: WithoutMemory", "1 rule broken", "noticed")
