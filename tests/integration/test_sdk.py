"""OpenAI's own client, unchanged, against the whole server over a real socket."""

import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types import Video

from tests.house import KEY, Client

# The SDK says at every call that OpenAI's own video service will shut down; this server's will not.
pytestmark = [
    pytest.mark.runtime,
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]
TINY = {"frames": 5, "steps": 2, "fps": 8}
Make = Callable[..., Video]


@pytest.fixture(scope="module")
def sdk(served: Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.server.base_url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def make(sdk: openai.OpenAI) -> Make:
    def create(**extra: Any) -> Video:
        size: Any = "64x64"  # the SDK's types know OpenAI's own sizes and models only
        return sdk.videos.create(model="demo-video", prompt="a red ball", size=size, extra_body={**TINY, **extra})

    return create


def test_a_video_is_created_followed_and_downloaded(sdk: openai.OpenAI, make: Make) -> None:
    made = make()
    assert (made.status, made.size, made.model, made.object) == ("queued", "64x64", "demo-video", "video")
    done = sdk.videos.poll(made.id, poll_interval_ms=100)
    assert (done.status, done.progress, done.error) == ("completed", 100, None)
    assert done.completed_at is not None
    assert done.expires_at is not None
    assert done.expires_at > done.completed_at >= done.created_at

    assert sdk.videos.download_content(made.id).read()[4:8] == b"ftyp"
    for variant in ("thumbnail", "spritesheet"):
        assert sdk.videos.download_content(made.id, variant=variant).read()[8:12] == b"WEBP"


def test_create_and_poll_comes_back_with_the_finished_video(sdk: openai.OpenAI) -> None:
    size: Any = "64x64"
    done = sdk.videos.create_and_poll(
        model="demo-video", prompt="a blue cat", size=size, seconds="4", extra_body={"fps": 2, "steps": 2}
    )
    assert (done.status, done.seconds) == ("completed", "4.5")  # 8 frames become 9: 4k+1


def test_the_list_is_paged_through_to_its_end(sdk: openai.OpenAI, make: Make) -> None:
    ids = [make(steps=1).id for _ in range(5)]
    assert [video.id for video in sdk.videos.list(limit=2)][:5] == ids[::-1]
    pages = list(sdk.videos.list(limit=2, order="asc").iter_pages())
    assert len(pages) >= 3
    assert [video.id for page in pages for video in page.data][-5:] == ids


def test_a_deleted_video_is_gone(sdk: openai.OpenAI, make: Make) -> None:
    made = make()
    gone = sdk.videos.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "video.deleted")
    with pytest.raises(openai.NotFoundError):
        sdk.videos.retrieve(made.id)


def test_errors_are_the_sdks_own_and_name_the_field(sdk: openai.OpenAI, make: Make) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        make(steps=0)
    assert (bad.value.param, bad.value.type) == ("steps", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as cursor:
        sdk.videos.list(after="video_nobody")
    assert cursor.value.param == "after"
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.videos.retrieve("video_nobody")
    assert "video_nobody" in missing.value.message
    with pytest.raises(openai.NotFoundError) as model:
        sdk.videos.create(model="sora-3", prompt="a red ball")
    assert model.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError, match=re.escape("not known here")):
        sdk.with_options(api_key="wrong").videos.list()


def test_content_that_is_not_ready_is_a_conflict(sdk: openai.OpenAI, make: Make) -> None:
    made = make(steps=50)
    with pytest.raises(openai.ConflictError, match="its content is there when it is completed"):
        sdk.videos.download_content(made.id)
    sdk.videos.delete(made.id)


async def test_the_asynchronous_client_does_the_same(served: Client) -> None:
    size: Any = "64x64"
    async with openai.AsyncOpenAI(base_url=f"{served.server.base_url}/v1", api_key=KEY, max_retries=0) as sdk:
        made = await sdk.videos.create(model="demo-video", prompt="a red ball", size=size, extra_body=TINY)
        assert (await sdk.videos.poll(made.id, poll_interval_ms=100)).status == "completed"
        content = await sdk.videos.download_content(made.id)
        assert (await content.aread())[4:8] == b"ftyp"
        assert (await sdk.videos.delete(made.id)).deleted


# A whole PNG of 64x64 pixels, blue; written out, since the site's environment has no program that draws one.
BLUE = zlib.compress(b"".join(b"\x00" + bytes((20, 40, 120)) * 64 for _ in range(64)))


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", BLUE) + chunk(b"IEND", b"")


def test_files_are_uploaded_listed_read_and_deleted(sdk: openai.OpenAI) -> None:
    first = sdk.files.create(file=("blue.png", png()), purpose="vision")
    assert (first.object, first.filename, first.purpose, first.bytes) == ("file", "blue.png", "vision", len(png()))
    soon = sdk.files.create(
        file=("other.png", png()), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert soon.expires_at == soon.created_at + 3600
    assert [file.id for file in sdk.files.list(limit=1)][:2] == [soon.id, first.id]
    assert [file.id for file in sdk.files.list(purpose="vision")] == [first.id]
    assert sdk.files.retrieve(first.id) == first
    assert sdk.files.content(first.id).read() == png()
    for file in (first, soon):
        assert sdk.files.delete(file.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="by its content"):
        sdk.files.create(file=("a.png", b"no picture"), purpose="vision")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        sdk.files.create(file=("a.png", png()), purpose="assistants")


def test_pictures_remixes_and_extensions(sdk: openai.OpenAI) -> None:
    size: Any = "64x64"
    shape: dict[str, Any] = {"model": "demo-video-5b", "prompt": "a red ball", "size": size, "extra_body": TINY}
    file = sdk.files.create(file=("blue.png", png()), purpose="vision")
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    made = [sdk.videos.create(**shape, input_reference=("blue.png", png()))]
    bodies = [{**TINY, "input_reference": way} for way in ({"file_id": file.id}, {"image_url": url})]
    made += [sdk.videos.create(**{**shape, "extra_body": body}) for body in bodies]  # the field itself takes files only
    first = sdk.videos.poll(made[0].id, poll_interval_ms=100)
    assert (first.status, first.error) == ("completed", None)

    remixed = sdk.videos.remix(first.id, prompt="a blue square")
    assert (remixed.remixed_from_video_id, remixed.size, remixed.seconds) == (first.id, first.size, first.seconds)
    asked = {"prompt": "a red ball", "video": {"id": first.id}, "seconds": "4"}
    longer = sdk.post("/videos/extensions", cast_to=Video, body=asked)
    assert float(longer.seconds) >= float(first.seconds) + 4
    assert longer.remixed_from_video_id is None
    for video in (*made[1:], remixed, longer):
        assert sdk.videos.poll(video.id, poll_interval_ms=100).status == "completed"
    sent = sdk.videos.download_content(first.id).read()
    uploaded = sdk.videos.extend(
        prompt="a ball", video=("clip.mp4", sent), seconds="4", extra_body={"model": "demo-video-5b"}
    )
    assert sdk.videos.poll(uploaded.id, poll_interval_ms=100).status == "completed"


def test_what_is_refused_says_so(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        sdk.videos.remix("video_nobody", prompt="a ball")
    with pytest.raises(openai.NotFoundError):
        sdk.post("/videos/edits", cast_to=Video, body={"video": {"id": "video_nobody"}, "prompt": "a ball"})
    elsewhere = {"input_reference": {"image_url": "https://example.org/a"}}
    with pytest.raises(openai.BadRequestError) as fetched:
        sdk.videos.create(prompt="a ball", model="demo-video-5b", extra_body=elsewhere)
    assert "fetches no" in fetched.value.message
    with pytest.raises(openai.BadRequestError, match="Characters are not supported"):
        sdk.videos.create_character(name="Ann", video=("clip.mp4", b"clip"))
    with pytest.raises(openai.BadRequestError, match="Characters are not supported"):
        sdk.videos.get_character("ann")
