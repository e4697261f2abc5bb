"""How runs end, as a code."""

import pytest

from agent import errors
from agent.errors import AgentError, CredentialsRefused, SiteUnreachable
from agent.outcome import Outcome, exit_code_of
from agent.state.records import Result

DONE = Outcome("a", Result.DELIVERED, 1.0)
PENDING = Outcome("b", Result.PENDING, 1.0, errors.BackendUnreachable("m", reason="r", hint="h"))
CRASHED = Outcome("c", Result.CRASHED, 1.0, AgentError("m", reason="bug", hint="h"))


def unread(kind: type[AgentError] = SiteUnreachable, **options: int) -> Outcome:
    return Outcome("d", Result.UNREADABLE, 1.0, kind("m", reason="r", hint="h", **options))  # type: ignore[arg-type]


def pending(kind: type[AgentError], **options: int) -> Outcome:
    return Outcome("g", Result.PENDING, 1.0, kind("m", reason="r", hint="h", **options))  # type: ignore[arg-type]


def held(kind: type[AgentError] = CredentialsRefused) -> Outcome:
    return Outcome("e", Result.HELD, 1.0, kind("m", reason="r", hint="h"))


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        ([DONE], 0),
        ([DONE, DONE], 0),
        ([PENDING], 75),
        ([PENDING, PENDING], 75),
        ([DONE, PENDING], 75),
        ([pending(errors.BackendUnreachable, exit_code=76)], 76),
        ([pending(errors.BackendUnreachable, exit_code=76), DONE], 3),
        ([unread()], 69),
        ([unread(), unread()], 69),
        ([held()], 77),
        ([held(), held(errors.LoginRefused)], 77),
        ([unread(), DONE], 3),
        ([unread(), PENDING], 3),
        ([unread(), held()], 3),
        ([CRASHED], 70),
        ([CRASHED, DONE], 3),
        ([unread(exit_code=78)], 78),
        ([Outcome("f", Result.INTERRUPTED, 1.0)], 70),
    ],
)
def test_one_site_gives_its_own_code_and_several_a_common_one(outcomes: list[Outcome], code: int) -> None:
    assert exit_code_of(outcome.exit_code for outcome in outcomes) == code


CODES = {
    "ConfigError": 78, "UsageError": 2,
    "SiteUnreachable": 69, "SiteThrottled": 69, "LoginRefused": 77, "RestClosed": 77, "RestApiNotFound": 65,
    "SiteSuspended": 65, "WrongSite": 65, "SiteMoved": 78, "AnswerNotUnderstood": 65,
    "SuspiciousShrink": 65,
    "BackendUnreachable": 75, "BackendThrottled": 75, "BackendPaused": 75, "CredentialsRefused": 77, "IntegrationNotFound": 69,
    "IntegrationAmbiguous": 78, "DeliveryRejected": 65, "ContractBroken": 76, "NotificationFailed": 69,
    "StateUnwritable": 73, "StateFailed": 74, "StateFull": 74, "StateBusy": 74, "StateTooNew": 78, "SiteInHand": 75,
}  # fmt: skip
TRANSIENT = {
    "SiteUnreachable", "SiteThrottled", "SuspiciousShrink", "BackendUnreachable", "BackendThrottled", "BackendPaused",
    "NotificationFailed", "StateBusy", "SiteInHand",
}  # fmt: skip


def leaves(kind: type[AgentError] = AgentError) -> list[type[AgentError]]:
    ours = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    return [leaf for one in ours for leaf in leaves(one)] if ours else [kind]


def test_every_failure_has_its_code_and_knows_whether_it_may_pass() -> None:
    assert {leaf.__name__: leaf.exit_code for leaf in leaves()} == CODES
    assert {leaf.__name__ for leaf in leaves() if leaf.transient} == TRANSIENT


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_the_table_in_the_docstring_says_the_same(leaf: type[AgentError]) -> None:
    [line] = [line for line in (errors.__doc__ or "").splitlines() if f"─ {leaf.__name__} " in line]

    words = line.split()
    assert str(leaf.exit_code) in words
    assert ("transient" in words) == leaf.transient


def test_one_case_may_call_for_another_code() -> None:
    error = SiteUnreachable("m", reason="r", hint="h", exit_code=78)

    assert (error.exit_code, SiteUnreachable.exit_code, str(error)) == (78, 69, "m")
