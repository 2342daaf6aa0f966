"""Alerts and the dashboard, held against the metrics that the code has: a name that drifts draws an empty panel."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

import console.app
import ingest.measures
import notifier.metrics
import services.revisions.metrics
import stage_engine.metrics

MODULES = (console.app, ingest.measures, notifier.metrics, services.revisions.metrics, stage_engine.metrics)
FROM_PROMETHEUS = {"job", "instance", "le", "alertname", "alertstate"}


def metrics() -> dict[str, MetricWrapperBase]:
    """By the name of each sample, every metric of the services."""
    named: dict[str, MetricWrapperBase] = {}
    for metric in (
        value for module in MODULES for value in vars(module).values() if isinstance(value, MetricWrapperBase)
    ):
        base = metric.describe()[0].name
        match metric:
            case Counter():
                suffixes: tuple[str, ...] = ("_total",)
            case Histogram():
                suffixes = ("_bucket", "_sum", "_count")
            case _:
                suffixes = ("",)
        named |= {base + suffix: metric for suffix in suffixes}
    return named


def expressions(deploy: Path) -> Iterator[tuple[str, str]]:
    for rule in read_yaml(deploy / "prometheus" / "rules.yaml")["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]
    board = json.loads((deploy / "grafana" / "dashboards" / "stagepost.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def read_yaml(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return found


def labels_of(metric: MetricWrapperBase) -> tuple[str, ...]:
    names: tuple[str, ...] = metric._labelnames  # noqa: SLF001  a metric without children tells its labels nowhere else
    return names


def test_the_services_metrics_are_all_found_here() -> None:
    """So that the tests below look at all of them: what is registered under our prefix is what the modules hold."""
    held = {name for metric in metrics().values() for name in (metric.describe()[0].name,)}
    registered = {family.name for family in REGISTRY.collect() if family.name.startswith("stagepost_")}
    assert registered == held


def test_every_metric_in_a_query_exists_with_its_labels(deploy: Path) -> None:
    known = metrics()
    for title, expression in expressions(deploy):
        names = re.findall(r"\bstagepost_\w+", expression)
        assert set(names) <= set(known), title
        labels = {label for name in names for label in labels_of(known[name])} | FROM_PROMETHEUS
        asked = [name for group in re.findall(r"by \(([^)]*)\)", expression) for name in re.split(r",\s*", group)]
        asked += re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
        assert set(asked) <= labels, title


def test_every_metric_is_on_the_dashboard_or_in_an_alert(deploy: Path) -> None:
    """Nothing is counted for nobody; sign-ins are for who looks into a case."""
    used = {name for _, expression in expressions(deploy) for name in re.findall(r"\bstagepost_\w+", expression)}
    unused = {metric.describe()[0].name for name, metric in metrics().items() if name not in used} - {
        metrics()[name].describe()[0].name for name in used
    }
    assert unused == {"stagepost_console_sign_ins"}


def test_every_metric_is_in_the_handbook(operations: str) -> None:
    for metric in metrics().values():
        described = metric.describe()[0]
        name = described.name + ("_total" if isinstance(metric, Counter) else "")
        labels = ", ".join(labels_of(metric)) or "none"
        assert f"| `{name}` | {labels} |" in operations


def test_prometheus_asks_every_service_at_its_port(deploy: Path, processes: dict[str, Any]) -> None:
    config = read_yaml(deploy / "prometheus" / "prometheus.yaml")
    asked = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert asked == {name: [f"{name}:{processes[name].port}"] for name in processes if name not in ("migrate", "apply")}
    assert config["rule_files"] == ["rules.yaml"]


def test_every_alert_says_what_is_the_matter_and_what_to_do(deploy: Path) -> None:
    rules = read_yaml(deploy / "prometheus" / "rules.yaml")["groups"][0]["rules"]
    assert rules
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]


def test_every_alert_is_tried_and_is_in_the_handbook(deploy: Path, operations: str) -> None:
    """`promtool test rules` runs the trials; here we see that none is missing."""
    tried = (deploy / "prometheus" / "rules.test.yaml").read_text(encoding="utf-8")
    for rule in read_yaml(deploy / "prometheus" / "rules.yaml")["groups"][0]["rules"]:
        assert f'{{alertname="{rule["alert"]}"' in tried
        assert f"`{rule['alert']}`" in operations


def test_the_dashboard_finds_its_datasource_and_is_found(deploy: Path, compose: dict[str, Any]) -> None:
    provisioning = deploy / "grafana" / "provisioning"
    (source,) = read_yaml(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    board = json.loads((deploy / "grafana" / "dashboards" / "stagepost.json").read_text(encoding="utf-8"))
    used = {target["datasource"]["uid"] for panel in board["panels"] for target in panel.get("targets", ())}
    assert used == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    (provider,) = read_yaml(provisioning / "dashboards" / "stagepost.yaml")["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]


def test_panels_have_their_own_ids_and_do_not_overlap(deploy: Path) -> None:
    panels = json.loads((deploy / "grafana" / "dashboards" / "stagepost.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in (panel["gridPos"],)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@pytest.mark.parametrize("name", ["stagepost_ingest_requests_total", "stagepost_ingest_ack_seconds_bucket"])
def test_samples_have_the_names_that_prometheus_sees(name: str) -> None:
    assert name in metrics()
