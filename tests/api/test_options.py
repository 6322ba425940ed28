from __future__ import annotations

import typing

from napari_rdpdenoise import RunSettings
from napari_rdpdenoise.api.options import ArrayOptions, FileOptions

FIELDS = set(RunSettings.model_fields)


def test_options_for_arrays_are_the_remaining_fields_of_the_settings():
    named = {"model", "rate", "realism", "axes", "device"}
    files = {"overwrite", "output_format", "series", "stack"}
    assert set(typing.get_type_hints(ArrayOptions)) == FIELDS - named - files


def test_options_for_files_are_the_fields_of_the_settings_but_for_the_format():
    assert set(typing.get_type_hints(FileOptions)) == FIELDS - {"model", "output_format"}
