"""The Models page: every model that was found, what its engine does, and what people decide about it."""
