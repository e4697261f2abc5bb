"""How often an account is logged in to: what is refused too often locks it, and tokens may be worth nothing."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from agent.clock import Clock
from agent.errors import BackendThrottled, CredentialsRefused, StateError

LOGINS_AN_HOUR = 4
"""Of one process; and refused ones of all processes that share a state."""
_HOUR = timedelta(hours=1)


class Refusals(Protocol):
    """The logins that were refused lately, to whichever process. Each call may raise StateError."""

    def refused_logins(self, account: str, *, since: datetime) -> Sequence[datetime]: ...
    def record_refused_login(self, account: str, *, at: datetime) -> None: ...


class Forgotten:
    """Where nothing outlasts the process."""

    def refused_logins(self, account: str, *, since: datetime) -> Sequence[datetime]:
        return ()

    def record_refused_login(self, account: str, *, at: datetime) -> None:
        pass


class LoginBudget:
    """What may still be tried in this hour."""

    def __init__(self, clock: Clock, refusals: Refusals) -> None:
        self._clock = clock
        self._refusals = refusals
        self._logins: deque[float] = deque(maxlen=LOGINS_AN_HOUR)

    def must_allow(self, account: str) -> None:
        """Raises CredentialsRefused or BackendThrottled when nothing may be tried now."""
        now = self._clock.now()
        refused: list[datetime] = []
        with suppress(StateError):  # who cannot remember counts for himself
            lately = self._refusals.refused_logins(account, since=now - _HOUR)
            refused = [at for at in lately if at <= now]  # by a clock that was wrong, the others
        if len(refused) >= LOGINS_AN_HOUR:
            raise CredentialsRefused(
                f"the backend has refused this login {len(refused)} times within an hour, and is not asked again "
                f"before {min(refused) + _HOUR:%H:%M} UTC",
                reason="be_credentials",
                hint="Correct WPSA_BACKEND_EMAIL or WPSA_BACKEND_PASSWORD: another login is tried at once.",
            )
        self._must_be_few()

    def _must_be_few(self) -> None:
        """A backend whose tokens are worth nothing would be asked for new ones without end."""
        oldest = self._logins[0] if len(self._logins) == LOGINS_AN_HOUR else None
        if oldest is not None and (wait := oldest + _HOUR.total_seconds() - self._clock.monotonic()) > 0:
            raise BackendThrottled(
                f"the backend's tokens last so briefly that {LOGINS_AN_HOUR} logins an hour do not suffice",
                reason="be_login_limited",
                hint="Let the backend's refresh tokens last longer, or use an API key.",
                retry_after_seconds=wait,
            )

    def count(self) -> None:
        self._logins.append(self._clock.monotonic())

    def count_refused(self, account: str) -> None:
        self.count()
        with suppress(StateError):
            self._refusals.record_refused_login(account, at=self._clock.now())

    def begin_anew(self) -> None:
        """For another password: somebody has just changed it, and waits to see it work."""
        self._logins.clear()


def account_of(base_url: str, email: str, password: str) -> str:
    """Names a login without giving it away: of the password two bytes of a digest, enough to tell another one."""
    whose = sha256(f"{base_url}\n{email}".encode())
    name = whose.hexdigest()[:16]
    whose.update(f"\n{password}".encode())
    return f"{name}-{whose.hexdigest()[:4]}"
