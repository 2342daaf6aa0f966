"""The ground that ingest, stage_engine, notifier and console share. It imports none of them."""
