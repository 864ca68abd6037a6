"""python -m tests.inference.engine.encoders.record [MINILM]: what transformers and torch answer with, in answers.json.

For an environment of its own with `pip install sentence-transformers`; recorded with transformers 5 and torch 2 on CPU
in float32, one text at a time, so that there is no padding to leak. With the folder of a MiniLM: what
sentence-transformers answers with for SENTENCES, in minilm.json.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import sentence_transformers
import torch
import transformers
from tokenizers import Tokenizer

from tests.inference.engine.encoders import families
from tests.inference.engine.encoders.families import FAMILIES, PAIRS, SENTENCES, TEXTS

PLACE, MINILM = (Path(__file__).with_name(name) for name in ("answers.json", "minilm.json"))
BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct"
    ' provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
ASKED = (
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {}\n<Document>: {}"
)


def main() -> int:
    if sys.argv[1:]:
        model = sentence_transformers.SentenceTransformer(sys.argv[1], device="cpu")
        vectors = [[round(float(value), 6) for value in model.encode(text)] for text in SENTENCES]
        MINILM.write_text(json.dumps(vectors) + "\n", encoding="utf-8")
        return 0
    found = {}
    for name in FAMILIES:
        with tempfile.TemporaryDirectory() as temporary:
            found[name] = _answers(name, Path(temporary) / name)
    PLACE.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0


def _answers(name: str, folder: Path) -> dict[str, Any]:
    family = FAMILIES[name]
    families.write(name, folder, {})
    config = transformers.AutoConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    model = getattr(transformers, family.architecture)(config).eval().float()
    tied = ("lm_head.weight",) if config.tie_word_embeddings and "lm_head.weight" in model.state_dict() else ()
    shapes = {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if key not in tied and "position_ids" not in key and value.is_floating_point()
    }
    drawn = families.values(shapes)
    state = {key: torch.from_numpy(drawn[key]) for key in shapes}
    missing = model.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) <= {*tied}, missing
    assert not missing.unexpected_keys, missing
    model.tie_weights()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with torch.no_grad():
        expected: list[Any] = (
            [_vector(model, family, tokenizer, text) for text in TEXTS]
            if family.pooling
            else [_score(model, name, tokenizer, *pair) for pair in PAIRS]
        )
    return {"shapes": shapes, "expected": expected}


def _vector(model: Any, family: families.Family, tokenizer: Any, text: str) -> list[float]:
    ids = torch.tensor([tokenizer.encode(text).ids])
    base = getattr(model, "model", model)
    states = base(input_ids=ids).last_hidden_state[0]
    made = {"pooling_mode_mean_tokens": states.mean(0), "pooling_mode_cls_token": states[0]}
    vector = made.get(family.pooling, states[-1])
    return [round(value, 7) for value in (vector / vector.norm()).tolist()]


def _score(model: Any, name: str, tokenizer: Any, query: str, document: str) -> float:
    if name == "qwen3-rerank":
        text = BEFORE + ASKED.format(query, document) + AFTER
        logits = model(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits[0, -1]
        yes, no = (logits[tokenizer.token_to_id(word)] for word in ("yes", "no"))
        return float(torch.softmax(torch.stack([no, yes]), 0)[1])
    encoded = tokenizer.encode(query, document)
    given = {"token_type_ids": torch.tensor([encoded.type_ids])} if name.startswith("bert") else {}
    logits = model(input_ids=torch.tensor([encoded.ids]), **given).logits
    return float(torch.sigmoid(logits[0, 0]))


if __name__ == "__main__":
    sys.exit(main())
