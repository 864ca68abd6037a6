from django import template

from videos import words

register = template.Library()


@register.filter
def code_word(code: str) -> words.Word:
    """A fact of a job's history, or the code of its error."""
    return words.of(code)


@register.filter
def status_word(status: str) -> words.Word:
    return words.STATUS[status]


@register.filter
def phase_word(phase: str) -> words.Word:
    return words.PHASES.get(phase, phase)


@register.filter
def task_word(name: str) -> words.Word:
    return words.TASKS.get(name, name)


@register.filter
def step_word(name: str) -> words.Word:
    return words.STEPS.get(name, name)
