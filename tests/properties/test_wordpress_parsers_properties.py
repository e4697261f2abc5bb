"""Whatever a site answers: a value of ours, or an error of ours."""

import json
import re
import unicodedata
from contextlib import suppress
from typing import Any

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from agent.errors import AnswerNotUnderstood
from agent.strictjson import BadJson, parse_json_in_noise
from agent.structure.label import LIMIT_CHARACTERS, clean_label, label_from_slug
from agent.structure.model import Family
from agent.wordpress.address import host_of, identity
from agent.wordpress.answers import content_type, own_links, read_index, read_listing, read_total
from agent.wordpress.front import read_front_page, read_rsd, rest_link
from agent.wordpress.root import RestRoot
from agent.wordpress.version import version_of_etag
from agent.wordpress.xmlrpc import XmlRpcRefused, XmlRpcUnavailable, parse_answer

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
KEYS = st.sampled_from(
    ["name", "slug", "rest_base", "rest_namespace", "visibility", "viewable", "public", "routes", "/wp/v2/search",
     "endpoints", "args", "subtype", "items", "enum", "url", "home", "namespaces", "_links", "collection", "href"]
)  # fmt: skip
LIKE_WORDPRESS: Any = st.recursive(
    JSON | st.just(["wp/v2"]) | st.just("wp/v2"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)


@given(st.text() | JSON)
@example("&lt;script&gt;alert(1)&lt;/script&gt;")
@example("A &amp;amp;#38; B")
@example("\x1b[31mred\x07\r\n")
def test_a_label_is_clean_or_none(raw: Any) -> None:
    label = clean_label(raw)

    if label is not None:
        assert label.strip() and len(label) <= LIMIT_CHARACTERS
        assert unicodedata.is_normalized("NFC", label)
        assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in label)
        label.encode()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs")), max_size=LIMIT_CHARACTERS))
def test_a_label_without_markup_stays_as_it_is(text: str) -> None:
    if any(character in text for character in "&<>") or not text.strip():
        return

    assert clean_label(text) == unicodedata.normalize("NFC", text)[:LIMIT_CHARACTERS]


@given(st.text(min_size=1).filter(lambda slug: slug.strip(" -_")))
def test_a_slug_always_gives_a_label(slug: str) -> None:
    assert label_from_slug(slug)


@given(st.text() | st.integers() | JSON)
@example("١٢")
@example("1_000")
@example(" 12 ")
@example("-5")
@example("12, 13")
@example(True)
def test_a_total_is_a_number_of_ascii_digits_or_unknown(value: Any) -> None:
    total = read_total({"x-wp-total": value})

    if isinstance(value, str) and re.fullmatch("[0-9]{1,12}", value):
        assert total == int(value)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12:
        assert total == value
    else:
        assert total is None


@given(LIKE_WORDPRESS)
def test_any_json_is_an_index_or_none(value: Any) -> None:
    index = read_index(value)

    assert index is None or isinstance(index.home, str)


@given(st.sampled_from(Family), LIKE_WORDPRESS)
def test_any_json_is_a_listing_or_not_understood(family: Family, value: Any) -> None:
    try:
        listing, _ = read_listing(family, value, where="here")
    except AnswerNotUnderstood as error:
        assert error.hint
    else:
        assert all(kind.slug == slug and kind.label.strip() for slug, kind in listing.items())


@given(st.sampled_from(Family), st.text(), LIKE_WORDPRESS)
def test_any_entry_is_a_content_type_or_none(family: Family, slug: str, entry: Any) -> None:
    kind = content_type(family, slug, entry)

    if kind is not None and kind.rest_base is not None:
        url = RestRoot("https://example.com/wp-json/").route(f"{kind.rest_namespace}/{kind.rest_base}", per_page=1)
        assert url.startswith("https://example.com/wp-json/")
        assert httpx.URL(url).host == "example.com"
        assert ".." not in httpx.URL(url).path.split("/")


@given(LIKE_WORDPRESS)
def test_the_links_of_any_json_are_text(value: Any) -> None:
    assert all(isinstance(link, str) for link in own_links(value))


@given(st.text(st.characters(max_codepoint=0xFF, exclude_categories=("Cc",))), st.binary(max_size=300))
@example('<https://x/wp-json/>; rel="https://api.w.org/", <https://x/>; rel=shortlink', b"")
def test_any_page_is_a_front_page(link: str, body: bytes) -> None:
    headers = httpx.Headers([(b"link", link.encode("latin-1"))])

    page = read_front_page("https://example.com/", headers, b"<html><head>" + body)

    assert page.rest_root is None or isinstance(page.rest_root, str)
    read_rsd(body)


@given(st.lists(st.tuples(st.sampled_from(["alternate", "shortlink", "https://api.w.org/"]), st.booleans()), max_size=6))
def test_the_rest_link_is_found_among_others(relations: list[tuple[str, bool]]) -> None:
    links = [
        f'<https://x/{number}?a=1,2>; rel={f""""{relation}" """.strip() if quoted or "/" in relation else relation}'
        for number, (relation, quoted) in enumerate(relations)
    ]
    wanted = next((n for n, (relation, _) in enumerate(relations) if relation == "https://api.w.org/"), None)

    found = rest_link(httpx.Headers({"link": ", ".join(links)}))

    assert found == (None if wanted is None else f"https://x/{wanted}?a=1,2")


@given(st.text())
def test_any_etag_is_a_version_or_none(tag: str) -> None:
    version = version_of_etag(tag)

    assert version is None or re.match(r"\d+\.\d", version)


@given(st.text())
@example("http://[::1")
@example("http://example.com:99999999/")
@example("http://xn--/")
@example("http://ex\u00a0ample.com")
def test_any_address_has_an_identity(url: str) -> None:
    assert isinstance(identity(url), str)
    assert isinstance(host_of(url), str)


@given(st.binary(max_size=400), st.sampled_from([b"", b"<?xml version='1.0'?>", b"<?xml?><methodResponse>"]))
@example(b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>", b"")
@example(b"<methodResponse><params><param><value><struct><member></member></struct></value></param></params></methodResponse>", b"")
@example(b"<methodResponse><fault><value><int>4</int></value></fault></methodResponse>", b"")
@example(b"<methodResponse></methodResponse>", b"")
def test_any_bytes_are_an_xmlrpc_answer_or_unavailable(body: bytes, head: bytes) -> None:
    try:
        answer = parse_answer(head + body)
    except XmlRpcUnavailable:
        return
    assert not isinstance(answer, XmlRpcRefused) or isinstance(answer.code, int)


TAGS = st.sampled_from(
    [f"<{end}{tag}>".encode() for end in ("", "/") for tag in
     ("methodResponse", "params", "param", "value", "struct", "member", "name", "array", "data", "int", "string",
      "boolean", "double", "base64", "dateTime.iso8601", "nil", "fault", "i8", "ex:i4")]
    + [b"1", b"x", b"faultCode", b"faultString", b"&amp;", b"20260101T00:00:00"]
)  # fmt: skip


@given(st.lists(TAGS, max_size=20).map(b"".join))
def test_any_soup_of_xmlrpc_tags_is_an_answer_or_unavailable(soup: bytes) -> None:
    with suppress(XmlRpcUnavailable):
        parse_answer(b"<methodResponse>" + soup + b"</methodResponse>")


@given(st.binary(max_size=50), LIKE_WORDPRESS, st.sampled_from([b"", b"\n<!-- cached -->", b" \n", b"<!-- a --><!-- b -->"]))
def test_json_is_found_in_noise_or_refused(noise: bytes, value: Any, behind: bytes) -> None:
    body = noise + json.dumps(value).encode() + behind
    try:
        found, noisy = parse_json_in_noise(body)
    except BadJson:
        return
    assert noisy or (not noise.strip(b" \n\r\t") and not behind.strip()) or found is not None
