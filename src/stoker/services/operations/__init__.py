"""What keeps a server going, and tells how it does."""
