"""Models from a hub: asked for by people and programs, fetched by a node in a process of its own, found when whole.

`fetch`, `transfer` and `wanted` are that process's; it runs in the mlx-lm runtime and imports nothing of the site.
"""
