"""What travels between the services: events in, stage changes out, and the names of the topics they travel on."""
