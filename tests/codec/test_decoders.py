"""Decoders by name: each alone gives what it gives beside others, and one refusal serves all who ask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_rdpdenoise.codec import Decoded, Place, fit_normalization
from napari_rdpdenoise.codec.network_input import network_input, reconstruct
from napari_rdpdenoise.nn.decoder_names import DecoderMissing, on_path
from napari_rdpdenoise.noise import NoiseModel

TILE = np.random.default_rng(0).poisson(40, (48, 40)).astype(np.uint16)
NORMALIZATION = fit_normalization([TILE], NoiseModel(1.0, 0.0, 1.0))


def test_a_decoder_alone_gives_what_it_gives_beside_others(tiny_realism_codec):
    latents = tiny_realism_codec.encode([TILE], NORMALIZATION, 0.5)
    (together,) = tiny_realism_codec.decode(latents, ("fidelity", "realism"), [Place(3)])
    for name, image in together.items():
        (alone,) = tiny_realism_codec.decode(latents, [name], [Place(3)])
        assert tuple(alone) == (name,)
        np.testing.assert_array_equal(alone[name], image)


def test_one_pass_is_encoding_and_decoding(tiny_realism_codec):
    (latents,) = tiny_realism_codec.encode([TILE], NORMALIZATION, 0.5)
    images = reconstruct(
        tiny_realism_codec._network, NORMALIZATION.forward(TILE), 0.5, ("fidelity", "realism")
    )
    (rows,) = tiny_realism_codec.sweep(TILE, NORMALIZATION, [0.5])
    np.testing.assert_array_equal(images["fidelity"], rows[0])
    (decoded,) = tiny_realism_codec.decode([latents], tiny_realism_codec.decoders)
    gap = NORMALIZATION.inverse(images["realism"]) - NORMALIZATION.inverse(images["fidelity"])
    assert np.corrcoef(gap.ravel(), (decoded["realism"] - decoded["fidelity"]).ravel())[0, 1] > 0.99


def test_the_networks_input_is_mirrored_to_its_strides():
    planes = [np.arange(6, dtype=np.float32).reshape(2, 3) + k for k in range(2)]
    given, presence = network_input(planes, "cpu")
    assert presence is None
    assert (given.shape, given.dtype) == ((2, 1, 16, 16), torch.float32)
    first, second = [1, 2, 3, 3, 2, 1], [4, 5, 6, 6, 5, 4]
    assert given[1, 0, :4, :6].tolist() == [first, second, second, first]


@pytest.mark.parametrize("ask", ["decode", "network", "slider"])
def test_a_decoder_that_is_not_there_is_refused_in_words(tiny_codec, ask):
    latents = tiny_codec.encode([TILE], NORMALIZATION, 0.5)
    calls = {
        "decode": lambda: tiny_codec.decode(latents, ["realism"]),
        "network": lambda: tiny_codec._network.decoder("realism"),
        "slider": lambda: tiny_codec.check(on_path(0.25), 0.25),
    }
    expected = "expected 0, found 0.25; use realism 0" if ask == "slider" else "expected one of fidelity"
    with pytest.raises(DecoderMissing, match=f"has no realism decoder, {expected}.*or a model with that"):
        calls[ask]()


def test_a_blend_goes_where_it_is_told(tiny_realism_codec):
    (decoded,) = tiny_realism_codec.decode(
        tiny_realism_codec.encode([TILE], NORMALIZATION, 0.5), tiny_realism_codec.decoders
    )
    out = np.empty(TILE.shape, np.float32)
    assert decoded.blend(0.3, out) is out
    np.testing.assert_array_equal(out, decoded.blend(0.3))
    assert isinstance(decoded, Decoded)
