"""Which of a repository's files a model needs: weights, settings, tokenizers and templates; never code or pickles."""

from collections.abc import Iterable
from pathlib import PurePosixPath

ENDINGS = (".json", ".jsonl", ".safetensors", ".txt", ".jinja", ".model", ".tiktoken")
MODELS = ("config.json", "model_index.json", "ema_vae_fp16.safetensors")  # as `inference.discovery` knows them


def is_wanted(path: str) -> bool:
    parts = PurePosixPath(path).parts
    inside = bool(parts) and not path.startswith("/") and "\\" not in path
    return inside and path.endswith(ENDINGS) and not any(part.startswith(".") for part in parts)


def is_model(paths: Iterable[str]) -> bool:
    """Whether discovery would take it for one."""
    return any(path in MODELS for path in paths)
