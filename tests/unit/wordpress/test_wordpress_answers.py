"""What a site's bytes mean, as far as it can be said without a site."""

from hashlib import md5
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AnswerNotUnderstood
from agent.structure.model import Family
from agent.wordpress.address import identity
from agent.wordpress.answers import content_type, read_listing, read_total
from agent.wordpress.front import read_front_page, rest_link
from agent.wordpress.root import RestRoot
from agent.wordpress.version import version_of_etag


@pytest.mark.parametrize(
    ("header", "total"),
    [
        ("0", 0), ("123", 123), ("999999999999", 999_999_999_999), (7, 7),
        ("1000000000000", None), ("-5", None), ("+7", None), ("1_000", None), (" 12", None), ("12 ", None), ("12\n", None),
        ("12, 13", None), ("٣", None), ("１２", None), ("1.0", None), ("", None), (True, None), (-1, None), (1.5, None),
        (None, None),
    ],
)  # fmt: skip
def test_a_total_is_plain_digits_or_unknown(header: Any, total: int | None) -> None:
    assert read_total({"X-WP-Total": header}) == total


def test_two_totals_in_one_answer_are_none() -> None:
    headers = httpx.Headers([("X-WP-Total", "12"), ("X-WP-Total", "13")])

    assert read_total(headers) is None


@pytest.mark.parametrize(
    ("pages", "total"),
    [("12", 12), ("2", 12), ("", 12), ("x", 12), (None, 12), ("13", None), ("0", None)],
)
def test_a_total_is_not_believed_beside_more_pages_than_items_or_none(pages: str | None, total: int | None) -> None:
    assert read_total({"X-WP-Total": "12", "X-WP-TotalPages": pages}) == total
    assert read_total({"x-wp-total": "0", "x-wp-totalpages": "0"}) == 0


@pytest.mark.parametrize("value", [[], {}])
def test_an_empty_listing_is_empty_in_both_of_phps_spellings(value: Any) -> None:
    assert read_listing(Family.POST_TYPE, value, where="x") == ({}, [])


@pytest.mark.parametrize("value", ["x", 5, None, [1], [{}], {f"t{n}": {} for n in range(2_001)}, {"a": 5}, {"a/b": {}}])
def test_a_listing_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(AnswerNotUnderstood):
        read_listing(Family.POST_TYPE, value, where="x")


def test_one_bad_entry_among_many_is_left_out_and_named() -> None:
    value: dict[str, Any] = {f"type{n}": {"name": f"T{n}", "rest_base": f"t{n}"} for n in range(20)}

    read, warnings = read_listing(Family.POST_TYPE, value | {"bad": "entry"}, where="x")

    assert len(read) == 20
    assert len(warnings) == 1
    assert "bad" in warnings[0]


def test_a_name_that_fits_no_document_spoils_no_other() -> None:
    value = {slug: {"name": slug, "rest_base": slug} for slug in ("genre", "my tax", "a/b")}

    read, warnings = read_listing(Family.TAXONOMY, value, where="x")

    assert set(read) == {"genre"}
    assert sorted(text.split("'")[1] for text in warnings) == ["a/b", "my tax"]


def test_an_entry_without_its_base_has_no_route_since_its_slug_may_be_anothers() -> None:
    kind = content_type(Family.POST_TYPE, "book", {"name": "Books", "rest_namespace": "wp/v2"})

    assert kind is not None
    assert kind.rest_base is None


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
)


@given(st.text(max_size=70), VALUES | st.dictionaries(st.sampled_from(["name", "rest_base", "rest_namespace"]), VALUES))
def test_any_entry_is_a_content_type_or_none(slug: str, entry: Any) -> None:
    kind = content_type(Family.TAXONOMY, slug, entry)

    if kind is not None:
        assert kind.slug == slug
        assert kind.label.strip()
        for part in (kind.rest_base, kind.rest_namespace):
            assert part is None or not (set(part) & set("?#\\ \n") or ".." in part or "://" in part)


@given(
    st.sampled_from(["https://a.example/wp-json/", "https://a.example/index.php?rest_route=/", "https://a.example/?rest_route=/&lang=de"]),
    st.text(max_size=40),
)
def test_no_slug_leaves_the_api(root: str, path: str) -> None:
    url = httpx.URL(RestRoot(root).route(f"wp/v2/{path.encode('utf-8', 'replace').decode()}", per_page=1))

    assert (url.scheme, url.host, url.port, url.fragment) == ("https", "a.example", None, "")
    if "rest_route" in root:
        assert url.path in ("/", "/index.php")
        assert url.params["rest_route"].startswith("/wp/v2")
    else:
        assert url.raw_path.startswith(b"/wp-json/wp/v2")
    assert url.params["per_page"] == "1"


@pytest.mark.parametrize(
    ("etag", "version"),
    [
        ("6.1.9", "6.1.9"), ('"6.1.9"', "6.1.9"), ('W/"6.1.9"', "6.1.9"), ("6.5-beta2", "6.5-beta2"),
        (f'W/"{md5(b"WP:7.1.4;", usedforsecurity=False).hexdigest()}"', "7.1.4"),
        (f'W/"{md5(b"WP:99.9;", usedforsecurity=False).hexdigest()}"', None),
        ('"5f2-61a"', None), ("", None), ("W/", None), ('"6"', None), ("6.1.9\n", None), ("6." + "1" * 99, None),
    ],
)  # fmt: skip
def test_a_version_is_exact_or_unknown(etag: str, version: str | None) -> None:
    assert version_of_etag(etag) == version


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://shop.example/", "http://www.shop.example", True),
        ("https://SHOP.example:443", "https://shop.example", True),
        ("https://käse.example", "https://xn--kse-qla.example/", True),
        ("https://shop.example/blog", "https://shop.example", False),
        ("https://shop.example:8443", "https://shop.example", False),
        ("https://shop.example.evil.example", "https://shop.example", False),
    ],
)
def test_two_spellings_of_one_site_are_one(one: str, other: str, same: bool) -> None:
    assert (identity(one) == identity(other)) is same


@given(st.text())
def test_any_text_has_an_identity(text: str) -> None:
    identity(text)
    identity(f"https://{text}")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('<https://a/wp-json/>; rel="https://api.w.org/"', "https://a/wp-json/"),
        ('<https://a/>; rel=shortlink, <https://a/wp-json/>; rel="https://api.w.org/"', "https://a/wp-json/"),
        ('<https://a/wp-json/>; title="a, b"; rel="x https://api.w.org/"', "https://a/wp-json/"),
        ('<https://a/>; rel="shortlink"', None), ("", None), ("<", None),
    ],
)  # fmt: skip
def test_the_rest_root_is_announced_by_a_link(link: str, target: str | None) -> None:
    assert rest_link(httpx.Headers({"link": link})) == target


@given(st.binary(max_size=400), st.text(max_size=80).map(lambda text: text.encode()))
def test_no_front_page_is_a_bug(body: bytes, link: bytes) -> None:
    page = b'<html><head><link rel="https://api.w.org/" href="' + body + b'"><title>' + body

    read_front_page("https://a.example/", httpx.Headers([(b"link", link)]), body + page)
