"""The Chat page: conversations with this server's models, kept for each user."""
