"""What the demo video models understand: one coloured shape moving over a plain background, in three languages.

Standard library only, so that a page can list it without loading a model.
"""

import itertools
import random
from dataclasses import astuple, dataclass

COLOURS = ("red", "green", "blue", "yellow", "white")
BACKGROUNDS = ("black", "blue", "gray")
SHAPES = ("ball", "square")
DIRECTIONS = ("left", "right", "up", "down")
LANGUAGES = ("en", "zh", "ru")
BACKGROUND = "background"  # the word that tells a background's colour from the shape's


@dataclass(frozen=True, slots=True)
class Clip:
    """What one prompt means; `direction` is that of the motion in the picture."""

    colour: str
    shape: str
    direction: str
    background: str

    @property
    def facts(self) -> tuple[str, str, str, str]:
        colour, shape, direction, background = astuple(self)
        return colour, shape, direction, background


_LOOKS = [(colour, background) for colour in COLOURS for background in BACKGROUNDS if colour != background]
_MOTIONS = list(itertools.product(SHAPES, DIRECTIONS))

CLIPS = tuple(Clip(c, s, d, b) for (c, b), (s, d) in itertools.product(_LOOKS, _MOTIONS))
# One motion of every look is never seen in training, though that look and that motion both are (3 and 8 have no
# common factor, so the motions take turns).
HELD_OUT = tuple(Clip(c, *_MOTIONS[3 * n % len(_MOTIONS)], b) for n, (c, b) in enumerate(_LOOKS))
TRAINED = tuple(clip for clip in CLIPS if clip not in HELD_OUT)

# Every wording of a meaning. Whatever is not listed here is a word that the models ignore.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "red": ("red",),
        "green": ("green",),
        "blue": ("blue",),
        "yellow": ("yellow",),
        "white": ("white",),
        "black": ("black",),
        "gray": ("gray", "grey"),
        "ball": ("ball", "circle", "sphere"),
        "square": ("square", "box", "cube"),
        "left": ("left", "leftwards", "from right to left", "right to left", "from the right to the left"),
        "right": ("right", "rightwards", "from left to right", "left to right", "from the left to the right"),
        "up": ("up", "upwards", "from bottom to top", "bottom to top", "from the bottom to the top"),
        "down": ("down", "downwards", "from top to bottom", "top to bottom", "from the top to the bottom"),
        BACKGROUND: ("background",),
    },
    "zh": {
        "red": ("红色", "红"),
        "green": ("绿色", "绿"),
        "blue": ("蓝色", "蓝"),
        "yellow": ("黄色", "黄"),
        "white": ("白色", "白"),
        "black": ("黑色", "黑"),
        "gray": ("灰色", "灰"),
        "ball": ("球", "圆球", "小球"),
        "square": ("方块", "正方形"),
        "left": ("向左", "往左", "从右到左", "从右向左"),
        "right": ("向右", "往右", "从左到右", "从左向右"),
        "up": ("向上", "往上", "从下到上", "从下向上"),
        "down": ("向下", "往下", "从上到下", "从上向下"),
        BACKGROUND: ("背景",),
    },
    "ru": {
        "red": ("красный",),
        "green": ("зелёный",),
        "blue": ("синий", "синем"),
        "yellow": ("жёлтый",),
        "white": ("белый",),
        "black": ("чёрный", "чёрном"),
        "gray": ("серый", "сером"),
        "ball": ("шар", "мяч", "круг"),
        "square": ("квадрат", "кубик"),
        "left": ("влево", "налево", "справа налево"),
        "right": ("вправо", "направо", "слева направо"),
        "up": ("вверх", "снизу вверх"),
        "down": ("вниз", "сверху вниз"),
        BACKGROUND: ("фоне", "фон"),
    },
}

# {c} colour, {s} shape, {d} direction, {b} the background's colour.
PHRASES: dict[str, tuple[str, ...]] = {
    "en": (
        "a {c} {s} moving {d} on a {b} background",
        "a {c} {s} moves {d} on a {b} background",
        "the {c} {s} is moving {d} over the {b} background",
        "{c} {s} moving {d}, {b} background",
        "{c} {s}, {b} background, moving {d}",
        "on a {b} background, a {c} {s} goes {d}",
        "a video of a {c} {s} that moves {d} against a {b} background",
    ),
    "zh": (
        "一个{c}的{s}在{b}背景上{d}移动",
        "{b}背景上，{c}{s}{d}移动",
        "{c}的{s}{d}移动，{b}背景",
        "{b}的背景，{c}{s}{d}滚动",
    ),
    "ru": (
        "{c} {s} движется {d} на {b} фоне",
        "на {b} фоне {c} {s} движется {d}",
        "видео: {c} {s} летит {d} на {b} фоне",
        "{c} {s} движется {d}, {b} фон",
    ),
}
# Said in no training prompt: what is asked of the models beyond what they were shown.
UNSEEN_PHRASES: dict[str, tuple[str, ...]] = {
    "en": (
        "Please show me a {c} {s} rolling {d} in front of a {b} background!",
        "{d} moves the {c} {s}; the {b} background stays still.",
    ),
    "zh": ("请生成一段视频：{c}{s}{d}飞过{b}背景。", "在{b}的背景前，一个{c}的{s}正{d}滚"),
    "ru": ("Покажи, пожалуйста, как {c} {s} катится {d} на {b} фоне!", "На {b} фоне {d} плывёт {c} {s}."),
}
# The forms that agree with "на … фоне"; the others in WORDS stand before the noun.
PREPOSITIONAL = {"black": "чёрном", "blue": "синем", "gray": "сером"}
OPENINGS = {
    "en": ("please make ", "I would like ", ""),
    "zh": ("请画", "我想看", ""),
    "ru": ("сделай ", "хочу видеть: ", ""),
}
CLOSINGS = {
    "en": (", high quality", ", slowly", ""),
    "zh": ("，高清", "，慢慢地", ""),
    "ru": (", медленно", ", красиво", ""),
}


def prompt(clip: Clip, language: str, chance: random.Random, *, unseen: bool = False, plain: bool = False) -> str:
    """A way to ask for `clip`, chosen by `chance`; `plain` leaves out openings, closings and rarer words."""
    phrase = chance.choice((UNSEEN_PHRASES if unseen else PHRASES)[language])
    pick = (lambda words: words[0]) if plain else chance.choice
    words = WORDS[language]
    said = {"c": pick(words[clip.colour]), "s": pick(words[clip.shape]), "d": pick(words[clip.direction])}
    said["b"] = pick(words[clip.background])
    if language == "ru":
        said["c"] = words[clip.colour][0]
        said["b"] = PREPOSITIONAL[clip.background] if "{b} фоне" in phrase else words[clip.background][0]
    text = phrase.format(**said)
    if plain or unseen:
        return text
    return chance.choice(OPENINGS[language]) + text + chance.choice(CLOSINGS[language])


def typed(text: str, chance: random.Random) -> str:
    """The same prompt as people type it: capitals, a full stop, blanks around it."""
    text = chance.choice((text, text.capitalize(), text.upper()))
    return chance.choice((text, f"{text}.", f"  {text} !", f"«{text}»"))
