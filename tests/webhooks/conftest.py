import pytest
from django.contrib.auth.models import User

from fmlx_site.audit import Origin
from inference.models import ApiKey
from tests.receiver import Receiver
from videos.models import VideoJob
from webhooks import endpoints
from webhooks.telling import TYPES


@pytest.fixture
def operator(db):
    return User.objects.create_superuser("admin", password="a long password")


@pytest.fixture
def key(operator):
    made, secret = ApiKey.make("test", operator)
    made.secret = secret
    return made


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def endpoint(key, receiver):
    return endpoints.make(key, receiver.url, TYPES, Origin())


@pytest.fixture
def make_job(key):
    def make():
        shape = {"width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 4, "seed": 1}
        return VideoJob.objects.create(model="demo-video", prompt="a red ball", key=key, **shape)

    return make


@pytest.fixture
def at_once(settings):
    """Failed tries are due again at once."""
    settings.FMLX = settings.FMLX.model_copy(update={"webhook_backoff_seconds": 0.0})
