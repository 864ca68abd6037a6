"""python -m demo_models.write_rerank FOLDER: write demo-rerank down; nothing is trained."""

import sys
from pathlib import Path

from demo_models.texts import folder

if __name__ == "__main__":
    folder.write(Path(sys.argv[1]), scores=True)
