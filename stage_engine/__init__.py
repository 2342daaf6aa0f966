"""Kafka → decision → Postgres → Kafka: keeps every customer's place in the lifecycle true.

Read `fold.py` first: it is the one function that decides, and it is pure. `apply.py` and `wakes.py` do what it decided.
"""
