"""One site, one digest, however it is said; and a site that does not change is pushed every day all the same (D16)."""

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from html import escape
from pathlib import Path
from random import Random
from typing import Any

import pytest
from builders import NOW, a_site, answers
from fakes import FakeBackend, FakeReader, ManualClock, ports
from figures import Proof

from agent import sync
from agent.redact import Redactor
from agent.state.ledger import Ledger
from agent.state.records import Receipt, Result, Trigger
from agent.state.store import open_store
from agent.structure import payload
from agent.structure.build import build_structure
from agent.structure.model import Answers, Choice, Choices, Count, CountSource, Family, VersionAnswer
from agent.structure.payload import digest, to_document
from agent.sync import Task, sync_site
from agent.wordpress.answers import read_listing

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sheltered"), pytest.mark.timeout(3_600)]

LABELS = ("Posts", "Bücher & Hefte", "Größen “neu”", "Café <b>", "كتب", "日本", "It's", "Å Ω")
SLUGS = ("post", "page", "book", "größe", "event-venue", "product_cat", "x")
SHUFFLES = 20
"""Ways to say each site, and as many changes of it."""


@dataclass(frozen=True)
class Meaning:
    """What a site is: two are equal exactly when nothing that is pushed differs."""

    url: str
    version: str | None
    types: frozenset[tuple[Family, str, str, int]]
    choice: Choice
    flags: tuple[bool, bool]


def a_meaning(chance: Random) -> Meaning:
    types = {
        (family, slug): (chance.choice(LABELS), chance.randrange(2_000))
        for family in Family
        for slug in chance.sample(SLUGS, chance.randrange(1, len(SLUGS)))
    }
    return Meaning(
        "https://shop.example", "7.1.4", frozenset((*key, *value) for key, value in types.items()), Choice(), (True, True)
    )


def another(meaning: Meaning, chance: Random) -> Meaning:
    """The site with one thing changed."""
    family, slug, label, count = one = chance.choice(sorted(meaning.types))
    others = meaning.types - {one}
    match chance.randrange(8):
        case 0:
            return replace(meaning, types=others)
        case 1:
            return replace(meaning, types=others | {(family, slug, label, count + 1)})
        case 2:
            return replace(meaning, types=others | {(family, slug, label + "!", count)})
        case 3:
            return replace(meaning, types=others | {(family, slug + "2", label, count)})
        case 4:
            return replace(meaning, url=meaning.url + "/shop")
        case 5:
            return replace(meaning, version=chance.choice((None, "7.1.5")))
        case 6:
            return replace(meaning, choice=chance.choice((Choice(enabled=False), Choice(fetch_limit=50))))
        case _:
            return replace(meaning, flags=chance.choice(((False, True), (True, False))))


def said(meaning: Meaning, chance: Random) -> dict[str, Any]:
    """Its document, its keys in any order."""
    choices = Choices(meaning.choice, {}, *meaning.flags)
    structure = build_structure(read(meaning, chance), choices=choices, last_known={})
    document: dict[str, Any] = shuffled(to_document(structure), chance)
    return document


def read(meaning: Meaning, chance: Random) -> Answers:
    """One reading of it, said in one of many ways."""
    counted = []
    for family in Family:
        found = {slug: (label, count) for kind, slug, label, count in meaning.types if kind is family}
        listing = {slug: shuffled({"slug": slug, "name": written(label, chance), "rest_base": slug, "viewable": True}, chance)
                   for slug, (label, _) in found.items()}  # fmt: skip
        kinds, _ = read_listing(family, shuffled(listing, chance), where="types")
        source = chance.choice((CountSource.COLLECTION, CountSource.ENVELOPE))
        counted += [(kind, Count(found[slug][1], source)) for slug, kind in kinds.items()]
    chance.shuffle(counted)
    return answers(
        *counted,
        site_url=meaning.url,
        version=VersionAnswer(meaning.version, chance.choice(("etag", "feed"))),
        finished_at=NOW + timedelta(seconds=chance.randrange(10**6)),
        requests=chance.randrange(99),
    )


def written(label: str, chance: Random) -> str:
    """One of the ways in which WordPress and its plugins write a label."""
    form = unicodedata.normalize(chance.choice(("NFC", "NFD")), label)
    ways: tuple[Callable[[str], str], ...] = (
        escape,
        lambda text: escape(escape(text)),
        lambda text: "".join(f"&#{ord(one)};" for one in text),
        lambda text: f"<span>{escape(text)}</span>",
        lambda text: f"{escape(text)}\x07",
    )
    return chance.choice(ways)(form)


def shuffled(value: Any, chance: Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: shuffled(value[key], chance) for key in keys}


def check_digests(seeds: range) -> int:
    number = 0
    for seed in seeds:
        chance = Random(seed)
        meaning = a_meaning(chance)
        first = digest(said(meaning, chance))
        for _ in range(SHUFFLES):
            assert digest(said(meaning, chance)) == first, f"site {seed}: said in another way, it is another"
            assert digest(said(another(meaning, chance), chance)) != first, f"site {seed}: a change was not seen"
            number += 2
    return number


@pytest.mark.parametrize("sites", [50, pytest.param(5_000, marks=pytest.mark.nightly)])
def test_equal_sites_have_one_digest_and_others_another(proof: Proof, sites: int) -> None:
    number = check_digests(range(sites))

    proof("D16", "one digest for one meaning", f"{number:,} ways to say {sites:,} sites", "equal where nothing differs, and only there")


def unsorted(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def with_the_time(document: Any) -> str:
    return sha256(payload.to_bytes(document)).hexdigest()


@pytest.mark.parametrize("rule", ["keys as they come", "the time is in it"])
def test_a_digest_of_more_than_the_meaning_is_noticed(proof: Proof, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    if rule == "keys as they come":
        monkeypatch.setattr(payload, "to_bytes", unsorted)
    else:
        monkeypatch.setitem(globals(), "digest", with_the_time)

    with pytest.raises(AssertionError, match="said in another way"):
        check_digests(range(50))

    proof("D16", f"negative control: {rule}", "1 rule broken", "noticed")


async def days_of_sameness(folder: Path, cycles: int) -> None:
    meaning, chance, clock, backend = a_meaning(Random(16)), Random(17), ManualClock(), FakeBackend()
    ledger = Ledger(open_store(folder), Redactor())
    digests = set()
    try:
        for _ in range(cycles):
            clock.advance(days=1)
            reader = FakeReader({"shop": read(meaning, chance)})
            task = Task(a_site(), clock.at.date(), Trigger.SCHEDULE)
            outcome = await sync_site(task, ports(reader, backend, ledger, clock))
            assert outcome.result is Result.DELIVERED
            digests |= {snapshot.digest for snapshot in ledger.structures("shop", limit=1)}
    finally:
        ledger.close()
    keys = {delivery.idempotency_key for delivery in backend.asked}
    assert (len(backend.asked), len(keys), len(digests)) == (cycles, cycles, 1), "not one push, with a key of its own, a day"


@pytest.mark.parametrize("cycles", [200, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_a_site_that_never_changes_is_pushed_every_day_under_a_key_of_its_own(
    memory: Path, proof: Proof, cycles: int
) -> None:
    await days_of_sameness(memory / "state", cycles)

    proof("D16 P2 P4", "a site that never changes", f"{cycles:,} days", f"{cycles:,} pushes, {cycles:,} keys, 1 digest")


async def test_a_push_that_is_spared_is_noticed(memory: Path, proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = sync.deliver

    async def sparing(delivery: Any, given: sync.Ports) -> Any:
        state: Any = given.state
        before = state.structures(delivery.site, limit=2)[1:]
        if before and before[0].digest == state.newest_structure(delivery.site).digest:
            return Result.DELIVERED, None, Receipt("8")
        return await deliver(delivery, given)

    monkeypatch.setattr(sync, "deliver", sparing)

    with pytest.raises(AssertionError, match="not one push"):
        await days_of_sameness(memory / "state", 5)

    proof("D16 P4", "negative control: equal digests are not pushed", "1 rule broken", "noticed")
