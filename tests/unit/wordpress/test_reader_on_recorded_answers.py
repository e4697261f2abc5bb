"""The reader's logic on answers that real sites gave; that they are real is test_recorded's proof."""

from typing import Any

import pytest
import respx
from recordings import PASSWORD, SITE, replay

from agent.bootstrap import site_reader
from agent.config import load
from agent.structure.build import build_structure
from agent.structure.model import Completeness, CountSource
from agent.structure.payload import to_document

pytestmark = pytest.mark.anyio

HIDDEN = {("post_types", "hidden_pub"), ("taxonomies", "hidden_tax")}


async def read(**login: str) -> Any:
    settings = load({"site": {"url": SITE, **login}}, environ={}).settings
    assert settings.site is not None
    return await site_reader(settings, [settings.site]).read(settings.site.as_site())


def document(answers: Any) -> dict[str, Any]:
    settings = load({"site": {"url": SITE}}, environ={}).settings
    assert settings.site is not None
    return to_document(build_structure(answers, choices=settings.choices_for(settings.site), last_known={}))


def shown(told: dict[str, Any]) -> dict[tuple[str, str], tuple[str, int]]:
    families = ("post_types", "taxonomies")
    return {(key, slug): (one["label"], one["count"]) for key in families for slug, one in told[key].items()}


@pytest.mark.parametrize("release", ["7.1", "6.1"])
async def test_an_administrator_sees_what_php_sees(release: str, respx_mock: respx.Router) -> None:
    truth = replay(f"{release}-administrator", respx_mock)

    answers = await read(username="administrator", application_password=PASSWORD)

    assert answers.login.state == "proved"
    assert answers.coverage.completeness is Completeness.FULL
    assert shown(document(answers)) == shown(truth)
    assert document(answers)["wordpress_version"] == truth["wordpress_version"]


@pytest.mark.parametrize("release", ["7.1", "6.1"])
async def test_a_stranger_sees_the_same_but_what_rest_hides(release: str, respx_mock: respx.Router) -> None:
    truth = replay(f"{release}-stranger", respx_mock)

    answers = await read()

    told, true = shown(document(answers)), shown(truth)
    assert {key: told[key] for key in told.keys() - HIDDEN} == {key: true[key] for key in true.keys() - HIDDEN}
    assert told[("post_types", "hidden_pub")][1] == true[("post_types", "hidden_pub")][1]
    assert answers.coverage.completeness is Completeness.PARTIAL


async def test_totals_that_lost_their_header_come_in_the_envelope(respx_mock: respx.Router) -> None:
    truth = replay("7.1-without-totals", respx_mock)

    answers = await read()

    told, true = shown(document(answers)), shown(truth)
    assert {key: told[key] for key in told.keys() - HIDDEN} == {key: true[key] for key in true.keys() - HIDDEN}
    sources = {kind.slug: count.source for kind, count in answers.counted}
    assert sources["post"] is CountSource.ENVELOPE
    assert sources["nocontroller"] is CountSource.SEARCH


async def test_a_wrong_login_that_rest_answers_as_a_stranger_is_not_taken_for_one(respx_mock: respx.Router) -> None:
    replay("7.1-wrong-password", respx_mock)

    answers = await read(username="administrator", application_password="wrong wrong wrong")

    assert answers.login.state == "failed"
    assert answers.coverage.completeness is Completeness.PARTIAL
