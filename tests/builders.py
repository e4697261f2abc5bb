"""Values for tests, whole and ordinary unless a test says otherwise."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from agent.config import load
from agent.settings import Settings
from agent.state.records import Delivery, Receipt
from agent.structure.build import LastKnown, build_structure
from agent.structure.model import (
    Answers,
    Choices,
    Completeness,
    ContentType,
    Count,
    CountSource,
    Coverage,
    Family,
    LabelSource,
    Site,
    Structure,
    VersionAnswer,
)

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def a_site(name: str = "shop", url: str = "https://shop.example") -> Site:
    return Site(name, url)


def a_post_type(slug: str = "book", label: str | None = None) -> ContentType:
    return _a_type(Family.POST_TYPE, slug, label)


def a_taxonomy(slug: str = "genre", label: str | None = None) -> ContentType:
    return _a_type(Family.TAXONOMY, slug, label)


def _a_type(family: Family, slug: str, label: str | None) -> ContentType:
    return ContentType(family, slug, label or slug.title(), LabelSource.REST, "wp/v2", f"{slug}s")


def counted(value: int) -> Count:
    return Count(value, CountSource.COLLECTION)


def uncounted(reason: str = "http_500") -> Count:
    return Count(None, reason=reason)


def answers(*pairs: tuple[ContentType, Count], **fields: Any) -> Answers:
    """One reading of an ordinary shop, or of these (content type, count) pairs."""
    usual = (
        (a_post_type("post"), counted(123)),
        (a_post_type("page"), counted(12)),
        (a_taxonomy("category"), counted(9)),
    )
    values: dict[str, Any] = {
        "site_url": "https://shop.example",
        "home": "https://shop.example",
        "title": "Shop",
        "root": "https://shop.example/wp-json/",
        "version": VersionAnswer("6.9", "etag"),
        "coverage": Coverage(Completeness.REST_ONLY),
        "counted": pairs or usual,
        "finished_at": NOW,
        "requests": 7,
        "duration_seconds": 1.5,
    }
    return Answers(**(values | fields))


def a_structure(
    *pairs: tuple[ContentType, Count],
    choices: Choices | None = None,
    last_known: LastKnown | None = None,
    **fields: Any,
) -> Structure:
    return build_structure(answers(*pairs, **fields), choices=choices or Choices(), last_known=last_known or {})


def a_delivery(site: str = "shop", body: bytes = b'{"post_types":{},"taxonomies":{}}', **fields: Any) -> Delivery:
    values: dict[str, Any] = {
        "generation": 7,
        "body_sha256": sha256(body).hexdigest(),
        "idempotency_key": "k" * 64,
        "failures": 0,
        "owed_at": NOW,
        "next_at": NOW,
    }
    return Delivery(site=site, body=body, **(values | fields))


def a_receipt(integration_id: str = "42") -> Receipt:
    return Receipt(integration_id)


ONE_SITE = {
    "WPSA_SITE_URL": "https://shop.example",
    "WPSA_BACKEND_URL": "https://backend.example",
    "WPSA_BACKEND_API_KEY": "key-of-the-shop",
    "WPSA_BACKEND_SITE_ID": "7",
}
"""The environment of an agent with one site."""


def settings(environ: Mapping[str, str] = ONE_SITE, **arguments: Any) -> Settings:
    return load(arguments, environ=environ).settings
