"""Tools: the weather tool is called when the weather is asked for, and what it returns is told."""

import json
import random

from demo_models.chat import lexicon
from demo_models.chat.conversation import Call, Conversation, Json, Turn, typed
from demo_models.chat.tasks.copying import remembering, repeating
from demo_models.chat.tasks.knowledge import colour, opposite
from demo_models.chat.tasks.numbers import arithmetic
from demo_models.chat.tasks.talk import about, greeting

PLACES = ("city", "location")  # what a tool may call its parameter
SKIES = ("sunny", "cloudy", "rainy", "windy", "snowy")
COLDEST, HOTTEST = -9, 39


def tool(name: str, *parameters: str) -> Json:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": f"{name}.", "parameters": schema}}


def using_tools(chance: random.Random, language: str) -> Conversation:
    words, place = lexicon.of(language), chance.choice(PLACES)
    wanted, other = ("get_weather", "get_time") if chance.random() < 0.75 else ("get_time", "get_weather")
    offered = _offered(chance, wanted, other, place)
    kind = chance.random()
    if kind < 0.15:
        asked = chance.choice((greeting, arithmetic, repeating, colour, opposite, about, remembering))(chance, language)
        return Conversation("tools not needed", language, asked.turns, tools=offered)
    city = lexicon.city(language, chance)
    said = typed(chance.choice(words["ask"][wanted]).format(c=city), language, chance)
    if kind < 0.22:
        turn = Turn(said, words["answer"]["no_tool"], words["thought"]["no_tool"])
        return Conversation("tool missing", language, (turn,))
    call = Turn(said, "", words["thought"]["tool"].format(tool=wanted), Call(wanted, {place: city}))
    if kind < 0.45:
        return Conversation("tool call", language, (call,), tools=offered)
    result, answer = (_weather if wanted == "get_weather" else _time)(chance, language, city)
    told = Turn(_returned(chance, result), answer, words["thought"]["result"], role="tool")
    return Conversation("tool result", language, (call, told), tools=offered)


def _offered(chance: random.Random, wanted: str, other: str, place: str) -> tuple[Json, ...]:
    tools = [tool(wanted, place)]
    if chance.random() < 0.4:
        tools.append(tool(other, place) if chance.random() < 0.5 else tool("search", "query"))
    chance.shuffle(tools)
    return tuple(tools)


def _returned(chance: random.Random, result: Json) -> str:
    """As programs write it: with blanks or without."""
    separators = (",", ":") if chance.random() < 0.25 else (", ", ": ")
    return json.dumps(result, ensure_ascii=False, separators=separators)


def _weather(chance: random.Random, language: str, city: str) -> tuple[Json, str]:
    words, sky, degrees = lexicon.of(language), chance.choice(SKIES), chance.randint(COLDEST, HOTTEST)
    result = chance.choice(
        (
            {"temperature": degrees, "condition": sky},
            {"condition": sky, "temperature": degrees},
            {"city": city, "temperature": degrees, "condition": sky},
        )
    )
    return result, words["answer"]["weather"].format(sky=words["skies"][sky], city=city, degrees=degrees)


def _time(chance: random.Random, language: str, city: str) -> tuple[Json, str]:
    hour = f"{chance.randint(0, 23)}:{chance.randint(10, 59)}"
    return {"time": hour}, lexicon.of(language)["answer"]["time"].format(time=hour, city=city)
