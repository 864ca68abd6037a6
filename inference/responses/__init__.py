"""Responses that are stored: kept with their key, made in the background, streamed again."""
