"""What the processes of the service print: one JSON object a line, with the request or the job that it is about."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app import logs
from app.settings import Settings
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from tests.worker.workers import api, worker


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Logs do not meet the database's dialect."""
    return sqlite_url


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def formatted(formatter: logging.Formatter, **facts: logs.Fact) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logs.bind(**facts)
    error = ValueError("a\nb")
    told = (ValueError, error, None)
    handler.handle(logging.LogRecord("test", logging.ERROR, "", 1, "two\nlines of %s", ("text",), told))
    return stream.getvalue()


def test_a_line_of_json_is_one_line_whatever_it_says() -> None:
    [line] = lines(formatted(logs.JsonLines(), job_id="job_1", attempt=2))
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "test", "two\nlines of text")
    assert (line["job_id"], line["attempt"]) == ("job_1", 2)
    assert "ValueError: a\nb" in line["traceback"]


def test_a_line_of_text_ends_with_what_it_is_about() -> None:
    said = formatted(logs.TextLines(), job_id="job_1", attempt=2)
    assert "ERROR   test: two\nlines of text [job_id=job_1 attempt=2]\nValueError" in said


@pytest.mark.parametrize(("level", "seen"), [("info", ["hello", "trouble"]), (" Warning", ["trouble"])])
def test_the_level_holds_for_uvicorn_too(level: str, seen: list[str]) -> None:
    program = """if True:
        import logging, sys, uvicorn
        from app import logs
        from app.settings import Settings
        uvicorn.Config("nothing")  # sets up uvicorn's own
        logs.set_up("json", Settings(log_level=sys.argv[1]).log_level)
        logging.getLogger("uvicorn.access").info("hello")
        logging.getLogger("uvicorn.error").debug("nobody's business")
        logging.getLogger("worker").warning("trouble")
    """
    ran = subprocess.run([sys.executable, "-c", program, level], capture_output=True, text=True, check=True)
    assert [line["message"] for line in lines(ran.stderr)] == seen


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="'debug', 'info', 'warning' or 'error'"):
        Settings(log_level="loud")


def test_every_line_of_a_request_has_its_id(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with api(settings, log) as client:
        client.get("/v1/jobs", headers={"X-Request-ID": "well"})
        Path(settings.database.removeprefix("sqlite+aiosqlite:///")).write_bytes(b"not a database any more" * 99)
        assert client.get("/v1/jobs", headers={"X-Request-ID": "ill"}).status_code >= 500
    said = lines(log.read_text())
    assert [line["logger"] for line in said if line.get("request_id") == "well"] == ["uvicorn.access"]
    ill = [line for line in said if line.get("request_id") == "ill"]
    assert {"app.api.problems", "uvicorn.access"} <= {line["logger"] for line in ill}


@pytest.mark.anyio
async def test_every_line_of_a_supervisor_has_its_job_and_attempt(house: House) -> None:
    [job_id] = await house.submit(training={"epochs": 1})
    with worker(house.settings, STILLHOUSE_LOG_FORMAT="json") as running:
        await eventually(lambda: house.is_over(job_id), seconds=90, what="the end of the job")
        said = [line for line in lines(running.said()) if line["logger"].startswith("worker.")]
    assert said
    assert {(line["job_id"], line["attempt"]) for line in said} == {(job_id, 1)}
