from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.utils import timezone

from inference.models import ApiKey, ModelFolder
from memory.models import Node
from videos.models import VideoJob


@pytest.fixture
def node(db):
    room = {"ceiling_bytes": 2**34, "largest_bytes": 2**34, "ceiling_terms": {"inputs": {"backend": "metal"}}}
    silent = timezone.now() - timedelta(minutes=5)  # who takes its name need not wait to see whether it lives
    return Node.objects.create(name="here", boot_id="1", pid=1, heartbeat_at=silent, **room)


@pytest.fixture
def model(node, tmp_path):
    return ModelFolder.objects.create(
        node=node,
        name="demo-video",
        path=str(tmp_path),
        type="video",
        pipeline="wan2.2-t2v-a14b",
        resident_bytes=2**20,
        sizes={"heads": 4, "decoder_width": 8},
    )


@pytest.fixture
def operator(db):
    return User.objects.create_superuser("admin", password="a long password")


@pytest.fixture
def key(operator):
    made, secret = ApiKey.make("test", operator)
    made.secret = secret
    return made


@pytest.fixture
def make_job(model):
    def make(**fields):
        shape = {"width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 4, "seed": 1}
        return VideoJob.objects.create(**{"model": model.name, "prompt": "a red ball", **shape, **fields})

    return make


@pytest.fixture
def home(tmp_path, settings):
    (tmp_path / "runtimes" / "mlx-gen" / "bin").mkdir(parents=True)
    (tmp_path / "runtimes" / "mlx-gen" / "bin" / "python").touch()
    changes = {"home": tmp_path, "video_backoff_seconds": 0.0, "video_idle_seconds": 0.0}
    settings.FMLX = django_settings.FMLX.model_copy(update=changes)
    return tmp_path
