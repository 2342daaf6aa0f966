"""Alembic's environment and versions: schemas `engine`, `notifier`, and the views of `reporting`."""
