"""Every failure that we expect, ordered by what its reader has to do.

AgentError
├── ConfigError                      78  a setting makes no sense
├── UsageError                        2  no such site, no such flag
├── SiteError                            the WordPress side
│   ├── SiteUnreachable   transient  69  DNS, connect, TLS, deadline, 5xx
│   ├── SiteThrottled     transient  69  429, or 503 with Retry-After
│   ├── LoginRefused                 77  the login was refused, or never arrived
│   ├── RestClosed                   77  the REST API exists and is closed to us
│   ├── RestApiNotFound              65  no REST root: permalinks, a plugin, not a WordPress
│   ├── SiteSuspended                65  a subsite that its network archived
│   ├── WrongSite                    65  the address answers as another site
│   ├── SuspiciousShrink  transient  65  much less than before: read again before it is believed
│   ├── SiteMoved                    78  the address redirects to another host, or its name leads to where no site lives
│   └── AnswerNotUnderstood          65  HTML for JSON, wrong shape, too large; 76 for no HTTP/1.1
├── BackendError                         the backend side; the document stays owed
│   ├── BackendUnreachable transient 75  69 where nothing is owed
│   ├── BackendThrottled   transient 75
│   ├── BackendPaused      transient 75  not asked: it is down or wants a pause, and one try looks for all sites
│   ├── CredentialsRefused           77
│   ├── IntegrationNotFound          69
│   ├── IntegrationAmbiguous         78
│   ├── DeliveryRejected             65  carries the backend's own reason, short
│   └── ContractBroken               76  a success that is none, a redirect, a wrong shape
├── SiteInHand                transient  75  another worker of a fleet is at it
├── NotificationFailed        transient  69  a ping or webhook that nobody took; no run hears of it
└── StateError
    ├── StateUnwritable              73  cannot be created, or owned by another process
    ├── StateFailed                  74  damaged, I/O error
    ├── StateFull                    74  the disk is full: nothing is lost that was owed before
    ├── StateBusy         transient  74  SQLite stays locked; PostgreSQL is away
    └── StateTooNew                  78  written by a newer version; left untouched

`transient` may pass by itself; everything else fails the same way with the same input.
A bug is none of these and exits with 70.
"""

from typing import ClassVar


class AgentError(Exception):
    """One expected failure: what happened to what, why, and what to do next.

    message              what happened, to what, where; no secret, no body
    reason               a word from a closed list, for logs and metrics
    hint                 the one thing to do next, an imperative sentence
    retry_after_seconds  how long the other side asked us to wait, when it did
    exit_code            where one case calls for another code than its class
    """

    transient: ClassVar[bool] = False
    exit_code: int = 70

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        hint: str,
        retry_after_seconds: float | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message)
        if exit_code is not None:
            self.exit_code = exit_code
        self.message = message
        self.reason = reason
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds


class ConfigError(AgentError):
    exit_code = 78


class UsageError(AgentError):
    exit_code = 2


class SiteError(AgentError):
    exit_code = 65


class SiteUnreachable(SiteError):
    transient = True
    exit_code = 69


class SiteThrottled(SiteError):
    transient = True
    exit_code = 69


class LoginRefused(SiteError):
    exit_code = 77


class RestClosed(SiteError):
    exit_code = 77


class RestApiNotFound(SiteError):
    exit_code = 65


class SiteSuspended(SiteError):
    exit_code = 65


class WrongSite(SiteError):
    exit_code = 65


class SuspiciousShrink(SiteError):
    transient = True
    exit_code = 65
    gone: frozenset[str] = frozenset()
    """What the site shows no longer, as `post_type page`; a second reading has to say no more than this."""


class SiteMoved(SiteError):
    exit_code = 78


class AnswerNotUnderstood(SiteError):
    exit_code = 65


class BackendError(AgentError):
    exit_code = 76
    may_arrive_late = False
    """Whether the document may still be on its way, and overtaken by a newer one."""


class BackendUnreachable(BackendError):
    transient = True
    exit_code = 75


class BackendThrottled(BackendError):
    transient = True
    exit_code = 75


class BackendPaused(BackendError):
    transient = True
    exit_code = 75


class CredentialsRefused(BackendError):
    exit_code = 77


class IntegrationNotFound(BackendError):
    exit_code = 69


class IntegrationAmbiguous(BackendError):
    exit_code = 78


class DeliveryRejected(BackendError):
    exit_code = 65


class ContractBroken(BackendError):
    exit_code = 76


class NotificationFailed(AgentError):
    transient = True
    exit_code = 69


class SiteInHand(AgentError):
    transient = True
    exit_code = 75


class StateError(AgentError):
    exit_code = 74


class StateUnwritable(StateError):
    exit_code = 73


class StateFailed(StateError):
    exit_code = 74


class StateFull(StateError):
    exit_code = 74


class StateBusy(StateError):
    transient = True
    exit_code = 74


class StateTooNew(StateError):
    exit_code = 78
