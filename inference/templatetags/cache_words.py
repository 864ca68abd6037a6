from datetime import datetime

from django import template

from inference.cache import used_at
from inference.engine.cache.index import Held

register = template.Library()


@register.filter
def last_used(held: Held) -> datetime:
    return used_at(held)
