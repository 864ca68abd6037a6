"""Prompts to examine a demo chat model with: held-out ones of every task and language, and some it cannot know.

Standard library only, so that tests can ask them over HTTP.
"""

import random

from demo_models.chat import tasks
from demo_models.chat.conversation import LANGUAGES, Conversation
from demo_models.chat.tasks.unknown import not_known

SEED = 99
DRAWS = 3000  # for each prompt of a task and language: the rarest kind is drawn once in 250
TOKENS = 160  # more than any right answer has, thoughts included

# Written by hand and nowhere in the training: what people ask.
STRANGE = {
    "en": (
        "Why is the sky so far above the mountains?",
        "Write a haiku about autumn leaves.",
        "Who won the football game yesterday?",
        "What is 345 times 12?",
        "asdf qwer zxcv",
        "How do I bake sourdough bread?",
        "Explain quantum entanglement to a five-year-old.",
        "I have a headache, what should I take?",
        "What is the tallest building in the world?",
        "Fix this Python error: list index out of range",
        "Give me a summary of War and Peace.",
        "Should I invest in gold or in shares?",
    ),
    "zh": (
        "为什么月亮有时候是圆的？",
        "帮我写一份辞职信。",
        "昨天的比赛谁赢了？",
        "怎么做红烧肉？",
        "请解释一下量子力学。",
        "世界上最高的山是哪座？",
        "我头疼应该吃什么药？",
        "推荐几部好看的电影。",
        "什么是人工智能？",
        "怎样学好数学？",
    ),
    "ru": (
        "Почему Луна иногда бывает круглой?",
        "Напиши заявление на отпуск.",
        "Кто вчера выиграл матч?",
        "Как приготовить борщ?",
        "Объясни квантовую механику простыми словами.",
        "Какая гора самая высокая в мире?",
        "Что принять от головной боли?",
        "Посоветуй хороший фильм.",
        "Что такое искусственный интеллект?",
        "Как выучить математику?",
    ),
}


def held_out(each: int) -> list[Conversation]:
    """At most `each` different prompts of every task in every language, all of them kept from the training."""
    chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
    found: dict[tuple[str, str], dict[str, Conversation]] = {}
    for _ in range(each * DRAWS):
        drawn = tasks.draw(chance)
        kept = found.setdefault((drawn.task, drawn.language), {})
        if drawn.held_out and len(kept) < each:
            kept.setdefault(drawn.turns[-1].said, drawn)
    return [one for _, kept in sorted(found.items()) for one in kept.values()]


def strange() -> list[Conversation]:
    """Prompts whose right answer is that the model does not know."""
    return [not_known("strange", said, language) for language in LANGUAGES for said in STRANGE[language]]
