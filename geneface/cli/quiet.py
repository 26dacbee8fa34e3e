"""Keeps the diagnostics of native libraries away from the terminal."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# MediaPipe and TensorFlow Lite write these whatever the log level asked for: absl's informational and warning
# lines ("I0000 00:00:...", "W0000 ..."), and the remark that comes before the first of them.
_NOISE = re.compile(rb"^([IW]\d{4} [\d:.]+ |WARNING: All log messages before absl|INFO: Created TensorFlow)")


@contextmanager
def quiet_native_libraries() -> Iterator[None]:
    """Filter what is written to file descriptor 2; Python's `sys.stderr` goes past the filter, straight out.

    Nothing is done where standard error has no file descriptor.
    """
    try:
        out = os.dup(2)
    except OSError:
        yield
        return
    read, write = os.pipe()
    # Buffered by the line, so that a forwarded line never splits one.
    own, sys.stderr = sys.stderr, io.TextIOWrapper(
        os.fdopen(os.dup(out), "wb"), encoding="utf-8", errors="replace", line_buffering=True
    )
    os.dup2(write, 2)
    os.close(write)
    thread = threading.Thread(target=_forward, args=(read, out), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(out, 2)  # closes the pipe's last writing end here, which ends the thread
        thread.join(timeout=1)
        sys.stderr.close()
        sys.stderr = own
        if not thread.is_alive():  # a child process may still hold the pipe
            os.close(out)


def _forward(read: int, out: int) -> None:
    with os.fdopen(read, "rb") as lines:
        for line in lines:
            if not _NOISE.match(line):
                os.write(out, line)
