"""The shop in force: numbered revisions of its directory in Postgres, and the one row that says which is active."""
