"""Send one owed document to its integration, and believe only what the backend can show."""

from collections.abc import Callable, Mapping

from agent.backend.breaker import Breaker
from agent.backend.contract import CAPABILITIES_HEADER, GENERATION_HEADER, IDEMPOTENCY_KEY_HEADER, Paths
from agent.backend.envelope import inside
from agent.backend.integrations import Get, Target, find_integration
from agent.backend.readback import contradicts, shows
from agent.backend.session import Session, ask_signed
from agent.backend.statuses import (
    failure_of,
    lost_integration,
    names_a_newer_one,
    newer_there,
    no_json,
    not_the_api,
    said,
)
from agent.clock import SYSTEM, Clock
from agent.errors import BackendError, BackendUnreachable, ContractBroken
from agent.retry import ONCE, REQUEST
from agent.state.records import Delivery, Receipt
from agent.strictjson import BadJson
from agent.transport import Answer, Transport

POLL_SECONDS = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
"""Between two looks for a structure that the backend took in to store it later: five minutes in all."""

# The connection ended, or our patience did, while the document was on its way.
_ON_ITS_WAY = ("read_timeout", "deadline", "reset")
_BAD_BODY = ("too_large", "decode_bomb")
_AGAIN = "It is sent again by itself; if that goes on, show the backend's owner."


def unheard(_: frozenset[str]) -> None:
    """Where nobody remembers what a backend offers."""


class BackendClient:
    """The backend of all sites; remembers in memory which integration belongs to which site.

    offers     what the backend has said before that it offers besides (`contract.SYNC_REQUESTS` and so on)
    learned    hears of it when a look-up says something else
    """

    def __init__(
        self,
        http: Transport,
        *,
        base_url: str,
        session: Session,
        paths: Paths,
        targets: Mapping[str, Target],
        verify: bool,
        clock: Clock = SYSTEM,
        breaker: Breaker | None = None,
        offers: frozenset[str] = frozenset(),
        learned: Callable[[frozenset[str]], None] = unheard,
    ) -> None:
        self._http = http
        self._base = base_url
        self._session = session
        self._paths = paths
        self._targets = targets
        self.offers = offers
        self._learned = learned
        self._verify = verify
        self._clock = clock
        self._breaker = breaker or Breaker(clock)
        self._found: dict[str, str] = {}

    async def push(self, delivery: Delivery) -> Receipt:
        """Deliver the document; the same key and bytes at every try, so that a repeat changes nothing.

        Raises BackendError: transient when it may pass by itself.
        """
        remembered = delivery.site in self._found
        integration_id = await self.integration_of(delivery.site)
        answer = await self._post(delivery, integration_id)
        if answer.status == 404 and remembered:
            # The integration may have been made anew since we looked: look once more.
            del self._found[delivery.site]
            integration_id = await self.integration_of(delivery.site)
            answer = await self._post(delivery, integration_id)
        if answer.status == 404:
            raise lost_integration(integration_id)
        if names_a_newer_one(answer):
            if not await self._shows(delivery, integration_id):
                raise newer_there(answer)
            return Receipt(integration_id, verified=True)
        if failure := failure_of(answer, hint=self._session.hint, sent_bytes=len(delivery.body)):
            raise failure
        if CAPABILITIES_HEADER in answer.headers:
            self._hear(frozenset(answer.headers[CAPABILITIES_HEADER].split(", ")))
        verified = await self._proved(delivery, integration_id, answer)
        return Receipt(integration_id, verified=verified)

    async def still_shows(self, delivery: Delivery) -> bool:
        """Whether the backend shows this document, which it has acknowledged before. Raises BackendError."""
        answer = await self._shown(delivery.site, await self.integration_of(delivery.site))
        return shows(answer, delivery.body)

    async def check(self, site: str) -> str:
        """The id of the site's integration, which the backend knows. Raises BackendError.

        What was looked up is there; what is configured may be anything, so it is asked for.
        """
        integration_id = await self.integration_of(site)
        if self._targets[site].integration_id:
            answer = await self._shown(site, integration_id)
            if inside(answer) is None:
                raise no_json(answer)
        return integration_id

    def wait_seconds(self, site: str) -> float:
        """How long a document of this site need not be tried, as the backend is known to be away; 0 while it is there."""
        return self._breaker.wait_seconds(site)

    async def integration_of(self, site: str, get: Get | None = None) -> str:
        """The id of the site's integration, as configured or as found; raises BackendError.

        get   asks for a page of the listing, where not as a delivery does
        """
        target = self._targets[site]
        if target.integration_id:
            return target.integration_id
        if site not in self._found:
            self._found[site] = await find_integration(
                get or (lambda url: self._list(site, url)),
                target,
                listing_url=f"{self._base}{self._paths.integrations}",
                offers=self._hear,
            )
        return self._found[site]

    async def _shown(self, site: str, integration_id: str) -> Answer:
        answer = await self._get(site, f"{self._base}{self._paths.content_types(integration_id)}")
        if answer.status == 404:
            raise lost_integration(integration_id)
        return answer

    def _hear(self, offers: frozenset[str]) -> None:
        if offers != self.offers:
            self.offers = offers
            self._learned(offers)

    async def _list(self, site: str, url: str) -> Answer:
        answer = await self._get(site, url)
        if answer.status == 404:
            raise not_the_api(answer)
        return answer

    async def _get(self, site: str, url: str) -> Answer:
        """A successful answer, or a 404; raises BackendError for any other."""
        answer = await self._ask(site, "GET", url)
        if failure := failure_of(answer, hint=self._session.hint):
            raise failure
        return answer

    async def _post(self, delivery: Delivery, integration_id: str) -> Answer:
        headers = {
            "Content-Type": "application/json",
            IDEMPOTENCY_KEY_HEADER: delivery.idempotency_key,
            GENERATION_HEADER: str(delivery.generation),
        }
        url = f"{self._base}{self._paths.update_structure(integration_id)}"
        try:
            return await self._ask(delivery.site, "POST", url, headers=headers, content=delivery.body)
        except BackendError as error:
            error.may_arrive_late = error.may_arrive_late or error.reason in _ON_ITS_WAY
            raise

    async def _ask(
        self,
        site: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """The answer to an authenticated request; an expired token is renewed once and the request repeated.

        Raises BackendError, for 429 and 5xx as well: they are of the backend, not of the site.
        """
        with self._breaker.asking(site) as looks:
            retry = ONCE if looks else REQUEST
            try:
                answer = await ask_signed(
                    self._http, self._session, self._base, method, url, headers=headers, content=content, retry=retry
                )
            except ContractBroken as error:
                if error.reason not in _BAD_BODY:
                    raise
                raise BackendUnreachable(error.message, reason="be_bad_answer", hint=error.hint) from error
            if answer.status == 429 or answer.status >= 500:
                failure = failure_of(answer, hint=self._session.hint)
                assert failure is not None, "429 and 5xx are failures"
                failure.may_arrive_late = failure.may_arrive_late and method == "POST"
                raise failure
            return answer

    async def _proved(self, delivery: Delivery, integration_id: str, answer: Answer) -> bool:
        """Whether the structure was read back; a success that says nothing, or something else, has to be."""
        says_success = _says_success(answer)
        agrees = says_success and not contradicts(answer, delivery.body)
        if agrees and not self._verify:
            return False
        looks = POLL_SECONDS if answer.status == 202 and not delivery.failures else ()
        if await self._shows(delivery, integration_id, looks=looks):
            return True
        if answer.status == 202:
            raise _unverified(answer)
        raise _mismatch(answer, delivery) if says_success else _bad_success(answer)

    async def _shows(self, delivery: Delivery, integration_id: str, *, looks: tuple[int, ...] = ()) -> bool:
        """Whether the backend shows the document, fetched since it was owed; asked again after each of these waits."""
        url = f"{self._base}{self._paths.content_types(integration_id)}"
        for wait in (*looks, None):
            age = (self._clock.now() - delivery.owed_at).total_seconds()
            if shows(await self._get(delivery.site, url), delivery.body, younger_than_seconds=age):
                return True
            if wait is not None:
                await self._clock.sleep(wait)
        return False


def _says_success(answer: Answer) -> bool:
    """200 or 201 with a JSON object that does not deny it, or 204; 202 and web pages are no success."""
    if answer.status == 204:
        return True
    try:
        body = answer.json()
    except BadJson:
        return False
    return answer.status in (200, 201) and isinstance(body, dict) and body.get("success") is not False


def _unverified(answer: Answer) -> BackendError:
    error = BackendUnreachable(
        f"the backend took the structure in (HTTP {answer.status}), and does not show it yet",
        reason="be_async",
        hint=_AGAIN,
    )
    error.may_arrive_late = True
    return error


def _bad_success(answer: Answer) -> BackendError:
    return BackendUnreachable(
        f"the backend does not say that it took the structure, and does not show it ({said(answer)})",
        reason="be_bad_success",
        hint=_AGAIN,
        exit_code=76,
    )


def _mismatch(answer: Answer, delivery: Delivery) -> BackendError:
    """Once may be chance; a second time needs somebody."""
    kind = ContractBroken if delivery.failures else BackendUnreachable
    return kind(
        f"the backend says that it took the structure (HTTP {answer.status}), and shows another",
        reason="be_mismatch",
        hint="Show the backend's owner what its content-types/ answers.",
        exit_code=76,
    )
