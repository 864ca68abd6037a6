"""Other APIs over the one chat path: each translates its request into chat's, and renders events its own way."""
