"""python -m demo_models.look VIDEO...: what each video shows, one JSON object a line."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np

from demo_models import scorer


def frames_of(path: Path) -> np.ndarray:
    """uint8 [F, H, W, 3]."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(json.dumps(asdict(scorer.look(frames_of(Path(name))))) + "\n")
