import pytest

from fmlx_site.errors import InvalidRequest
from videos.schemas import CreateVideo
from videos.shape import shape_of

A14B = "wan2.2-t2v-a14b"


def shape(pipeline=A14B, defaults=None, **asked):
    return shape_of(CreateVideo(prompt="x", **asked), pipeline, defaults or {})


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"size": "64x64"}, (64, 64)),
        ({"size": "65x64"}, (80, 64)),
        ({"width": 100, "height": 30}, (112, 32)),
        ({"size": "64x64", "width": 128}, (128, 64)),
        ({}, (832, 480)),
    ],
)
def test_sides_become_multiples_of_16(asked, size):
    made = shape(**asked)
    assert (made.width, made.height) == size


def test_the_5b_model_has_sides_in_steps_of_32():
    assert shape("wan2.2-ti2v-5b", size="80x64").width == 96


@pytest.mark.parametrize(
    ("asked", "frames"),
    [
        ({"frames": 1}, 1),
        ({"frames": 2}, 5),
        ({"frames": 17}, 17),
        ({"frames": 18}, 21),
        ({"seconds": 4, "fps": 8}, 33),
        ({"seconds": 0.01, "fps": 8}, 1),
        ({}, 81),
    ],
)
def test_frames_become_four_k_plus_one(asked, frames):
    assert shape(size="64x64", **asked).frames == frames


def test_a_models_own_defaults_come_before_ours():
    made = shape(defaults={"size": "64x64", "frames": 17, "fps": 8, "steps": 4})
    assert (made.width, made.frames, made.fps, made.steps) == (64, 17, 8, 4)


def test_a_seed_is_drawn_when_none_is_given_and_zero_is_a_seed():
    assert shape(seed=0).seed == 0
    assert shape().seed != shape().seed


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"size": "4096x4096"}, "size"),
        ({"width": 8000}, "width"),
        ({"frames": 5000}, "frames"),
        ({"seconds": 900}, "seconds"),
        ({"steps": 1000}, "steps"),
    ],
)
def test_what_is_above_a_limit_is_refused_by_its_name(asked, param):
    with pytest.raises(InvalidRequest, match="limit") as refusal:
        shape(**asked)
    assert refusal.value.param == param
