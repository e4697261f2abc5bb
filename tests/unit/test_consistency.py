"""What is allowed and yet unwise; what contradicts itself is refused, see test_config.py."""

import pytest
from builders import ONE_SITE

from agent.config import load
from agent.consistency import cautions

IN_CLEAR = {"WPSA_SITE_URL": "http://shop.example", "WPSA_SITE_ALLOW_INSECURE_HTTP": "true"}
LOGIN = {"WPSA_SITE_USERNAME": "u", "WPSA_SITE_APPLICATION_PASSWORD": "p"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        (IN_CLEAR, None),
        (LOGIN, None),
        (IN_CLEAR | LOGIN, "the login of site shop.example passes the network in clear"),
        (IN_CLEAR | {"WPSA_SITE_HTTP_USERNAME": "u", "WPSA_SITE_HTTP_PASSWORD": "p"}, "the login of site shop.example"),
        (LOGIN | {"WPSA_SITE_URL": "http://127.0.0.1:8080"}, None),
        ({"WPSA_BACKEND_URL": "http://127.0.0.1:8000"}, None),
        ({"WPSA_BACKEND_URL": "http://b.example", "WPSA_BACKEND_ALLOW_INSECURE_HTTP": "true"}, "what opens the backend passes"),
    ],
    ids=str,
)  # fmt: skip
def test_what_opens_a_door_should_not_pass_the_network_in_clear(given: dict[str, str], said: str | None) -> None:
    found = list(cautions(load({}, environ=ONE_SITE | given).settings))

    assert [one.said.startswith(said or "") for one in found] == [True] * (said is not None)
