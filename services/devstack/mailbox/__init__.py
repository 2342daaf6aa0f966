"""The stack's mail server: keeps every message it gets, shows them, and refuses on demand."""
