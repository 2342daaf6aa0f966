"""Scenarios: stories that a shop writes down to try its model with. docs/scenarios.md tells how."""
