"""What is written on a job is English on the API, and the reader's language on a page."""

import re

import pytest
from django.test import Client
from django.utils import translation

from memory import SENTENCES, NeverFits, NoRoom, join, say
from memory.models import Event
from videos import jobs
from videos.models import JobEvent, VideoJob

pytestmark = [pytest.mark.django_db, pytest.mark.servers]
LANGUAGES = {"zh-hans": re.compile(r"[\u4e00-\u9fff]"), "ru": re.compile(r"[а-яё]")}


@pytest.fixture
def read(operator):
    """The page of a job as a reader of a language sees it, without the tags."""

    def page(job: VideoJob, language: str) -> str:
        browser = Client()
        browser.force_login(operator)
        html = browser.get(f"/videos/{job.pk}/", headers={"Accept-Language": language}).content.decode()
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))

    return page


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_every_sentence_is_translated_with_its_figures(name: str) -> None:
    english = str(SENTENCES[name])
    for language, letters in LANGUAGES.items():
        with translation.override(language):
            said = str(SENTENCES[name])
        assert letters.search(said), (language, said)
        assert sorted(set(re.findall(r"%\(\w+\)s", said))) == sorted(set(re.findall(r"%\(\w+\)s", english)))


def test_a_reason_to_wait_is_read_in_the_readers_language_and_kept_in_english(make_job, read) -> None:
    job = make_job()
    with translation.override("ru"):  # whoever writes it down
        (job,) = jobs.say_why(job, NoRoom(wanted=3 * 2**30, leased=2**30, ceiling=2 * 2**30).message)
    english = "3.00 GiB is needed, and 1.00 GiB of the 2.00 GiB ceiling is not promised to others."
    assert job.waiting_reason == english
    assert english in read(job, "en")
    assert "Нужно 3.00 GiB; из потолка 2.00 GiB другим не обещано 1.00 GiB." in read(job, "ru")
    assert "需要 3.00 GiB；上限 2.00 GiB 中有 1.00 GiB 尚未分配。" in read(job, "zh-hans")


@pytest.mark.parametrize(
    ("less", "told"), [(2**30, "3.00 GiB is needed, and 2.00"), (4096, "3.000000 GiB is needed, and 2.999996")]
)
def test_sizes_that_differ_are_told_apart(less: int, told: str) -> None:
    assert say("no_room", wanted=3 * 2**30, free=3 * 2**30 - less, ceiling=3 * 2**30).startswith(told)


def test_an_error_of_several_sentences_and_the_workers_own_words(make_job, node, read) -> None:
    job = jobs.claim(make_job(), node.pk)
    assert job
    message = join("The weights <b>are</b> cut off.", say("last_attempt", number=3))
    job = jobs.fail(job.pk, job.fence, "worker_crashed", message)
    assert job.error_message == "The weights <b>are</b> cut off. It was attempt 3, the last one allowed."
    page = read(job, "ru")
    assert "The weights &lt;b&gt;are&lt;/b&gt; cut off." in page
    assert "Это была попытка 3, последняя из разрешённых." in page
    assert "Попытка 1." in page  # its history
    assert "It was attempt" not in page


def test_what_was_written_before_there_were_parts_is_shown_as_it_is(make_job, read) -> None:
    old = make_job(status="failed", error_code="worker_crashed", error_message="The worker ended with signal 9.")
    JobEvent.objects.create(job=old, what="worker_crashed", message="It is old.")
    page = read(old, "zh-hans")
    assert "The worker ended with signal 9." in page
    assert "It is old." in page


def test_a_sentence_that_is_not_known_any_more_is_its_name(make_job, read) -> None:
    job = make_job(waiting_reason="Gone.", waiting_said=[{"say": "gone_with_a_version", "figure": 1}])
    assert "gone_with_a_version" in read(job, "ru")


def test_the_ledgers_refusals_say_the_same_in_one_piece() -> None:
    assert str(NeverFits(wanted=2**31, ceiling=2**30)) == (
        "2.00 GiB is needed, and this machine can promise 1.00 GiB at most."
    )


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_in_the_language_of_who_asked_and_in_english_on_the_timeline(operator, model, node) -> None:
    node.largest_bytes = 2**30
    node.save()
    browser = Client()
    browser.force_login(operator)
    form = {"model": "demo-video", "prompt": "x", "size": "1280x704", "token": "t"}
    answer = browser.post("/videos/", form, headers={"Accept-Language": "ru"})
    assert "а эта машина может обещать не больше 1.00 GiB" in answer.content.decode()
    event = Event.objects.get(what=Event.What.REFUSED)
    assert event.message.startswith("A 1280x704 clip needs")
