"""What a log line may hold."""

import subprocess
import sys

import pytest

FAILING = """
import sys
import structlog
from services.settings import LogSettings
from services.telemetry import configure_logging

configure_logging(LogSettings(format=sys.argv[1]), service="test")

def take(body):
    raise ValueError("boom")

try:
    take("ada" + chr(64) + "shop.example")
except ValueError:
    structlog.get_logger().exception("a call failed")
"""


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_an_exception_is_logged_without_what_its_variables_held(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", FAILING, form], capture_output=True, text=True, check=True)
    assert "a call failed" in done.stderr
    assert "boom" in done.stderr
    assert "ada@shop.example" not in done.stderr
