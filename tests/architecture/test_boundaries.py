"""Who may import whom, shown by really importing with the rest forbidden."""

import subprocess
import sys
import textwrap
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def run_without(forbidden: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter where importing any of these fails."""
    guard = f"""
        import sys
        class Guard:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {forbidden} or any(name.startswith(f) for f in {forbidden} if "." in f):
                    raise ImportError(f"{{name}} is forbidden here")
        sys.meta_path.insert(0, Guard())
    """
    program = textwrap.dedent(guard) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_the_api_runs_without_torch(tmp_path: object) -> None:
    done = run_without(
        ["torch", "numpy", "safetensors", "worker", "stillhouse", "opentelemetry.sdk", "opentelemetry.exporter"],
        f"""
        import os
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"  # asked for, and not to be had
        from starlette.testclient import TestClient
        from alembic import command
        from app.main import create_app
        from app.settings import Settings
        from migrations import config
        settings = Settings(data={str(tmp_path)!r}, broker_url="redis+socket:///nowhere.sock")
        command.upgrade(config(settings.database), "head")
        with TestClient(create_app(settings), "http://localhost", client=("127.0.0.1", 1)) as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/v1/catalog").status_code == 200
            assert client.get("/openapi.json").status_code == 200
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "stillhouse[tracing] is not installed" in done.stderr


def test_nothing_is_traced_where_no_collector_is_named() -> None:
    done = run_without(
        ["opentelemetry.sdk", "opentelemetry.exporter"],
        """
        import os
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            del os.environ[name]
        from app import tracing
        import worker.celery_app
        assert tracing.start("test") is None
        tracing.end()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_contract_needs_only_pydantic() -> None:
    done = run_without(
        ["fastapi", "starlette", "sqlalchemy", "celery", "torch", "numpy", "pydantic_settings", "httpx2", "yaml"],
        """
        import importlib, pkgutil, app.contract
        for module in pkgutil.iter_modules(app.contract.__path__):
            importlib.import_module(f"app.contract.{module.name}")
        """,
    )
    assert done.returncode == 0, done.stderr


def test_the_engine_needs_no_service() -> None:
    done = run_without(
        [
            "fastapi",
            "starlette",
            "sqlalchemy",
            "celery",
            "redis",
            "obstore",
            "pydantic_settings",
            "app.db",
            "app.settings",
        ],
        "import worker.engine.job, worker.engine.inspection.__main__",
    )
    assert done.returncode == 0, done.stderr


def test_the_celery_slot_never_imports_torch() -> None:
    done = run_without(["torch", "numpy"], "import worker.celery_app, worker.tasks, worker.supervisor, worker.janitor")
    assert done.returncode == 0, done.stderr


def closure(extra: str) -> set[str]:
    """Return the distributions that `pip install stillhouse[extra]` brings, by the installed packages' metadata."""
    found: set[str] = set()
    frontier = [("stillhouse", frozenset({extra}))]
    while frontier:
        name, extras = frontier.pop()
        for line in requires(name) or []:
            needed = Requirement(line)
            applies = needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in (extras or {""}))
            key = canonicalize_name(needed.name)
            if applies and (key not in found or needed.extras):
                frontier += [(needed.name, frozenset(needed.extras))] * (
                    key not in found or bool(needed.extras - extras)
                )
                found.add(key)
    return found


@pytest.mark.parametrize(
    ("extra", "absent", "present"),
    [
        ("", {"torch", "numpy", "fastapi", "sqlalchemy", "celery"}, {"pydantic"}),
        ("api", {"torch", "numpy"}, {"fastapi"}),
    ],
)
def test_what_an_installation_brings(extra: str, absent: set[str], present: set[str]) -> None:
    brought = closure(extra)
    assert not absent & brought
    assert present <= brought
