"""Telling others' programs what happened here: webhooks of API keys, signed, and delivered until they are taken."""
