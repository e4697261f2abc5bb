"""The pages people read."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub_browser import Browser
from hub_builders import Tenant, a_document, a_tenant, an_entry

HOSTILE_LABELS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{ settings.SECRET_KEY }}{% debug %}",
    "</title></textarea><svg onload=alert(1)>",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "\u202egnp.exe",
)


def page_of(browser: Browser, tenant: Tenant, document: Any = None) -> str:
    if document is not None:
        pushed = browser.post(tenant.push_path, bearer=tenant.api_key, json=document)
        assert pushed.status_code == 200
    answer = browser.get(f"/sites/{tenant.site.pk}/")
    assert answer.status_code == 200
    return answer.text


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page.split("<main")[1])))


def age(tenant: Tenant, **ago: float) -> None:
    tenant.integration.refresh_from_db()
    at = datetime.now(UTC) - timedelta(**ago)
    tenant.integration.last_structure_fetch = at
    tenant.integration.save()


def test_content_types_shows_totals_synced_limits_and_version(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.contents import record_contents

    record_contents(tenant.integration, family="post_type", type_slug="post", external_ids=range(50))
    document = a_document(post_types={"post": an_entry(), "book": an_entry("Books", 12_345, enabled=False)})

    page = page_of(browser, tenant, document)

    text = text_of(page)
    assert "Shop https://shop.example Sync now" in text
    assert "Structure last fetched just now Fresh WordPress 7.1.4" in text
    assert "Post types 2" in text
    assert "Books book 12,345 total · 0 synced No 100 Posts post 123 total · 50 synced Yes 100" in text
    assert "Taxonomies 1" in text
    assert '<progress max="123" value="50"' in page
    assert re.search(r'<time datetime="20\d\d-[^"]+\+00:00" title="\d[^"]+ UTC">just now</time>', page)


def test_a_bar_never_overflows(browser: Browser, tenant: Tenant) -> None:
    from agent.hub.integrations.contents import record_contents

    record_contents(tenant.integration, family="post_type", type_slug="post", external_ids=range(3))
    page = page_of(browser, tenant, a_document(post_types={"post": an_entry(count=2), "none": an_entry(count=0)}))

    assert '<progress max="2" value="2"' in page
    assert "2 total · 3 synced" in text_of(page)
    assert 'max="0"' not in page


@pytest.mark.parametrize("label", HOSTILE_LABELS)
def test_hostile_labels_are_text_and_isolated(browser: Browser, label: str) -> None:
    tenant = a_tenant(name=label, url="https://x.example/" + label)
    slug = label[:64]
    page = page_of(browser, tenant, a_document(post_types={slug: an_entry(label)}, wordpress_version=label))

    # The site's name twice, the version, the label and the slug, each isolated from the text around it.
    escaped = html.escape(label).replace("&#x27;", "&#39;")
    assert page.replace("&#x27;", "&#39;").count(f"<bdi>{escaped}</bdi>") == 5
    for opened in ("<script", "<img src=x", "<svg", "onerror=alert(1)>", "{{"):
        assert opened not in page.split("</head>")[1].replace(html.escape(label), "")


def test_a_site_without_structure_says_what_to_do(browser: Browser, tenant: Tenant) -> None:
    page = page_of(browser, tenant)

    assert "No structure yet" in page
    assert "<code>wpsa run</code>" in page
    assert "Never fetched" in page


def test_empty_families_are_said_to_be_empty(browser: Browser, tenant: Tenant) -> None:
    page = page_of(browser, tenant, a_document(post_types={}, taxonomies={}, wordpress_version=None))

    assert page.count("None that are public") == 2
    assert "version not known" in page


@pytest.mark.parametrize(
    ("ago", "badge", "said"),
    [
        ({"seconds": 40}, "Fresh", "just now"),
        ({"minutes": 3}, "Fresh", "3 minutes ago"),
        ({"hours": 23.9}, "Fresh", "23 hours ago"),
        ({"hours": 24.1}, "Stale", "1 day ago"),
        ({"days": 400}, "Stale", "400 days ago"),
        ({"hours": -5}, "Fresh", "just now"),
    ],
)
def test_freshness_is_judged_by_a_day(
    browser: Browser, tenant: Tenant, ago: dict[str, float], badge: str, said: str
) -> None:
    page_of(browser, tenant, a_document())
    age(tenant, **ago)

    page = page_of(browser, tenant)

    assert f">{badge}</span>" in page
    assert said in page
    assert ("older than a day" in page) == (badge == "Stale")


def test_the_pages_hold_no_script_or_style_of_their_own(browser: Browser, tenant: Tenant) -> None:
    for page in (page_of(browser, tenant, a_document()), browser.get("/sign-in/").text, browser.get("/nothing").text):
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)
        assert re.findall(r"<script.*", page) == re.findall(
            r'<script src="/static/hub\.[0-9a-f]{12}\.js" defer></script>', page
        )
        assert page.count('rel="stylesheet"') == 1


def contrast(first: str, second: str) -> float:
    """WCAG 2's ratio of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_enough_contrast(scheme: int) -> None:
    from agent.hub.static_files import FOLDER

    blocks = re.findall(r":root \{(.*?)\}", (FOLDER / "hub.css").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[scheme]))
    pairs = [(state, f"{state}-ground") for state in ("fresh", "stale", "never", "failing")]
    pairs += [("text", "accent-soft"), ("failing", "card")]
    pairs += [(text, ground) for text in ("text", "soft", "accent", "fresh") for ground in ("ground", "card")]
    pairs.append(("on-accent", "accent"))

    assert {pair: ratio for pair in pairs if (ratio := contrast(colours[pair[0]], colours[pair[1]])) < 4.5} == {}
    assert contrast(colours["line-strong"], colours["card"]) >= 3
    assert contrast(colours["focus"], colours["ground"]) >= 3
