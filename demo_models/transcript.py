"""python -m demo_models.transcript FOLDER PAGE: real conversations with a demo chat model, written as a page."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from demo_models.chat.conversation import Json
from demo_models.chat.speaker import Prompt, Speaker
from demo_models.chat.tasks.tools import tool

CALL, CALL_ENDS = "<tool_call>", "</tool_call>"
TOOL_SAYS = '{"temperature": 21, "condition": "sunny"}'


@dataclass(frozen=True, slots=True)
class Script:
    """What the user says, turn after turn; a turn that the model answers with a call is followed by TOOL_SAYS."""

    title: str
    said: tuple[str, ...]
    system: str = ""
    tools: tuple[Json, ...] = ()
    thinking: bool = False


WEATHER = (tool("get_weather", "city"),)
SCRIPTS = (
    Script("English", ("Hello!", "What is fmlx?", "What can you do?", "Does my data leave this machine?", "Thanks!")),
    Script("English, thinking first", ("What is 7 plus 5?", "Is 3 greater than 8?"), thinking=True),
    Script("English, a name", ("Hi, I am Zorvan.", "count from 3 to 9", "What is my name?")),
    Script("English, words", ("repeat: silver 42 kilora!", "opposite of hot?", "cat in Russian?", "name three fruits")),
    Script("English, JSON", ("Give me JSON with name Bob and age 42.",)),
    Script("English, a tool", ("What is the weather in Vienna?",), tools=WEATHER),
    Script("English, a system prompt", ("Who are you?",), system="You are Ada, a helpful assistant."),
    Script("English, unknown", ("What is the capital of France?", "Write a haiku about autumn leaves.")),
    Script("中文", ("你好！", "你是谁？", "3加4等于几？", "大象是什么颜色？", "热的反义词是什么？")),
    Script("中文，工具", ("北京天气怎么样？",), tools=WEATHER),
    Script("中文，不知道的", ("怎么做红烧肉？",)),
    Script("Русский", ("Привет!", "Что такое fmlx?", "Сколько будет 9 минус 4?")),
    Script("Русский, имя", ("Меня зовут Марина.", "Как меня зовут?")),
    Script("Русский, инструмент", ("Какая погода в городе Казань?",), tools=WEATHER),
    Script("Русский, незнакомое", ("Как приготовить борщ?",)),
)
HEAD = """# {name}, in its own words

Every answer was written by the model, likeliest token first. `make demo-pages` writes this page.
"""


def talk(speaker: Speaker, script: Script) -> list[tuple[str, str]]:
    """(who, text) in order."""
    messages: list[Json] = [{"role": "system", "content": script.system}] if script.system else []
    found = [("system", script.system)] if script.system else []
    for said in script.said:
        messages.append({"role": "user", "content": said})
        (text,) = speaker.answers([Prompt(messages, script.tools, script.thinking)])
        found += [("user", said), ("model", text)]
        if CALL in text:
            messages += [_called(text), {"role": "tool", "content": TOOL_SAYS}]
            (text,) = speaker.answers([Prompt(messages, script.tools, script.thinking)])
            found += [("tool", TOOL_SAYS), ("model", text)]
        messages.append({"role": "assistant", "content": text})
    return found


def _called(text: str) -> Json:
    call = json.loads(text.partition(CALL)[2].partition(CALL_ENDS)[0])
    return {"role": "assistant", "tool_calls": [{"type": "function", "function": call}]}


def page(name: str, speaker: Speaker) -> str:
    parts = [HEAD.format(name=name)]
    for script in SCRIPTS:
        lines = "\n".join(f"{who + ':':<8}{_indented(text)}" for who, text in talk(speaker, script))
        parts.append(f"## {script.title}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def _indented(text: str) -> str:
    return text.replace("\n\n", "\n").replace("\n", "\n" + " " * 8)


if __name__ == "__main__":
    mx.set_default_device(mx.cpu)
    folder = Path(sys.argv[1]).absolute()
    Path(sys.argv[2]).write_text(page(folder.name, Speaker(folder)), encoding="utf-8")
