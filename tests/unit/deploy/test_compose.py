"""compose.yaml, held against the code: nothing with Docker runs here, so all that can be read is checked."""

import json
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer

OURS = ("migrate", "apply", "ingest", "stage-engine", "notifier", "console")
SERVING = OURS[2:]


@pytest.fixture(scope="module")
def commands() -> set[str]:
    app = typer.Typer()
    for entry in entry_points(group="stagepost.commands"):
        entry.load()(app)
    known = (c.name or (c.callback.__name__.replace("_", "-") if c.callback else "") for c in app.registered_commands)
    return set(known)


def env_of(service: dict[str, Any], deploy: Path, smtp: str = "try.env") -> dict[str, str]:
    """What the container is given; `${SMTP_ENV:-…}` is taken to name `smtp`."""
    env: dict[str, str] = {}
    for _ in service.get("env_file", ()):
        lines = (deploy / smtp).read_text(encoding="utf-8").splitlines()
        env |= dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return env | service["environment"]


def test_all_that_is_built_here_is_known_to_this_test(compose: dict[str, Any]) -> None:
    assert {name for name, service in compose["services"].items() if "build" in service} == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_the_cli_has(name: str, compose: dict[str, Any], commands: set[str]) -> None:
    assert compose["services"][name]["command"][0] == name
    assert name in commands


@pytest.mark.parametrize("smtp", ["try.env", "smtp.env.example"])
@pytest.mark.parametrize("name", OURS)
def test_a_variable_is_a_setting_of_its_service(
    name: str, smtp: str, compose: dict[str, Any], deploy: Path, processes: dict[str, Any]
) -> None:
    known = processes[name].fields
    given = env_of(compose["services"][name], deploy, smtp)
    assert {
        variable for variable in given if variable not in known and variable.removesuffix("_FILE") not in known
    } == set()


@pytest.mark.parametrize("smtp", ["try.env", "smtp.env.example"])
@pytest.mark.parametrize("name", OURS)
def test_a_service_starts_with_what_it_is_given(
    name: str,
    smtp: str,
    compose: dict[str, Any],
    deploy: Path,
    processes: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loads the settings from these variables alone, with the secrets that the service is given and no others."""
    service = compose["services"][name]
    for secret in service.get("secrets", ()):
        content = {"webhook_secrets": "[]"}.get(secret, "postgresql://a-long-enough-secret")
        (tmp_path / secret).write_text(content)
    for variable, value in env_of(service, deploy, smtp).items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))
    loaded = processes[name].settings.load()
    if name in SERVING:
        assert (loaded.http.host, loaded.http.port) == ("0.0.0.0", processes[name].port)


@pytest.mark.parametrize("name", SERVING)
def test_ports_are_the_services_own_and_published_on_this_machine_only(
    name: str, compose: dict[str, Any], processes: dict[str, Any]
) -> None:
    port, service = processes[name].port, compose["services"][name]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"http://127.0.0.1:{port}/livez" in service["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", SERVING)
def test_a_service_waits_for_the_migration_and_the_stores(name: str, compose: dict[str, Any]) -> None:
    waits = {other: wait["condition"] for other, wait in compose["services"][name]["depends_on"].items()}
    assert waits == {
        "kafka": "service_healthy",
        "postgres": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    assert all("healthcheck" in compose["services"][other] for other in ("kafka", "postgres"))


def test_the_shop_is_mounted_for_reading_only(compose: dict[str, Any]) -> None:
    assert compose["services"]["apply"]["environment"]["STAGEPOST_SHOP"] == "/shop"
    assert [volume.rsplit(":", 2)[1:] for volume in compose["services"]["apply"]["volumes"]] == [["/shop", "ro"]]


def test_secrets_come_from_files_that_git_and_the_image_do_not_see(compose: dict[str, Any], deploy: Path) -> None:
    used = {secret for service in compose["services"].values() for secret in service.get("secrets", ())}
    assert used == set(compose["secrets"])
    assert all(secret == {"file": f"secrets/{name}"} for name, secret in compose["secrets"].items())
    assert {"secrets/", "smtp.env"} <= set((deploy / ".gitignore").read_text().splitlines())
    allowed = [line for line in (deploy.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "!deploy" not in allowed


def test_no_variable_holds_a_secret(compose: dict[str, Any], deploy: Path) -> None:
    secret = re.compile("PASSWORD|OPERATOR_KEY|NETWORK_KEY|WRITE_KEYS|WEBHOOK_SECRETS|DSN")
    for name, service in compose["services"].items():
        given = env_of(service, deploy, "smtp.env.example") if "environment" in service else {}
        bare = {variable for variable in given if secret.search(variable) and not variable.endswith("_FILE")}
        assert bare == set(), name


def test_the_mail_catcher_and_the_dashboards_run_only_when_asked_for(compose: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles") for name, service in compose["services"].items()}
    assert {name: profile for name, profile in profiles.items() if profile} == {
        "mailpit": ["try"],
        "prometheus": ["observe"],
        "grafana": ["observe"],
    }


def test_the_image_takes_all_packages_of_the_wheel_and_is_not_roots(deploy: Path) -> None:
    allowed = {line[1:] for line in (deploy.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"services", "shop", "requirements.lock", "requirements-dev.lock", "README.md", "pyproject.toml"} <= allowed
    assert all((deploy.parent / path).exists() for path in allowed)
    dockerfile = (deploy / "Dockerfile").read_text(encoding="utf-8")
    assert dockerfile.count("--require-hashes") == 2
    assert json.dumps(["stagepost"]) in dockerfile.split("ENTRYPOINT ")[1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", dockerfile, re.MULTILINE)
