"""Codec: latents to images and bytes and back, for every kind of image, and nothing encoded twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec, Normalization, fit_normalization, load_model
from napari_rdpdenoise.codec.bitstream import BitstreamError
from napari_rdpdenoise.codec.latents import Latents
from napari_rdpdenoise.nn.entropy import Symbols
from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.samples import simulate_timelapse

RNG = np.random.default_rng(0)


def image(shape=(96, 80), dtype=np.uint16, seed=0) -> NDArray:
    """Blobs under photon noise, 100 to about 400 counts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = 20 + 130 * (np.sin(y / 9) * np.cos(x / 7) > 0.3)
    return (100 + 2 * rng.poisson(light)).astype(dtype)


def normalization(tile: NDArray) -> Normalization:
    return fit_normalization([tile], estimate_noise([tile]))


@pytest.mark.parametrize(
    ("tile", "name"),
    [
        (image(dtype=np.uint16), "uint16"),
        ((image() // 2).astype(np.uint8), "uint8"),
        (image().astype(np.uint32) * 1_000_000, "uint32"),
        (image().astype(np.int16) - 300, "int16"),
        (image().astype(np.float16), "float16"),
        (image().astype(np.float64) * 1e-3, "float64"),
        (image((1, 1)), "pixel"),
        (image((1, 500)), "row"),
        (image((500, 1)), "column"),
        (image((33, 47)), "odd"),
        (np.zeros((64, 64), np.uint16), "zero"),
        (np.zeros((64, 64), np.float32), "zero-float"),
        (np.full((40, 40), 65535, np.uint16), "saturated"),
        (np.full((40, 40), -7.5, np.float32), "constant"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_image_comes_back_in_its_shape_and_mean(tiny_codec, tile, name):
    norm = normalization(tile)
    (latents,) = tiny_codec.encode([tile], norm, 0.5)
    (decoded,) = tiny_codec.decode([latents])
    assert decoded["fidelity"].shape == tile.shape
    assert decoded["fidelity"].dtype == np.float32
    assert np.isfinite(decoded["fidelity"]).all()
    mean = float(tile.mean(dtype=np.float64))
    # a random network keeps nothing by itself: all of the mean comes from the coarse side information
    assert decoded["fidelity"].mean(dtype=np.float64) == pytest.approx(mean, rel=0.05, abs=1e-3)
    assert tiny_codec.decompress(tiny_codec.compress(latents)).shape == tile.shape


@pytest.mark.parametrize("rate", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("shape", [(96, 80), (1, 1), (17, 65)])
def test_bytes_decode_to_the_same_bits(tiny_codec, shape, rate):
    tile = image(shape)
    (latents,) = tiny_codec.encode([tile], normalization(tile), rate)
    data = tiny_codec.compress(latents)
    again = tiny_codec.decompress(data)
    for found, kept in zip(again.symbols, latents.symbols, strict=True):
        assert np.array_equal(found, kept)
    assert np.array_equal(again.means, latents.means)
    assert (again.rate, again.normalization, again.bits) == (
        latents.rate,
        latents.normalization,
        8 * len(data),
    )
    assert np.array_equal(
        tiny_codec.decode([again])[0]["fidelity"], tiny_codec.decode([latents])[0]["fidelity"]
    )


def test_decoding_makes_no_encoder_call(tiny_codec):
    analysed = []
    tiny_codec._network.analysis.register_forward_hook(lambda *_: analysed.append(1))
    tile = image()
    latents = tiny_codec.encode([tile, tile], normalization(tile), 0.5)
    assert (tiny_codec.encoder_calls, len(analysed)) == (1, 1)
    tiny_codec.decode([tiny_codec.decompress(tiny_codec.compress(item)) for item in latents])
    assert (tiny_codec.encoder_calls, len(analysed)) == (1, 1)


@pytest.mark.parametrize("count", [1, 2])
def test_the_entropy_model_is_asked_once_for_tiles_that_are_encoded_and_decoded(tiny_codec, count):
    asked = []
    tiny_codec._network.hyperprior.synthesis[0].register_forward_hook(lambda *_: asked.append(1))
    tiles = [image(seed=seed) for seed in range(count)]
    latents = tiny_codec.encode(tiles, normalization(tiles[0]), 0.5)
    decoded = tiny_codec.decode(latents)
    assert len(asked) == 1
    again = tiny_codec.decode([Latents.from_bytes(item.to_bytes()) for item in latents])
    assert len(asked) == 2
    for one, other in zip(again, decoded, strict=True):
        np.testing.assert_array_equal(one.first, other.first)


def test_a_batch_is_coded_as_its_tiles(tiny_codec):
    tiles = [image(seed=seed) for seed in range(3)]
    norm = normalization(tiles[0])
    together = tiny_codec.encode(tiles, norm, 0.5)
    for tile, latents in zip(tiles, together, strict=True):
        (alone,) = tiny_codec.encode([tile], norm, 0.5)
        assert np.mean(alone.symbols[0] != latents.symbols[0]) < 1e-3  # the last bit of a sum may differ
    decoded = tiny_codec.decode(together)
    for latents, result in zip(together, decoded, strict=True):
        np.testing.assert_allclose(tiny_codec.decode([latents])[0]["fidelity"], result["fidelity"], rtol=1e-4)


def test_means_of_blocks_are_kept(tiny_codec):
    tile = image((512, 512))
    tile[:, 256:] += 400
    norm = normalization(tile)
    decoded = tiny_codec.decode(tiny_codec.encode([tile], norm, 0.2))[0]["fidelity"]
    for part in (np.s_[:, :], np.s_[:, :192], np.s_[:, 320:]):
        assert decoded[part].mean() == pytest.approx(tile[part].mean(), rel=5e-3)


def test_realism_is_a_blend_and_needs_its_decoder(tiny_codec, tiny_realism_codec):
    tile = image()
    norm = normalization(tile)
    names = tiny_realism_codec.decoders
    assert names == ("fidelity", "realism")
    (decoded,) = tiny_realism_codec.decode(tiny_realism_codec.encode([tile], norm, 0.5), names)
    assert tuple(decoded) == names
    assert np.array_equal(decoded.blend(0.0), decoded["fidelity"])
    np.testing.assert_allclose(decoded.blend(1.0), decoded["realism"], rtol=1e-6)
    np.testing.assert_allclose(
        decoded.blend(0.25), 0.75 * decoded["fidelity"] + 0.25 * decoded["realism"], rtol=1e-5
    )
    assert np.abs(decoded["realism"] - decoded["fidelity"]).max() > 0
    (plain,) = tiny_codec.decode(tiny_codec.encode([tile], norm, 0.5))
    assert tuple(plain) == ("fidelity",)
    with pytest.raises(ValueError, match=r"no realism decoder, expected 0, found 0\.5"):
        plain.blend(0.5)


def test_rates_are_continuous(tiny_codec):
    tile = image()
    norm = normalization(tile)
    curve = [bpp for _, bpp in tiny_codec.sweep(tile, norm, np.linspace(0, 1, 17))]
    assert curve[-1] > curve[0]
    assert np.abs(np.diff(curve)).max() < 0.3 * (max(curve) - min(curve)) + 0.01


def test_a_sweep_gives_what_encoding_gives_and_counts_as_one(tiny_codec):
    tile = image()
    norm = normalization(tile)
    rows = list(tiny_codec.sweep(tile, norm, (0.0, 0.5)))
    assert tiny_codec.encoder_calls == 1
    for rate, (decoded, _) in zip((0.0, 0.5), rows, strict=True):
        (latents,) = tiny_codec.encode([tile], norm, rate)
        symbols = Symbols(*(torch.from_numpy(part.astype(np.int32))[None] for part in latents.symbols))
        network, q = tiny_codec._network, torch.tensor([rate])
        expected = network.decode(network.latents(symbols, q), q)["fidelity"]
        assert decoded.shape == tile.shape
        np.testing.assert_allclose(decoded, expected[0, 0, :96, :80].numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("tiles", "rate", "message"),
    [
        ([], 0.5, "at least one 2-D array"),
        ([np.zeros((2, 3, 4))], 0.5, r"found \(2, 3, 4\)"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], 0.5, r"\(4, 5\) beside \(4, 4\)"),
        ([np.zeros((0, 4))], 0.5, "not empty"),
        ([np.zeros((4, 4))], 1.5, "rate must be a number from 0 to 1, found 1.5"),
        ([np.zeros((4, 4))], float("nan"), "rate must be"),
        ([np.full((4, 4), np.nan)], 0.5, "tiles must be finite"),
    ],
)
def test_wrong_tiles_are_refused(tiny_codec, tiles, rate, message):
    with pytest.raises(ValueError, match=message):
        tiny_codec.encode(tiles, Normalization(NoiseModel(1, 0, 1), 0.0, 1.0), rate)
    assert tiny_codec.encoder_calls == 0


def test_latents_of_another_network_are_refused(tiny_codec):
    tile = image()
    (latents,) = tiny_codec.encode([tile], normalization(tile), 0.5)
    y, z = latents.symbols
    other = replace(latents, symbols=(np.repeat(y, 2, 0), z))
    with pytest.raises(ValueError, match=r"\(16, 16\) channels .* found \(32, 16\)"):
        tiny_codec.decode([other])
    (small,) = tiny_codec.encode([tile[:64, :64]], normalization(tile), 0.5)
    with pytest.raises(ValueError, match=r"one shape, found \(64, 64\) beside \(96, 80\)"):
        tiny_codec.decode([latents, small])
    assert tiny_codec.decode([]) == []


def test_without_the_realism_decode_its_decoder_does_not_run(tiny_realism_codec):
    tile = image((48, 32))
    latents = tiny_realism_codec.encode([tile], normalization(tile), 0.5)
    runs = []
    hook = tiny_realism_codec._network.get_submodule("realism").register_forward_hook(
        lambda *_: runs.append(1)
    )
    try:
        (alone,) = tiny_realism_codec.decode(latents)
        assert (tuple(alone), runs) == (("fidelity",), [])
        (pair,) = tiny_realism_codec.decode(latents, ("fidelity", "realism"))
    finally:
        hook.remove()
    assert runs == [1]
    np.testing.assert_array_equal(alone["fidelity"], pair["fidelity"])


def test_foreign_truncated_altered_and_other_models_bytes_are_refused(tiny_codec, tiny_realism_codec):
    tile = image()
    (latents,) = tiny_codec.encode([tile], normalization(tile), 0.5)
    data = tiny_codec.compress(latents)
    with pytest.raises(BitstreamError, match="starts with"):
        tiny_codec.decompress(b"II*\0" + data)
    with pytest.raises(BitstreamError, match="truncated"):
        tiny_codec.decompress(data[: len(data) // 2])
    for place in (30, len(data) // 2, len(data) - 10):
        altered = bytearray(data)
        altered[place] ^= 4
        with pytest.raises(BitstreamError):
            tiny_codec.decompress(bytes(altered))
    with pytest.raises(BitstreamError, match="made by model"):
        tiny_realism_codec.decompress(data)


def test_the_digest_names_the_weights(tiny_codec, tiny_realism_codec, tiny_model):
    assert len(tiny_codec.digest) == 16
    assert tiny_codec.digest == load_model(tiny_model, "cpu").digest
    assert tiny_codec.digest != tiny_realism_codec.digest


def test_bits_shown_are_those_of_the_bytes_and_the_mean_is_kept():
    """On realistic symbols, those of the shipped model on a simulated image."""
    codec = load_model("default", "cpu")
    tile = simulate_timelapse((1, 512, 512), seed=1).noisy[0]
    norm = normalization(tile)
    for rate in (0.0, 0.5, 1.0):
        (latents,) = codec.encode([tile], norm, rate)
        assert latents.bits == pytest.approx(8 * len(codec.compress(latents)), rel=0.02)
        decoded = codec.decode([latents])[0]["fidelity"]
        assert decoded.mean() == pytest.approx(tile.mean(), rel=5e-3)


def test_moving_to_the_cpu_is_harmless(tiny_codec: Codec):
    assert tiny_codec.to("cpu") is tiny_codec
    assert tiny_codec.device == "cpu"
