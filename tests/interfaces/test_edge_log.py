"""The log lines of a node as they stand in the journal."""

import io
import logging

from tocsin.interfaces.edge import log_to_stderr


def test_what_a_stranger_sent_makes_no_second_line_in_the_log_and_moves_no_cursor() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        log_to_stderr()
        (handler,) = root.handlers
        written = io.StringIO()
        handler.setStream(written)  # type: ignore[attr-defined]
        log = logging.getLogger("tocsin.test")
        log.warning("input_dropped", extra={"words": "x\n2026-01-01T00:00:00Z INFO part_works\x1b[2J\u2028", "site": "größe"})
        logging.getLogger("uvicorn.error").info("Started server process")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert written.getvalue().count("\n") == 1
    assert written.getvalue().endswith(
        r"input_dropped words=x\n2026-01-01T00:00:00Z INFO part_works\x1b[2J\u2028 site=größe" + "\n"
    )
