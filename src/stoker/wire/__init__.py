"""The messages between the parts: one module per conversation."""
