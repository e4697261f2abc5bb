"""Send one owed document to its integration, and believe only what the backend can show."""

from collections.abc import Mapping

from agent.backend.contract import GENERATION_HEADER, IDEMPOTENCY_KEY_HEADER, Paths
from agent.backend.integrations import Target, find_integration
from agent.backend.readback import shows
from agent.backend.session import Bearer, Session, is_expiry
from agent.backend.statuses import failure_of, lost_integration, not_the_api
from agent.errors import BackendUnreachable
from agent.state.records import Delivery, Receipt
from agent.strictjson import BadJson
from agent.transport import Answer, Transport


class BackendClient:
    """The backend of all sites; remembers in memory which integration belongs to which site."""

    def __init__(
        self,
        http: Transport,
        *,
        base_url: str,
        session: Session,
        paths: Paths,
        targets: Mapping[str, Target],
        verify: bool,
    ) -> None:
        self._http = http
        self._base = base_url
        self._session = session
        self._paths = paths
        self._targets = targets
        self._verify = verify
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
        if failure := failure_of(answer, hint=self._session.hint):
            raise failure
        verified = await self._proved(delivery, integration_id, answer)
        return Receipt(integration_id, verified=verified)

    async def integration_of(self, site: str) -> str:
        """The id of the site's integration, as configured or as found; raises BackendError."""
        target = self._targets[site]
        if target.integration_id:
            return target.integration_id
        if site not in self._found:
            self._found[site] = await find_integration(
                self._list, target, listing_url=f"{self._base}{self._paths.integrations}"
            )
        return self._found[site]

    async def _list(self, url: str) -> Answer:
        answer = await self._get(url)
        if answer.status == 404:
            raise not_the_api(answer)
        return answer

    async def _get(self, url: str) -> Answer:
        """A successful answer, or a 404; raises BackendError for any other."""
        answer = await self._ask("GET", url)
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
        return await self._ask("POST", url, headers=headers, content=delivery.body)

    async def _ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        """The answer to an authenticated request; an expired token is renewed once and the request repeated."""
        token = await self._session.token(self._http)
        answer = await self._http.fetch(method, url, headers=headers, content=content, auth=Bearer(self._base, token))
        if is_expiry(answer) and (renewed := await self._session.renewed(self._http, token)):
            bearer = Bearer(self._base, renewed)
            answer = await self._http.fetch(method, url, headers=headers, content=content, auth=bearer)
        return answer

    async def _proved(self, delivery: Delivery, integration_id: str, answer: Answer) -> bool:
        """Whether the structure was read back; a success that says nothing has to be."""
        if _says_success(answer) and not self._verify:
            return False
        if shows(await self._get(f"{self._base}{self._paths.content_types(integration_id)}"), delivery.body):
            return True
        raise BackendUnreachable(
            f"the backend answered HTTP {answer.status}, and does not show the structure",
            reason="be_unknown_outcome",
            hint="It is sent again by itself; if that goes on, show the backend's owner.",
        )


def _says_success(answer: Answer) -> bool:
    """200 or 201 with a JSON object that does not deny it, or 204; 202 and web pages are no success."""
    if answer.status == 204:
        return True
    try:
        body = answer.json()
    except BadJson:
        return False
    return answer.status in (200, 201) and isinstance(body, dict) and body.get("success") is not False
