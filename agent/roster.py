"""The sites that this process knows by name: all of them at hand, or as many of a large fleet as it needs."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import SecretStr

from agent.notify import Receivers
from agent.redact import Redactor
from agent.schedule import DailyMoment, moment_for
from agent.settings import Settings, SiteSettings
from agent.state.sites import Sites
from agent.structure.model import Choices

Roster = Mapping[str, SiteSettings]
Value = TypeVar("Value")

KEPT = 1_024
"""Sites of a fleet that are kept at hand: many more than are in hand at once, and few enough for the memory."""


def listed(sites: Sequence[SiteSettings]) -> Roster:
    return {site.called: site for site in sites}


class Derived(Mapping[str, Value]):
    """What follows from a site's settings, by its name; made when it is asked for."""

    def __init__(self, roster: Roster, derive: Callable[[SiteSettings], Value]) -> None:
        self._roster, self._derive = roster, derive

    def __getitem__(self, name: str) -> Value:
        return self._derive(self._roster[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._roster)

    def __len__(self) -> int:
        return len(self._roster)


def moments_of(settings: Settings, roster: Roster) -> Mapping[str, DailyMoment]:
    """Each site's daily moment, by its name."""
    at, zone = settings.schedule.at, settings.schedule.zone
    return Derived(roster, lambda site: moment_for(site.called, at=at, zone=zone))


def choices_for(settings: Settings, roster: Roster) -> Callable[[str], Choices]:
    """The operator's choices by a site's name."""
    return lambda name: settings.choices_for(roster[name])


def receivers_of(settings: Settings, roster: Roster) -> Receivers:
    """Who is told beside the log."""
    notify = settings.notify
    return Receivers(
        fleet_ping=_revealed(notify.ping_url),
        site_pings={name: site.ping_url.get_secret_value() for name, site in roster.items() if site.ping_url},
        webhook=_revealed(notify.webhook_url),
        webhook_secret=_revealed(notify.webhook_secret),
        count_change_percent=notify.count_change_percent,
    )


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


class TableRoster(Mapping[str, SiteSettings]):
    """The sites of the fleet's table, fetched by name; iteration goes over those at hand alone.

    Their secrets are hidden in everything that this process writes for as long as they are at hand.
    """

    def __init__(self, sites: Sites, redactor: Redactor) -> None:
        self._sites, self._redactor = sites, redactor
        self._at_hand: OrderedDict[str, tuple[str, SiteSettings]] = OrderedDict()

    def __getitem__(self, name: str) -> SiteSettings:
        if name not in self._at_hand:
            self.refresh(name)
        self._at_hand.move_to_end(name)
        return self._at_hand[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._at_hand))

    def __len__(self) -> int:
        return len(self._at_hand)

    def known_by(self, ids: Sequence[str]) -> list[str]:
        """The sites that have one of these ids at the backend. Raises StateError."""
        return self._sites.known_by(ids)

    def refresh(self, name: str) -> None:
        """See what the table says of a site now. Raises KeyError for one that it does not know, and StateError."""
        said = self._sites.settings_of(name)
        before = self._at_hand.get(name)
        if before and before[0] == said:
            return
        if before:
            self._forget(name)
        if said is None:
            raise KeyError(name)
        site = SiteSettings.model_validate_json(said)
        for username, secret in site.secrets():
            self._redactor.add(secret, username=username)
        self._at_hand[name] = said, site
        while len(self._at_hand) > KEPT:
            self._forget(next(iter(self._at_hand)))

    def _forget(self, name: str) -> None:
        _, site = self._at_hand.pop(name)
        for username, secret in site.secrets():
            self._redactor.forget(secret, username=username)
