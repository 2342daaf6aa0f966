"""`stagepost demo`: a sample shop's visitors through the public HTTP API, and what becomes of them."""
