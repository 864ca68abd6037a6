"""python -m demo_models.train_video_5b FOLDER: train demo-video-5b, a Wan2.2 TI2V 5B in small, from nothing."""

import sys

from demo_models import training
from demo_models.layouts import DEMO_VIDEO_5B

if __name__ == "__main__":
    steps = {"decoder": 2500, "encoder": 1500, "transformer": 1200, "first frame": 400}
    sys.exit(training.program(DEMO_VIDEO_5B, steps=steps, batch=32))
