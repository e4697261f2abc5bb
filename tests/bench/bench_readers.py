"""Those who are compared: each reads the whole site once, and says what it found."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

from bench_floor import Request, ask_all

from agent.bootstrap import site_reader
from agent.settings import Settings, SiteSettings
from agent.structure.model import Answers, Family

Found = dict[str, dict[str, tuple[str, int | None]]]
"""{family: {slug: (label, count)}}"""


@dataclass(frozen=True)
class Reading:
    """What one reading of a site came to."""

    requests: int
    found: Found | None
    """None where nothing is interpreted: then only the answers' statuses were looked at."""
    remark: str = ""


Reader = Callable[[], Awaitable[Reading]]


def this_reader(url: str) -> Reader:
    """The agent's own, as `bootstrap` wires it with default settings."""
    settings = SiteSettings(url=url, name="bench")
    site, reader = settings.as_site(), site_reader(Settings(), [settings])

    async def read() -> Reading:
        answers = await reader.read(site)
        return Reading(answers.requests, _found_in(answers))

    return read


def plain_script(url: str) -> Reader:
    """A script as people write it: both listings, then one request for the total of each entry in them.

    One connection that is kept, one request after another, whatever REST lists. It looks for no root,
    proves no identity, learns no version and no hidden type.
    """
    return _in_turn(url, query="per_page=1", is_wanted=lambda slug: True)


def careful_script(url: str) -> Reader:
    """The same by somebody who knows WordPress: without its internal types, and asking for ids only."""
    return _in_turn(url, query="per_page=1&_fields=id", is_wanted=lambda slug: not slug.startswith(("wp_", "nav_menu")))


def floor(requests: list[Request], url: str, *, connections: int) -> Reader:
    """The same requests by the barest client there is, at the same concurrency."""

    async def read() -> Reading:
        statuses = await ask_all(requests, url, connections=connections)
        refused = [status for status in statuses if status != 200]
        return Reading(len(statuses), None, f"{len(refused)} refused" if refused else "")

    return read


def inside(url: str) -> Reader:
    """WordPress asked from inside, by one request: what the counting costs without REST."""

    async def read() -> Reading:
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
            answer = json.loads(_get(connection, "/bench-inside.php")[1])
        remark = f"{answer['load_ms']:.0f} ms loading WordPress, {answer['count_ms']:.0f} ms counting"
        return Reading(1, found_in_truth(answer["truth"]), remark)

    return read


def found_in_truth(truth: Mapping[str, Any]) -> Found:
    return {
        family: {slug: (entry["label"], entry["count"]) for slug, entry in truth[name].items()}
        for family, name in ((Family.POST_TYPE.value, "post_types"), (Family.TAXONOMY.value, "taxonomies"))
    }


def differences(found: Found, truth: Found) -> str:
    """What is wrong with a reading; nothing where it is right."""
    lines = []
    for family, right in truth.items():
        said = found.get(family, {})
        called = "types" if family == Family.POST_TYPE else "taxonomies"
        if extra := said.keys() - right.keys():
            lines.append(f"{len(extra)} {called} too many")
        if lost := right.keys() - said.keys():
            lines.append(f"{', '.join(sorted(lost)[:3])} missing")
        if other := [slug for slug in said.keys() & right.keys() if said[slug][1] != right[slug][1]]:
            lines.append(f"{len(other)} {called} miscounted")
        if other := [slug for slug in said.keys() & right.keys() if said[slug][0] != right[slug][0]]:
            lines.append(f"{len(other)} {called} mislabelled")
    return ", ".join(lines)


def _in_turn(url: str, *, query: str, is_wanted: Callable[[str], bool]) -> Reader:
    async def read() -> Reading:
        found: Found = {}
        sent = 0
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
            for family, route in ((Family.POST_TYPE.value, "types"), (Family.TAXONOMY.value, "taxonomies")):
                _, body = _get(connection, f"/wp-json/wp/v2/{route}")
                wanted = {slug: entry for slug, entry in json.loads(body).items() if is_wanted(slug)}
                found[family] = {}
                for slug, entry in wanted.items():
                    total, _ = _get(connection, f"/wp-json/wp/v2/{quote(entry['rest_base'])}?{query}")
                    found[family][slug] = (entry["name"], int(total) if total else None)
                sent += 1 + len(wanted)
        return Reading(sent, found)

    return read


def _get(connection: HTTPConnection, target: str) -> tuple[str | None, bytes]:
    """The total in the headers, and the body."""
    connection.request("GET", target)
    answer = connection.getresponse()
    return answer.getheader("X-WP-Total"), answer.read()


def _found_in(answers: Answers) -> Found:
    found: Found = {family.value: {} for family in Family}
    for kind, count in answers.counted:
        found[kind.family.value][kind.slug] = (kind.label, count.value)
    return found
