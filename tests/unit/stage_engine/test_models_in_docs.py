"""Every model that the documents show loads as it stands there."""

import re
from pathlib import Path

import pytest

from tests.unit.stage_engine.builders import model, ordered, see

SHOP = (Path(__file__).parents[3] / "docs" / "shop.md").read_text(encoding="utf-8")
LIFECYCLE = SHOP.split("## lifecycle.yaml", 1)[1].split("\n## ", 1)[0]
BLOCKS = [block for block in re.findall(r"```yaml\n(.*?)```", LIFECYCLE, re.DOTALL) if "extends" in block]
FACTS = sorted(set(re.findall(r"`(\{(?:count|sum|min|max|distinct|latest|first|last|points): [^`]*\})`", LIFECYCLE)))

RULES = sorted(set(re.findall(r"`(enter: \[\{[^`…]*\}\])`", LIFECYCLE)))

DESIGN = """
facts:
  orders:        {distinct: Order Completed, of: order_id}
  revenue:       {sum: Order Completed, of: revenue, once_per: order_id, less: Order Refunded}
  last_order_at: {latest: Order Completed}
  views_7d:      {count: Product Viewed, within: 7d}
  nps:           {last: Survey Answered, of: score, where: event.kind == "nps"}
tracks:
  lifecycle:
    stages:
      awareness:     {start: true}
      interest:      {enter: [{on: Product Viewed, from: awareness}]}
      consideration: {enter: [{on: [Product Added, Product Added to Wishlist], from: [awareness, interest]}]}
      purchase:      {enter: [{on: Order Completed, when: facts.orders == 1}]}
      retention:     {enter: [{on: Order Completed, when: facts.orders >= 2, from: [purchase, at_risk, churned]}]}
      advocacy:      {enter: [{on: Survey Answered, when: event.kind == "nps" && event.score >= 9}]}
      at_risk:       {enter: [{after: 90d, since: facts.last_order_at, from: [purchase, retention, advocacy]}]}
      churned:       {enter: [{after: 90d, from: at_risk}]}
  cart:
    per: cart
    stages:
      active:    {start: true, on: [Product Added, Product Removed, Cart Updated]}
      abandoned: {enter: [{after: 1h, idle: true, from: active, when: size(cart.items) > 0}]}
      ordered:   {enter: [{on: [Order Completed, Order Reported]}], final: true}
"""


def test_the_designs_own_model_runs() -> None:
    assert see(ordered(), by=model(DESIGN), until="200d").went() == ["awareness", "purchase", "at_risk", "churned"]


@pytest.mark.parametrize("text", BLOCKS)
def test_a_model_in_the_docs_loads(text: str) -> None:
    assert model(text).tracks


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_in_the_docs_loads(fact: str) -> None:
    assert model(f"extends: seven-stage\nfacts: {{shown: {fact}}}").facts["shown"]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_in_the_docs_loads(rule: str) -> None:
    text = f"extends: seven-stage\ntracks: {{lifecycle: {{stages: {{vip: {{{rule}}}}}}}}}"
    assert model(text).track("lifecycle").stages[-1] == "vip"


def test_the_docs_show_every_kind_of_fact() -> None:
    assert len(FACTS) >= 15
    assert len(BLOCKS) >= 2
    assert len(RULES) >= 7
