"""Who reaches whom under a cluster's NetworkPolicies, by the rules that Kubernetes writes down for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True)
class Party:
    """A pod with its labels, perhaps of another namespace, or an address outside."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""
    address: str = ""


def reaches(policies: Iterable[Any], source: Party, target: Party, port: int, *, protocol: str = "TCP") -> bool:
    """Whether the one may open a connection, and the other lets it in."""
    policies = list(policies)
    return _let(policies, "Egress", source, target, port, protocol) and _let(
        policies, "Ingress", target, source, port, protocol
    )


def _let(policies: list[Any], direction: str, judged: Party, peer: Party, port: int, protocol: str) -> bool:
    side = "to" if direction == "Egress" else "from"
    concerned = [
        spec for spec in (policy["spec"] for policy in policies)
        if direction in spec["policyTypes"] and not judged.namespace and _selects(spec["podSelector"], judged.labels)
    ]  # fmt: skip
    return not concerned or any(
        (side not in rule or any(_is(one, peer) for one in rule[side]))
        and ("ports" not in rule or {"protocol": protocol, "port": port} in rule["ports"])
        for spec in concerned for rule in spec.get(direction.lower(), [])
    )  # fmt: skip


def _is(described: Any, peer: Party) -> bool:
    if block := described.get("ipBlock"):
        return _lies_in(block["cidr"], peer) and not any(_lies_in(cidr, peer) for cidr in block.get("except", []))
    if peer.address:
        return False
    if "namespaceSelector" in described:
        return _selects(described["namespaceSelector"], {"kubernetes.io/metadata.name": peer.namespace})
    return not peer.namespace and _selects(described["podSelector"], peer.labels)


def _lies_in(cidr: str, peer: Party) -> bool:
    return bool(peer.address) and ip_address(peer.address) in ip_network(cidr)


def _selects(selector: Any, labels: dict[str, str]) -> bool:
    """Nothing is asked of the labels by an empty selector."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        one["operator"] == "In" and labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )
