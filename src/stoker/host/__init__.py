"""A host: its agent, its zygotes, and the children that execute runs."""
