"""python -m demo_models.train_video_i2v FOLDER: train demo-video-i2v, a Wan2.2 I2V A14B in small, on from demo-video.

Its decoder is demo-video's. Its encoder is new, and its experts learn to look at what that finds in a first picture.
"""

import sys

from demo_models import training
from demo_models.layouts import DEMO_VIDEO_I2V

if __name__ == "__main__":
    steps = {"encoder": 900, "transformer": 900, "transformer_2": 1000}
    sys.exit(training.program(DEMO_VIDEO_I2V, steps=steps, batch=8))
