"""The pages that links in mails lead to: what the internet may reach of the notifier."""
