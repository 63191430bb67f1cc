"""Messages to the outside: webhooks and notifications."""
