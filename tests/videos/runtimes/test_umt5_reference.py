"""Our UMT5 against transformers' UMT5EncoderModel, computed by torch in float32. Opt-in: torch is large.

    FMLX_TORCH_PYTHON=/path/to/python pytest -m torch
where that Python has torch, transformers, numpy and sentencepiece.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.runtime,
    pytest.mark.torch,
    pytest.mark.skipif(not os.environ.get("FMLX_TORCH_PYTHON"), reason="FMLX_TORCH_PYTHON names no Python with torch"),
]

PROMPTS = ["a red cat runs over the sea", "slow", "", "кошка 猫 &amp; " + "dog ball sky " * 60]

OURS = """
import json, sys
from pathlib import Path
import numpy as np
import mlx.core as mx
from videos.runtimes.mlx_gen import mlxgen
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.prompts import PromptEncoder
encoder = PromptEncoder(Checkpoint(Path(sys.argv[1])), clean=mlxgen.clean_prompt)
prompts = json.loads(sys.argv[3])
ids = encoder.tokenize(prompts, 512).ids
state, _ = encoder.encode(prompts, 512, lambda layer: None)
np.savez(sys.argv[2], state=np.array(state), ids=np.array([row + [0] * (512 - len(row)) for row in ids]),
         mask=np.array([[1] * len(row) + [0] * (512 - len(row)) for row in ids]))
"""
THEIRS = """
import json, sys
import numpy as np, torch
from transformers import UMT5EncoderModel
ours = np.load(sys.argv[2])
model = UMT5EncoderModel.from_pretrained(sys.argv[1] + "/text_encoder", dtype=torch.float32).eval()
mask = torch.from_numpy(ours["mask"])
with torch.no_grad():
    state = model(torch.from_numpy(ours["ids"]), attention_mask=mask).last_hidden_state * mask[..., None]
state = state.numpy()
print(json.dumps({"difference": float(np.abs(state - ours["state"]).max()), "largest": float(np.abs(state).max()),
                  "ours": float(np.abs(ours["state"]).max())}))
"""


def test_it_computes_what_the_reference_computes(
    run_in_runtime: Callable[..., str], demo_model: Path, tmp_path: Path
) -> None:
    found = tmp_path / "ours.npz"
    run_in_runtime("-c", OURS, demo_model, found, json.dumps(PROMPTS))
    command = [os.environ["FMLX_TORCH_PYTHON"], "-c", THEIRS, str(demo_model), str(found)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout.splitlines()[-1])
    assert compared["largest"] > 1
    assert compared["difference"] < 2e-5 * compared["largest"]
