"""Set-up and the test suite, from a bare Python to a running server. Standard library only."""
