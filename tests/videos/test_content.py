import psutil
import pytest
from django.test import RequestFactory

from videos import content
from videos.content import Part, Unsatisfiable, requested_part


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", Part(0, 9)),
        ("bytes=90-", Part(90, 99)),
        ("bytes=-10", Part(90, 99)),
        ("bytes=-1000", Part(0, 99)),
        ("bytes=50-1000", Part(50, 99)),
        ("bytes = 1 - 2", Part(1, 2)),
        ("bytes=9-1", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
    ],
)
def test_the_part_that_a_range_header_asks_for(header, part):
    assert requested_part(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_after_the_end_cannot_be_satisfied(header):
    with pytest.raises(Unsatisfiable):
        requested_part(header, 100)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


async def answer(path, method="get", **headers):
    request = getattr(RequestFactory(), method)("/", headers=headers)
    response = await content.serve(request, path, media_type="video/mp4", etag="abc", name="clip.mp4")
    body = b"".join([chunk async for chunk in response]) if response.streaming else response.content
    return response, body


async def test_a_whole_file_is_streamed_with_its_length_and_etag(clip):
    response, body = await answer(clip)
    assert (response.status_code, body) == (200, clip.read_bytes())
    assert response["Content-Length"] == str(clip.stat().st_size)
    assert (response["ETag"], response["Accept-Ranges"]) == ('"abc"', "bytes")


async def test_a_part_says_which_part_it_is(clip):
    response, body = await answer(clip, Range="bytes=300000-600000")
    assert (response.status_code, body) == (206, clip.read_bytes()[300000:600001])
    assert response["Content-Range"] == f"bytes 300000-600000/{clip.stat().st_size}"


async def test_the_whole_file_asked_for_as_a_range_is_a_part(clip):
    assert (await answer(clip, Range="bytes=0-"))[0].status_code == 206


async def test_a_range_after_the_end_is_416_with_the_size(clip):
    response, _ = await answer(clip, Range="bytes=9999999-")
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{clip.stat().st_size}")


async def test_if_range_of_another_version_gives_the_whole_file(clip):
    assert (await answer(clip, Range="bytes=0-1", If_Range='"old"'))[0].status_code == 200
    assert (await answer(clip, Range="bytes=0-1", If_Range='"abc"'))[0].status_code == 206


async def test_a_client_that_has_it_already_gets_304(clip):
    assert (await answer(clip, If_None_Match='"abc"'))[0].status_code == 304


async def test_head_has_the_headers_and_no_body(clip):
    response, body = await answer(clip, method="head")
    assert (response.status_code, body) == (200, b"")
    assert response["Content-Length"] == str(clip.stat().st_size)


async def test_a_file_that_is_replaced_meanwhile_is_served_as_it_was(clip, tmp_path):
    """A preview is renewed every second: its length was told, and a shorter one would be an answer cut off."""
    request, was = RequestFactory().get("/"), clip.read_bytes()
    response = await content.serve(request, clip, media_type="video/mp4", etag="abc", name="clip.mp4")
    renewed = tmp_path / "renewed.mp4"
    renewed.write_bytes(b"shorter")
    renewed.replace(clip)
    assert b"".join([chunk async for chunk in response]) == was


async def test_an_answer_that_nobody_reads_leaves_no_file_open(clip):
    request = RequestFactory().get("/")
    response = await content.serve(request, clip, media_type="video/mp4", etag="abc", name="clip.mp4")
    opened = [one.path for one in psutil.Process().open_files()]
    assert str(clip) in opened
    del response
    assert str(clip) not in [one.path for one in psutil.Process().open_files()]


async def test_a_file_that_is_gone_is_known_before_anything_is_sent(tmp_path):
    with pytest.raises(FileNotFoundError):
        await answer(tmp_path / "gone.mp4")
