"""API keys: who is asking, what the key may do, and how much of it."""
