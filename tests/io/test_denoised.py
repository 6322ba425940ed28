from __future__ import annotations

import json

import pytest

from napari_rdpdenoise.io.denoised import denoised_words, how_denoised
from napari_rdpdenoise.settings import RunSettings

SAVED = {"role": "result", "rate": 0.412, "settings": {"model": "fluo-light", "quantity": "image"}}


def of_a_run(**changes: object) -> str:
    return f"{RunSettings(model='fluo-light').replace(**changes).model_dump_json()}|1a2b|3c4d"


@pytest.mark.parametrize(
    ("job", "how"),
    [
        (of_a_run(), "fluo-light, automatic rate"),
        (of_a_run(rate=0.5), "fluo-light, rate 0.50"),
        (of_a_run(model="/models/mine", rate=0.5), "mine, rate 0.50"),
        (SAVED, "fluo-light, rate 0.41"),
        (json.dumps(SAVED), "fluo-light, rate 0.41"),
        ({"role": "result", "settings": {}}, ""),
        (of_a_run(quantity="kept"), None),
        (f"{of_a_run()}|store 1", None),
        ({**SAVED, "settings": {"quantity": "kept"}}, None),
        ({"layer": "raw", "id": "1"}, None),
        ({**SAVED, "role": "preview"}, None),
        ({"role": "result"}, ""),
        ("original None of 1a2b", None),
        ("[1, 2]|a|b", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_jobs_say_whether_and_how_an_image_was_denoised(job, how):
    assert how_denoised(job) == how


def test_it_is_said_in_a_sentence():
    assert denoised_words(None) == ""
    assert denoised_words("").startswith("This image was denoised already; ")
    assert denoised_words("fluo-light, rate 0.41").startswith(
        "This image was denoised already (fluo-light, rate 0.41); "
    )
