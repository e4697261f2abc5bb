"""A site with a past, and its neighbours: what the pages show when they have something to show."""

from typing import Any

from hub_process import Hub

LABELS = {
    "attachment": "Media",
    "book": "Books",
    "event": "Readings & Events",
    "page": "Pages",
    "post": "Posts",
    "recipe": "Café-Rezepte",
}
DAYS = 30
QUARTER = (
    ("Bäckerei Lindner", "https://baeckerei-lindner.example", "7.1.4", 41, {"post": 64, "page": 18, "product": 212}),
    ("Café Morgenrot", "https://morgenrot.example", "7.1.4", 96, {"post": 131, "page": 9, "event": 37}),
    ("Fahrrad Winter", "https://fahrrad-winter.example", "7.1.3", 212, {"post": 88, "page": 24, "product": 1_946}),
    ("Musikschule am Park", "https://musikschule.example", "7.1.4", 388, {"post": 205, "page": 61, "course": 48}),
    ("Weingut Sommer", "https://weingut-sommer.example", "7.0.6", 655, {"post": 47, "page": 15, "product": 83}),
)
"""Sites that are doing well: name, address, WordPress version, minutes since the last fetch, counts."""


def an_entry(label: str, count: int) -> dict[str, Any]:
    return {"label": label, "count": count, "enabled": True, "fetch_limit": 100}


def a_document(**changes: Any) -> dict[str, Any]:
    return {
        "site_url": "https://shop.example",
        "wordpress_version": "7.1.4",
        "timestamp": "2026-11-21T10:00:00Z",
        "post_types": {"post": an_entry("Posts", 123), "page": an_entry("Pages", 12)},
        "taxonomies": {"category": an_entry("Categories", 9)},
        "plugin_connection_enabled": True,
        "two_way_sync_enabled": True,
        **changes,
    }


def on_day(days_ago: int) -> dict[str, Any]:
    """What the bookshop held so many days ago: it grows, renames a type, drops some events, adds podcasts."""
    age = DAYS - days_ago
    counts = {
        "attachment": 420 + age * age // 20,
        "book": 48 + age // 2 + age // 7,
        "event": 12 + age - (14 if days_ago < 6 else 0),
        "page": 12,
        "post": 171 + age + age // 4,
        "recipe": 23 + age // 5,
    }
    types = {slug: an_entry(LABELS[slug], count) for slug, count in counts.items()}
    if days_ago < 12:
        types["book"]["label"] = "Books & Zines"
    if days_ago < 9:
        types["podcast"] = an_entry("Podcast episodes", 2 + (9 - days_ago) // 2)
    terms = {
        "category": an_entry("Categories", 5),
        "genre": an_entry("Genres", 7),
        "post_tag": an_entry("Tags", 9 + age // 6),
    }
    return a_document(
        site_url="https://paper-and-ink.example",
        wordpress_version="7.1.4" if days_ago < 14 else "7.1.3",
        post_types=types,
        taxonomies=terms,
    )


def furnish(hub: Hub, owner: str) -> dict[str, int]:
    """Four sites, one of each health; {name: site id}."""
    shop = hub.arrange("a_site", owner=owner, name="Paper & Ink", url="https://paper-and-ink.example")
    for days_ago in range(DAYS, -1, -1):
        hub.arrange(
            "a_push", integration=shop["integration"], document=on_day(days_ago), ago_minutes=days_ago * 1440 + 3
        )
    held = {"post": 150, "attachment": 120, "book": 60, "event": 28, "recipe": 22, "page": 12}
    for slug, number in held.items():
        hub.arrange("contents", integration=shop["integration"], type_slug=slug, number=number)
    for slug, number in (("genre", 7), ("category", 5), ("post_tag", 11)):
        hub.arrange("contents", integration=shop["integration"], type_slug=slug, number=number, family="taxonomy")
    failed = {
        "message": "paper-and-ink.example answered 502 to GET /wp-json/",
        "hint": "Look at the site in a browser and at its error log; the agent tries again by itself.",
    }
    hub.arrange(
        "a_run", integration=shop["integration"], result="unreadable", reason="src_5xx", ago_minutes=1460, **failed
    )
    said = "structure synced successfully: 7 post types, 3 taxonomies"
    hub.arrange("a_run", integration=shop["integration"], result="delivered", message=said, ago_minutes=3)

    studio = hub.arrange("a_site", owner=owner, name="Studio Kranich", url="https://kranich.example")
    hub.arrange(
        "a_push",
        integration=studio["integration"],
        document={**on_day(3), "site_url": "https://kranich.example"},
        ago_minutes=3 * 1440,
    )
    nord = hub.arrange("a_site", owner=owner, name="Atelier Nord", url="https://atelier-nord.example")
    hub.arrange(
        "a_push",
        integration=nord["integration"],
        document={**on_day(1), "site_url": "https://atelier-nord.example"},
        ago_minutes=700,
    )
    refused = {
        "message": "could not log in to atelier-nord.example as “sync-bot”: the password was refused",
        "hint": "Create a new application password for that user, then run: wpsa check",
    }
    hub.arrange("a_run", integration=nord["integration"], result="held", reason="src_auth", ago_minutes=60, **refused)
    journal = hub.arrange("a_site", owner=owner, name="The Garden Journal", url="https://garden.example/journal")
    sites = {"shop": shop, "studio": studio, "nord": nord, "journal": journal}
    return {name: site["site"] for name, site in sites.items()}


def furnish_quarter(hub: Hub, owner: str) -> None:
    """More sites beside those four, as an agency has them."""
    for name, url, version, minutes, counts in QUARTER:
        site = hub.arrange("a_site", owner=owner, name=name, url=url)
        types = {slug: an_entry(slug.title() + "s", count) for slug, count in counts.items()}
        document = a_document(site_url=url, wordpress_version=version, post_types=types)
        hub.arrange("a_push", integration=site["integration"], document=document, ago_minutes=minutes)
