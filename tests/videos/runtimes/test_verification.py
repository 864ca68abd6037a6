"""A video that is not what was asked for is found out before anyone is told that it is finished."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtime

Json = dict[str, Any]

VERIFY = """
import json, sys
from pathlib import Path
from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen.verify import require_playable
try:
    require_playable(Path(sys.argv[1]), checkpoint=lambda: None, **json.loads(sys.argv[2]))
    print(json.dumps(["ok", ""]))
except WorkerFailed as failure:
    print(json.dumps([failure.code, failure.message]))
"""
AS_ASKED = {"frames": 9, "fps": 8, "width": 64, "height": 64}


@pytest.fixture
def video(generate: Callable[..., Json], output_dir: Path) -> Path:
    made = generate(frames=9, verify=False)["manifest"]
    assert "verifying" not in made["phase_seconds"]
    return output_dir / str(made["files"]["video"]["name"])


def test_a_video_is_compared_with_what_was_asked(run_in_runtime: Callable[..., str], video: Path) -> None:
    def verdict(**changes: Any) -> list[str]:
        return list(json.loads(run_in_runtime("-c", VERIFY, video, json.dumps(AS_ASKED | changes))))

    assert verdict() == ["ok", ""]
    code, message = verdict(frames=17)
    assert (code, "9 frames" in message, "17" in message) == ("output_invalid", True, True)
    code, message = verdict(width=128)
    assert (code, "128x64" in message) == ("output_invalid", True)
    code, message = verdict(fps=16)
    assert (code, "lasts 1.125 s" in message) == ("output_invalid", True)


@pytest.mark.parametrize("kept", [0.5, 0])
def test_half_a_file_is_not_a_video(run_in_runtime: Callable[..., str], video: Path, kept: float) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: int(len(data) * kept)])
    code, message = json.loads(run_in_runtime("-c", VERIFY, video, json.dumps(AS_ASKED)))
    assert code == "output_invalid"
    assert message.endswith(".")
