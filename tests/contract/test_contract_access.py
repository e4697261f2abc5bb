"""Finding the integration, credentials and refusals, over a real socket."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from contract_builders import a_document, an_entry, keyed, pushed

from agent.backend.contract import (
    BODY_LIMIT_BYTES,
    INTEGRATION_ID_PATTERN,
    Paths,
)


def test_the_integration_of_the_site_is_found(backend: Any) -> None:
    (row,) = backend.integrations(site=backend.site_id, platform="wordpress")

    assert re.fullmatch(INTEGRATION_ID_PATTERN, str(row["id"]))
    assert str(row["site"]) == backend.site_id
    assert row["platform"] == "wordpress"


def test_the_hub_lists_in_the_shape_it_is_told(backend: Any) -> None:
    if not backend.is_hub:
        pytest.skip("the shape of a foreign backend is its own")
    listing = backend.request("GET", Paths().integrations).json()

    match backend.shape:
        case "page":
            assert set(listing) == {"count", "next", "previous", "results"}
        case "envelope":
            assert set(listing) == {"success", "data"}
        case "list":
            assert isinstance(listing, list)


def test_an_unknown_site_has_no_integration(backend: Any) -> None:
    assert backend.integrations(site="987654321", platform="wordpress") == []


@pytest.mark.parametrize("bearer", ["", "wpsa_wrong", "a.b.c"])
def test_a_missing_or_wrong_bearer_is_401(backend: Any, bearer: str) -> None:
    integration_id = backend.integration_id
    for method, path in (
        ("GET", Paths().integrations),
        ("POST", Paths().update_structure(integration_id)),
        ("GET", Paths().content_types(integration_id)),
    ):
        answer = backend.request(method, path, bearer=bearer)
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers


def test_an_unknown_integration_is_404(backend: Any) -> None:
    assert backend.request("GET", Paths().content_types("987654321")).status_code == 404
    assert backend.request("POST", Paths().update_structure("987654321"), json=a_document()).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"post_types": {}}', b"[" * 50_000])
def test_a_body_that_is_no_structure_is_400_and_changes_nothing(backend: Any, body: bytes) -> None:
    pushed(backend, a_document())
    before = backend.read()

    path = Paths().update_structure(backend.integration_id)
    answer = backend.request("POST", path, content=body, headers={"Content-Type": "application/json", **keyed()})

    assert answer.status_code == 400
    assert backend.read() == before


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_a_body_over_the_hubs_limit_is_413(backend: Any, chunked: bool) -> None:
    if not backend.is_hub:
        pytest.skip("a foreign backend may take more")
    piece = b" " * 65_536
    pieces = BODY_LIMIT_BYTES // len(piece) + 1

    def stream() -> Iterator[bytes]:
        for _ in range(pieces):
            yield piece

    path = Paths().update_structure(backend.integration_id)
    content = stream() if chunked else piece * pieces
    answer = backend.request("POST", path, content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


def test_a_chunked_push_is_taken_whole(backend: Any) -> None:
    def stream() -> Iterator[bytes]:
        yield json.dumps(a_document(post_types={"chunk": an_entry("Chunks", 1)})).encode()

    path = Paths().update_structure(backend.integration_id)
    answer = backend.request("POST", path, content=stream(), headers={"Content-Type": "application/json", **keyed()})

    if answer.status_code == 411 and not backend.is_hub:
        pytest.skip("this backend wants a length; the agent always sends one")
    assert answer.status_code == 200
    assert list(backend.read()["post_types"]) == ["chunk"]


def test_logging_in_gives_an_access_token_that_a_refresh_renews(backend: Any) -> None:
    if not backend.email:
        pytest.skip("no e-mail and password were given")
    credentials = {"email": backend.email, "password": backend.password}

    answer = backend.request("POST", Paths().login, bearer="", json=credentials)
    assert answer.status_code == 200
    tokens = unwrapped(answer.json())
    assert backend.request("GET", Paths().integrations, bearer=tokens["access"]).status_code == 200

    answer = backend.request("POST", Paths().refresh, bearer="", json={"refresh": tokens["refresh"]})
    assert answer.status_code == 200
    renewed = unwrapped(answer.json())
    assert backend.request("GET", Paths().integrations, bearer=renewed["access"]).status_code == 200


def unwrapped(answer: Any) -> dict[str, str]:
    tokens: dict[str, str] = answer.get("data", answer)
    return tokens


def test_a_wrong_password_is_401(backend: Any) -> None:
    if not backend.email:
        pytest.skip("no e-mail and password were given")
    credentials = {"email": backend.email, "password": "wrong"}

    assert backend.request("POST", Paths().login, bearer="", json=credentials).status_code == 401
