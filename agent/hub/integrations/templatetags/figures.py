"""`{% load figures %}`: numbers and times as people read them."""

from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html

from agent.hub.integrations.freshness import say_age

register = template.Library()


@register.filter
def grouped(number: int) -> str:
    """1234567 as 1,234,567."""
    return f"{number:,}"


@register.simple_tag
def ago(moment: datetime) -> str:
    """A moment that has passed as its age, with the exact time on hover."""
    return _time(moment, say_age(timezone.now() - moment))


@register.simple_tag
def on_day(moment: datetime) -> str:
    """A moment as its day, with the exact time on hover."""
    return _time(moment, moment.astimezone(UTC).strftime("%-d %B %Y"))


@register.simple_tag
def to_the_minute(moment: datetime) -> str:
    """A moment as day and time, with the seconds on hover."""
    return _time(moment, moment.astimezone(UTC).strftime("%-d %B %Y, %H:%M"))


def _time(moment: datetime, said: str) -> str:
    moment = moment.astimezone(UTC)
    exact = moment.strftime("%-d %B %Y, %H:%M:%S UTC")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(timespec="seconds"), exact, said)
