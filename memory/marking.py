"""Marking texts for translation where there is no Django: in workers and before anything is installed."""


def gettext_noop(text: str) -> str:
    """The text itself. The tool that gathers what is to be translated looks for this name."""
    return text
