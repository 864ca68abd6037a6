"""Small talk, and what the models can say about themselves and about fmlx."""

import random

from demo_models.chat import lexicon
from demo_models.chat.conversation import Conversation, single, typed


def greeting(chance: random.Random, language: str) -> Conversation:
    words = lexicon.of(language)
    found = chance.choice(words["greetings"])
    said = chance.choice(found["said"]).format(you=chance.choice(words["you"]))
    return single("greeting", language, typed(said, language, chance), found["answer"], found["thought"])


def about(chance: random.Random, language: str) -> Conversation:
    words = lexicon.of(language)
    found = chance.choice(words["facts"])
    said = typed(chance.choice(found["asked"]), language, chance)
    return single("about", language, said, found["answer"], words["thought"]["about"])
