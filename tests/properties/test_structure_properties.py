"""Whatever a site says: one document, canonical, and fit to travel."""

import json
import unicodedata
from typing import Any

from builders import a_post_type, a_structure, a_taxonomy
from hypothesis import given
from hypothesis import strategies as st

from agent.structure.diff import diff
from agent.structure.label import LIMIT_CHARACTERS, clean_label
from agent.structure.model import Choice, Choices, ContentType, Count, Structure
from agent.structure.payload import digest, to_bytes, to_document

slugs = st.text("abcdefghij-_%", min_size=1, max_size=8)
kinds = st.builds(lambda make, slug: make(slug), st.sampled_from([a_post_type, a_taxonomy]), slugs)
counts = st.one_of(
    st.integers(0, 10**9).map(lambda value: Count(value)), st.just(Count(None, reason="http_500"))
)
readings = st.lists(st.tuples(kinds, counts), max_size=8, unique_by=lambda pair: (pair[0].family, pair[0].slug))
memories = st.dictionaries(st.tuples(kinds, st.integers(0, 99)).map(lambda p: (p[0].family, p[0].slug)), st.integers(0, 99))
choices = st.builds(Choices, st.builds(Choice, st.booleans(), st.integers(1, 3)), st.just({}), st.booleans(), st.booleans())

Pairs = list[tuple[ContentType, Count]]


def structure(pairs: Pairs, memory: Any, choices: Choices | None = None) -> Structure:
    return a_structure(*(pairs or [(a_post_type("post"), Count(1))]), choices=choices, last_known=memory)


@given(readings, memories, st.randoms())
def test_order_never_matters_and_no_count_is_made_up(pairs: Pairs, memory: Any, random: Any) -> None:
    shuffled = random.sample(pairs, len(pairs))

    built = structure(pairs, memory)

    assert to_bytes(to_document(built)) == to_bytes(to_document(structure(shuffled, memory)))
    said = {(kind.family, kind.slug): count.value for kind, count in pairs}
    for entry in built.entries if pairs else ():
        key = (entry.content_type.family, entry.content_type.slug)
        assert entry.count.value == (said[key] if said[key] is not None else memory[key])


@given(readings, readings, memories, choices, choices)
def test_changes_and_digest_agree(before: Pairs, after: Pairs, memory: Any, then: Choices, now: Choices) -> None:
    old, new = (to_document(structure(*said)) for said in ((before, memory, then), (after, memory, now)))

    assert not diff(old, old)
    assert bool(diff(old, new)) == (digest(old) != digest(new))


@given(st.text() | st.text(st.sampled_from("<>&;ab/'#39\x00\u202e\ud800")))
def test_every_label_can_be_encoded_and_shown(raw: str) -> None:
    label = clean_label(raw)

    if label is not None:
        assert 0 < len(label) <= LIMIT_CHARACTERS
        assert label.strip()
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in label)
        json.dumps(label, ensure_ascii=False).encode()
