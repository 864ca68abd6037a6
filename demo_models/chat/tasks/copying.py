"""What the models take from what was said before: words to repeat, values for JSON, names, a system prompt."""

import json
import random

from demo_models.chat import lexicon
from demo_models.chat.conversation import Conversation, Turn, single, typed
from demo_models.chat.tasks.knowledge import colour, opposite
from demo_models.chat.tasks.numbers import arithmetic, counting
from demo_models.chat.tasks.talk import greeting

COLOURS = ("red", "green", "blue", "white", "black", "yellow")
LARGEST = 99


def repeating(chance: random.Random, language: str) -> Conversation:
    words, text = lexicon.of(language), _text(chance, language)
    phrase = chance.choice(words["ask"]["repeat"]).format(w=text)
    said = phrase if language == "zh" or chance.random() < 0.5 else phrase[:1].upper() + phrase[1:]
    return single("repeating", language, said, text, words["thought"]["repeat"])


def writing_json(chance: random.Random, language: str) -> Conversation:
    words = lexicon.of(language)
    values = {
        "name": lexicon.name(language, chance),
        "age": chance.randint(1, LARGEST),
        "city": lexicon.city(language, chance),
        "color": chance.choice(COLOURS),
        "id": chance.randint(1, LARGEST),
    }
    wanted = {key: values[key] for key in chance.sample(list(values), chance.choice((1, 2)))}
    listed = words["answer"]["and"].join(f"{key} {value}" for key, value in wanted.items())
    said = typed(chance.choice(words["ask"]["json"]).format(w=listed), language, chance)
    return single("JSON", language, said, json.dumps(wanted, ensure_ascii=False), " ".join(wanted) + ".")


def remembering(chance: random.Random, language: str) -> Conversation:
    """A name is told, perhaps something else is said, and the name is asked for."""
    words, name = lexicon.of(language), lexicon.name(language, chance)
    ask, answer, thought = words["ask"], words["answer"], words["thought"]["name"]
    told = typed(chance.choice(ask["my_name"]).format(n=name), language, chance)
    turns = [Turn(told, answer["nice"].format(n=name), thought)]
    kind = chance.random()
    if kind < 0.3:
        return Conversation("remembering", language, tuple(turns))
    asked = typed(chance.choice(ask["what_is_my_name"]), language, chance)
    if kind < 0.4:
        return single("remembering", language, asked, answer["no_name"], thought)
    if kind < 0.7:
        between = chance.choice((greeting, arithmetic, colour, opposite, counting))(chance, language)
        turns.append(between.turns[0])
    turns.append(Turn(asked, answer["your_name"].format(n=name), thought))
    return Conversation("remembering", language, tuple(turns))


def persona(chance: random.Random, language: str) -> Conversation:
    """The system prompt gives a name."""
    words, name = lexicon.of(language), lexicon.name(language, chance)
    said = typed(chance.choice(words["ask"]["what_is_your_name"]), language, chance)
    turn = Turn(said, words["answer"]["my_name"].format(n=name), words["thought"]["name"])
    system = chance.choice(words["ask"]["persona"]).format(n=name)
    return Conversation("system prompt", language, (turn,), system=system)


def _text(chance: random.Random, language: str) -> str:
    """No word twice: after the second, nothing says which of two texts goes on."""
    said = dict.fromkeys(_word(chance, language) for _ in range(chance.choice((1, 2, 2, 3, 3, 4, 5))))
    return ("" if language == "zh" else " ").join(said) + chance.choice(("", "", ".", "!"))


def _word(chance: random.Random, language: str) -> str:
    kind = chance.random()
    if kind < 0.3:
        return lexicon.invented(language, chance)
    if kind < 0.45:
        return str(chance.randint(0, LARGEST))
    if kind < 0.6:
        return lexicon.name(language, chance)
    pool = lexicon.of(language)["plain"] if kind < 0.8 else sorted(lexicon.known(language))
    return str(chance.choice(pool))
