"""python -m demo_models.train_video FOLDER: train demo-video, a Wan2.2 T2V A14B in small, from nothing.

Two experts share the noise levels between them, as in the real model: the first decides what is where, the second,
below a noise level of 0.875, draws it.
"""

import sys

from demo_models import training
from demo_models.layouts import DEMO_VIDEO

if __name__ == "__main__":
    steps = {"decoder": 2500, "transformer": 900, "transformer_2": 1600}
    sys.exit(training.program(DEMO_VIDEO, steps=steps, batch=16))
