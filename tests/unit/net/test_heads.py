"""Heads of HTTP messages: what is sent, and what a peer's bytes mean."""

import pytest

from agent.net.heads import BadHead, Ending, Head, read_head, request_head

GET = [(b"Host", b"shop.example")]


def read(*lines: str, method: str = "GET", status: str = "HTTP/1.1 200 OK") -> Head:
    return read_head("\r\n".join((status, *lines)).encode("latin-1"), method=method)


def test_a_request_is_its_line_and_its_fields() -> None:
    assert request_head("GET", b"/a?b=c", [*GET, (b"X", b"a \xc3\xa4")]) == (
        b"GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nX: a \xc3\xa4\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "target", "field"),
    [
        ("GET", b"/", (b"X", b"a\r\nEvil: 1")),
        ("GET", b"/", (b"X", b"a\nEvil: 1")),
        ("GET", b"/", (b"X", b"a\rb")),
        ("GET", b"/", (b"X", b"a\x00b")),
        ("GET", b"/", (b"X: 1\r\nEvil", b"1")),
        ("GET", b"/", (b"X Y", b"1")),
        ("GET", b"/", (b"", b"1")),
        ("GET", b"/ HTTP/1.1\r\nEvil: 1\r\nX:", (b"Y", b"1")),
        ("GET", b"/a b", (b"X", b"1")),
        ("GET", b"/\xc3\xa4", (b"X", b"1")),
        ("GET", b"", (b"X", b"1")),
        ("GET /evil HTTP/1.1\r\n", b"/", (b"X", b"1")),
        ("GÉT", b"/", (b"X", b"1")),
        ("", b"/", (b"X", b"1")),
    ],
)
def test_nothing_is_sent_that_would_be_another_request(method: str, target: bytes, field: tuple[bytes, bytes]) -> None:
    with pytest.raises(BadHead):
        request_head(method, target, [*GET, field])


def test_fields_come_as_they_stand_and_in_order() -> None:
    head = read("A: 1", "b:2", "A:  x y \t", "c:", "d: \xe4\x01")

    assert head.fields == [(b"A", b"1"), (b"b", b"2"), (b"A", b"x y"), (b"c", b""), (b"d", b"\xe4\x01")]
    assert (head.status, head.is_last) == (200, True)  # without a length only hanging up ends it


def test_a_folded_field_is_one() -> None:
    assert read("A: 1\r\n   and 2\n\tand 3", "B: 4").fields == [(b"A", b"1 and 2 and 3"), (b"B", b"4")]


def test_lines_may_end_without_the_carriage_return() -> None:
    assert read_head(b"HTTP/1.1 204 \nA: 1\nB: 2", method="GET").fields == [(b"A", b"1"), (b"B", b"2")]


@pytest.mark.parametrize(
    ("lines", "ending"),
    [
        (["Content-Length: 5"], (Ending.LENGTH, 5)),
        (["Content-Length: 5", "content-length: 5"], (Ending.LENGTH, 5)),
        (["Content-Length: 5, 5"], (Ending.LENGTH, 5)),
        (["Content-Length: 0"], (Ending.LENGTH, 0)),
        (["Transfer-Encoding: Chunked"], (Ending.CHUNKS, 0)),
        ([], (Ending.HANGING_UP, 0)),
    ],
)
def test_a_body_ends_as_its_head_says(lines: list[str], ending: tuple[Ending, int]) -> None:
    head = read(*lines)

    assert (head.ending, head.length) == ending


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 103)])
def test_some_answers_have_no_body_whatever_their_length_says(method: str, status: int) -> None:
    head = read("Content-Length: 5", method=method, status=f"HTTP/1.1 {status} X")

    assert (head.ending, head.length) == (Ending.LENGTH, 0)


@pytest.mark.parametrize(
    ("status", "line", "is_last"),
    [
        ("HTTP/1.1 200 OK", "X: 1", False),
        ("HTTP/1.1 200 OK", "Connection: keep-alive, Close", True),
        ("HTTP/1.1 200 OK", "Connection: keep-alive\t,\tclose", True),
        ("HTTP/1.1 200 OK", "Connection: disclosed", False),
        ("HTTP/1.0 200 OK", "Connection: keep-alive", True),
        ("HTTP/1.1 200", "X: 1", False),
    ],
)
def test_a_peer_that_will_hang_up_says_so(status: str, line: str, is_last: bool) -> None:
    assert read("Content-Length: 1", line, status=status).is_last is is_last


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SSH-2.0-OpenSSH",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1  200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 200 O\x00K",
        "HTTP/1.1 200 OK\r\nA",
        "HTTP/1.1 200 OK\r\nA : 1",
        "HTTP/1.1 200 OK\r\n: 1",
        "HTTP/1.1 200 OK\r\nA\xff: 1",
        "HTTP/1.1 200 OK\r\nA: 1\x00",
        "HTTP/1.1 200 OK\r\nA: 1\r2",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 1,",
        "HTTP/1.1 200 OK\r\nContent-Length:",
        "HTTP/1.1 200 OK\r\nContent-Length: -1",
        "HTTP/1.1 200 OK\r\nContent-Length: +1",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1",
        "HTTP/1.1 200 OK\r\nContent-Length: \xb2",
        "HTTP/1.1 200 OK\r\nContent-Length: " + "1" * 21,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
    ],
)
def test_whatever_can_be_understood_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(BadHead):
        read_head(text.encode("latin-1"), method="GET")
