"""Log lines on their way out: whoever reads them may be slow, stuck or gone, and the work goes on."""

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable

QUEUED_BYTES = 1024 * 1024
"""What waits for a reader at most; warnings and errors may take as much again."""
FLUSH_SECONDS = 0.3
"""How long the way out waits for a reader; the whole of it has two seconds."""


class LineQueue:
    """Writes lines to a descriptor from a thread of its own; no call of ours ever waits for the reader.

    told_of_dropped   called in that thread, with their number, when lines can be written again after
                      some could not; it may put a line in
    """

    def __init__(self, descriptor: int, *, told_of_dropped: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._told_of_dropped = told_of_dropped
        self._lines: deque[bytes] = deque()
        self.waiting_bytes = 0
        """Not written yet."""
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def put(self, line: str, *, urgent: bool = False) -> None:
        """Have this line written, or count it as dropped when too many wait. Urgent ones have a reserve."""
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        with self._changed:
            if self._closed or self.waiting_bytes + len(data) > QUEUED_BYTES * (2 if urgent else 1):
                self._dropped += 1
                return
            self._lines.append(data)
            self.waiting_bytes += len(data)
            if self._writer is None:
                # A daemon thread: a write that never returns must not hold the interpreter.
                self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
                self._writer.start()
            self._changed.notify_all()

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all is written, but not longer than this."""
        with self._changed:
            self._changed.wait_for(lambda: not self.waiting_bytes, seconds)

    def close(self) -> None:
        """Write what can be written soon, and end the thread."""
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            writer, stuck = self._writer, self.waiting_bytes > 0
        if writer and not stuck:
            writer.join(FLUSH_SECONDS)  # it may be about to tell of dropped lines, which takes the handler's lock

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if self._closed:
                    return
                data = self._lines.popleft()
            written = _write(self._descriptor, data)
            with self._changed:
                self.waiting_bytes -= len(data)
                self._dropped += not written
                dropped = self._dropped if written and not self._lines else 0
                self._dropped -= dropped
                self._changed.notify_all()
            if dropped:
                self._told_of_dropped(dropped)


def _write(descriptor: int, data: bytes) -> bool:
    """Whether all of it could be written; waits for the reader as long as it takes."""
    rest = memoryview(data)
    try:
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # somebody shares the pipe and made it so
                waiting = select.poll()
                waiting.register(descriptor, select.POLLOUT)
                waiting.poll()
    except OSError:  # nobody reads any more, or the disk is full: the work goes on
        return False
    return True


class LineHandler(logging.Handler):
    """The end of the pipeline; formats in the thread that logs, writes in the queue's."""

    def __init__(self, lines: LineQueue) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put(self.format(record), urgent=record.levelno >= logging.WARNING)
        except Exception:  # noqa: BLE001 - a line that cannot be rendered is no reason to end the work
            self.handleError(record)

    def flush(self) -> None:
        self._lines.flush()

    def close(self) -> None:
        self._lines.close()
        super().close()
