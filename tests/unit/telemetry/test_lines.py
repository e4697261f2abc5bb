"""Whoever reads the log may be slow, stuck or gone: the work goes on, and what is missing is counted."""

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.redact import Redactor
from agent.telemetry.lines import QUEUED_BYTES, LineHandler, LineQueue
from agent.telemetry.logs import configure

LINE = "x" * 999
FITTING = QUEUED_BYTES // 1000


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def read_until(self, last: str) -> list[str]:
        said = b""
        while not said.endswith(b"\n") or last.encode() not in said.splitlines()[-1]:
            said += os.read(self.read_end, 1 << 20)
        return said.decode().splitlines()

    def close_reader(self) -> None:
        os.close(self.read_end)
        self.read_end = -1

    def close(self) -> None:
        for end in (self.read_end, self.write_end):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def new_queue(pipe: Pipe) -> Iterator[Callable[..., LineQueue]]:
    """A function: a queue into the pipe. At the end somebody reads it empty, so that its thread can end."""
    made: list[LineQueue] = []

    def open_queue(told: Callable[[int], None] = lambda _: None) -> LineQueue:
        made.append(LineQueue(pipe.write_end, told_of_dropped=told))
        return made[-1]

    yield open_queue
    for queue in made:
        drain = threading.Thread(target=lambda: all(iter(lambda: os.read(pipe.read_end, 1 << 20), b"")))
        if pipe.read_end >= 0:
            drain.start()
        queue.close()
        if drain.is_alive():
            os.close(pipe.write_end)
            pipe.write_end = -1
            drain.join()


def test_lines_arrive_in_their_order(pipe: Pipe, new_queue: Callable[..., LineQueue]) -> None:
    queue = new_queue()
    for number in range(50):
        queue.put(f"line {number}")

    assert pipe.read_until("line 49") == [f"line {number}" for number in range(50)]


def test_a_reader_that_is_stuck_stops_nobody_and_costs_a_bounded_memory(new_queue: Callable[..., LineQueue]) -> None:
    queue = new_queue()

    for _ in range(10 * FITTING):
        queue.put(LINE)

    assert 0 < queue.waiting_bytes <= QUEUED_BYTES


def test_what_was_dropped_is_said_once_somebody_reads_again(pipe: Pipe, new_queue: Callable[..., LineQueue]) -> None:
    queue = new_queue(lambda lines: queue.put(f"dropped {lines}"))
    written = 10 * FITTING
    for _ in range(written):
        queue.put(LINE)

    *arrived, said = pipe.read_until("dropped")

    assert set(arrived) == {LINE}
    assert said == f"dropped {written - len(arrived)}"


def test_a_warning_has_room_where_the_rest_has_none(pipe: Pipe, new_queue: Callable[..., LineQueue]) -> None:
    queue = new_queue()
    for _ in range(10 * FITTING):
        queue.put(LINE)
    while queue.waiting_bytes < QUEUED_BYTES:
        queue.put("")

    queue.put("act now", urgent=True)

    assert pipe.read_until("act now")[-1] == "act now"


def test_a_reader_that_has_left_is_no_reason_to_stop(pipe: Pipe, new_queue: Callable[..., LineQueue]) -> None:
    queue = new_queue(lambda _: pytest.fail("nobody is there to be told"))
    pipe.close_reader()

    for _ in range(100):
        queue.put(LINE)
        queue.flush()

    assert queue.waiting_bytes == 0


def test_a_pipe_that_somebody_made_impatient_is_waited_for(pipe: Pipe, new_queue: Callable[..., LineQueue]) -> None:
    os.set_blocking(pipe.write_end, False)
    queue = new_queue()

    for number in range(FITTING // 2):
        queue.put(f"{LINE}{number:06}")

    assert len(pipe.read_until(f"{FITTING // 2 - 1:06}")) == FITTING // 2


def test_the_end_does_not_wait_for_a_reader_that_is_stuck(new_queue: Callable[..., LineQueue]) -> None:
    queue = new_queue()
    for _ in range(FITTING):
        queue.put(LINE)

    queue.close()
    waiting = queue.waiting_bytes
    queue.put("too late")

    assert 0 < queue.waiting_bytes == waiting


def test_a_file_gets_its_lines_through_the_pipeline(tmp_path: Path, fresh_logging: None) -> None:
    with (tmp_path / "log").open("w") as stream:
        configure(level="info", format="json", redactor=Redactor(), stream=stream)
        [handler] = logging.getLogger().handlers

        logging.getLogger("library").warning("said")
        handler.flush()

        assert isinstance(handler, LineHandler)
        [line] = map(json.loads, (tmp_path / "log").read_text().splitlines())
        assert line["event"] == "said"
        handler.close()


def test_dropped_lines_are_a_line_of_the_log(pipe: Pipe, fresh_logging: None) -> None:
    with os.fdopen(os.dup(pipe.write_end), "w") as stream:
        configure(level="info", format="json", redactor=Redactor(), stream=stream)
        for _ in range(10 * FITTING):
            logging.getLogger("library").info(LINE)

        lines: list[dict[str, Any]] = [json.loads(line) for line in pipe.read_until("log.dropped")]

        assert (lines[-1]["event"], lines[-1]["level"]) == ("log.dropped", "warning")
        assert lines[-1]["lines"] == 10 * FITTING - len(lines) + 1
