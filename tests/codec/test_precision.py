"""bfloat16 where PyTorch says that it is faster, close to float32 at any light, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.codec import precision as module
from napari_rdpdenoise.codec.precision import MOST, NEAR, VARIABLE, choose_precision, is_faster
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.output.array_sink import ArraySink
from napari_rdpdenoise.nn.layers import ResidualBlock, branches_in, numbers_in
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec

CAMERA = NoiseModel(2.0, 100.0, 3.0)
SCALE = 4.0  # noise standard deviations per network unit


@pytest.fixture(scope="module")
def shipped():
    return load_model("default", "cpu")


def scene(photons, shape=(128, 128), seed=0):
    """Counts of bright discs on dim, uneven ground, so many photo-electrons at the bright end; the truth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = 0.15 + 0.1 * np.sin(x / 17) * np.cos(y / 23)
    for row, column in rng.uniform(0, shape[0], (12, 2)):
        light += 0.8 * (np.hypot(y - row, x - column) < rng.uniform(2, 9))
    light = photons * np.minimum(light, 1)
    return (2.0 * rng.poisson(light) + 100 + rng.normal(0, 3, shape)).astype(np.float32), 2.0 * light + 100


def told(monkeypatch, *, amx=False, avx512=False, bf16=False, cuda=False):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)


def test_a_variable_says_what_auto_is(monkeypatch):
    told(monkeypatch, amx=True)
    monkeypatch.setenv(VARIABLE, "float32")
    assert choose_precision("auto", "cpu") == "float32"
    assert choose_precision("bfloat16", "cpu") == "bfloat16"
    monkeypatch.setenv(VARIABLE, "bfloat16")
    assert choose_precision("auto", "cpu") == "bfloat16"
    with pytest.raises(ValueError, match="precision: expected float32"):
        choose_precision("auto", "mps")
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(ValueError, match=r"RDPDENOISE_PRECISION: expected float32 or bfloat16, found 'half'"):
        choose_precision("auto", "cpu")


@pytest.mark.parametrize(
    ("device", "machine", "expected"),
    [
        ("cpu", {}, "float32"),
        ("cpu", {"amx": True}, "bfloat16"),
        ("cpu", {"avx512": True}, "bfloat16"),
        ("cpu", {"cuda": True, "bf16": True}, "float32"),
        ("cuda", {"cuda": True}, "float32"),
        ("cuda", {"cuda": True, "bf16": True}, "bfloat16"),
        ("cuda", {"cuda": True, "amx": True}, "float32"),
        ("mps", {"amx": True}, "float32"),
    ],
)
def test_auto_decides_by_what_pytorch_says(monkeypatch, device, machine, expected):
    told(monkeypatch, **machine)
    assert choose_precision("auto", device) == expected
    assert choose_precision("float32", device) == "float32"
    assert is_faster(device) == (expected == "bfloat16")


def test_what_a_device_does_not_have_is_refused():
    assert choose_precision("bfloat16", "cpu") == choose_precision("bfloat16", "cuda") == "bfloat16"
    with pytest.raises(ValueError, match=r"precision: expected float32 or auto on the device mps, found"):
        choose_precision("bfloat16", "mps")


def test_a_version_of_pytorch_that_does_not_know_an_instruction_has_none(monkeypatch):
    told(monkeypatch)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert choose_precision("auto", "cpu") == "float32"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert choose_precision("auto", "cpu") == "bfloat16"


def test_the_query_is_there():
    assert isinstance(torch.cpu._is_amx_tile_supported(), bool)
    assert isinstance(torch.cpu._is_avx512_bf16_supported(), bool)
    assert isinstance(is_faster("cpu"), bool)


@pytest.mark.parametrize("rate", [0.4, 1.0])
@pytest.mark.parametrize("photons", [10, 200, 1000, 5000, 50_000])
def test_results_stay_close_to_those_of_float32_and_as_near_to_the_truth(shipped, photons, rate):
    raw, truth = scene(photons)
    units, fast = shipped.fit([raw], CAMERA), shipped.at("bfloat16")
    (latents,) = shipped.encode([raw], units, rate)
    images = [
        codec.decode(of, shipped.decoders)[0]
        for codec, of in (
            (shipped, [latents]),
            (fast, [latents]),
            (fast, fast.encode([raw], units, rate)),
        )
    ]
    for name in shipped.decoders:
        exact, same_symbols, whole = (units.target(image[name]) * SCALE for image in images)
        clean = units.target(truth) * SCALE
        assert 0 < rms(same_symbols - exact) < 0.05, name
        assert 0 < rms(whole - exact) < 0.2, name
        assert abs(20 * np.log10(rms(whole - clean) / rms(exact - clean))) < 0.05, name


def rms(difference):
    return np.sqrt(np.mean(np.square(difference)))


def test_bright_tiles_are_encoded_in_float32_and_dim_ones_beside_them_are_not(shipped):
    tiles = [scene(20, seed=1)[0], scene(50_000, seed=2)[0], scene(30, seed=3)[0]]
    units = shipped.fit(tiles, CAMERA)
    reach = [np.abs(units.forward(tile)).max() * SCALE for tile in tiles]
    assert [far > MOST for far in reach] == [False, True, False]
    fast = shipped.at("bfloat16")
    together = fast.encode(tiles, units, 1.0)
    exact = [shipped.encode([tile], units, 1.0)[0] for tile in tiles]  # alone: a batch may round otherwise
    turned = fast.encode(tiles[::-1], units, 1.0)[::-1]
    for tile, latents, other, known in zip(tiles, together, turned, exact, strict=True):
        (alone,) = fast.encode([tile], units, 1.0)
        for parts in zip(latents.symbols, other.symbols, alone.symbols, strict=True):
            assert all(np.array_equal(parts[0], part) for part in parts)
        same = all(np.array_equal(a, b) for a, b in zip(latents.symbols, known.symbols, strict=True))
        assert same == (tile is tiles[1])


def test_a_decode_that_is_bright_is_computed_anew_whatever_is_beside_it(shipped):
    dim = scene(20, seed=1)[0]
    spot = dim.copy()
    spot[60:66, 60:66] += 8000  # in one block of 64 px, whose mean does not tell
    units, fast = shipped.fit([dim], CAMERA), shipped.at("bfloat16")
    latents = shipped.encode([dim, spot, dim[::-1]], units, 1.0)
    reach = [np.abs(units.target(tile)).max() * SCALE for tile in (dim, spot)]
    assert reach[0] < NEAR < reach[1]
    together = fast.decode(latents, shipped.decoders[:2])
    turned = fast.decode(latents[::-1], shipped.decoders[:2])[::-1]
    exact = shipped.decode(latents, shipped.decoders[:2])
    for item, one, other, known in zip(latents, together, turned, exact, strict=True):
        (alone,) = fast.decode([item], shipped.decoders[:2])
        for name in one:
            np.testing.assert_array_equal(one[name], alone[name])
            np.testing.assert_array_equal(one[name], other[name])
            assert 0 < rms((units.target(one[name]) - units.target(known[name])) * SCALE) < 0.05


@pytest.mark.parametrize("photons", [20, 5000])
def test_what_else_is_decoded_changes_no_pixel(shipped, photons):
    raw, _ = scene(photons)
    units, fast = shipped.fit([raw], CAMERA), shipped.at("bfloat16")
    latents = shipped.encode([raw], units, 1.0)
    (together,) = fast.decode(latents, shipped.decoders)
    for name in shipped.decoders:
        (alone,) = fast.decode(latents, (name,))
        np.testing.assert_array_equal(together[name], alone[name])


@pytest.mark.parametrize("gradient", [False, True])
def test_all_numbers_of_a_block_or_those_of_its_branch(gradient):
    block = ResidualBlock(32)
    x = torch.randn(2, 32, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(gradient):
        expected = block(x)
        with branches_in(torch.bfloat16):
            branch = block(x)
        with numbers_in(torch.bfloat16):
            whole = block(x.bfloat16())
        assert (expected.dtype, branch.dtype, whole.dtype) == (torch.float32, torch.float32, torch.bfloat16)
        assert 0 < (branch - expected).abs().max() < 0.01
        assert 0 < (whole - expected).abs().max() < 0.05
    if gradient:
        whole.float().square().sum().backward()
        assert block.first.weight.grad.abs().sum() > 0


def test_a_bright_neighbour_counts_as_well(shipped, monkeypatch):
    dim, bright = scene(20, seed=1)[0], scene(50_000, seed=2)[0]
    units, fast = shipped.fit([dim], CAMERA), shipped.at("bfloat16")
    used = []
    monkeypatch.setattr(module, "numbers_in", lambda dtype: used.append(dtype) or numbers_in(dtype))
    fast.encode([dim], units, 1.0, [(dim, None)])
    assert used == [torch.bfloat16]
    fast.encode([dim], units, 1.0, [(dim, bright)])
    assert used == [torch.bfloat16]


def test_float32_is_untouched(shipped):
    block = ResidualBlock(32).eval()
    x = torch.randn(2, 32, 24, 24, generator=torch.Generator().manual_seed(0))
    expected = block.second(torch.nn.functional.leaky_relu(block.first(x), 0.1)) + x
    assert torch.equal(block(x), expected)
    with branches_in(torch.bfloat16):
        fast = block(x)
        with branches_in(None):
            assert torch.equal(block(x), expected)
    assert fast.dtype == torch.float32
    assert not torch.equal(fast, expected)
    assert torch.equal(block(x), expected)

    raw, _ = scene(100)
    units = shipped.fit([raw], CAMERA)
    before = shipped.decode(shipped.encode([raw], units, 0.7))[0].first
    fast_codec = shipped.at("bfloat16")
    fast_codec.decode(fast_codec.encode([raw], units, 0.7))
    assert shipped.at("float32") is shipped
    assert fast_codec.at("bfloat16") is fast_codec
    np.testing.assert_array_equal(shipped.decode(shipped.encode([raw], units, 0.7))[0].first, before)
    np.testing.assert_array_equal(
        fast_codec.at("float32").decode(shipped.encode([raw], units, 0.7))[0].first, before
    )


def test_it_is_not_confused_with_float32_in_the_cache_and_a_coded_tile_is_the_same_for_both(shipped):
    fast = shipped.at("bfloat16")
    assert shipped.identity == shipped.digest != fast.identity
    assert fast.digest == shipped.digest
    raw, _ = scene(100)
    units = shipped.fit([raw], CAMERA)
    (latents,) = fast.encode([raw], units, 0.7)
    read = shipped.decompress(fast.compress(latents))
    for mine, theirs in zip(latents.symbols, read.symbols, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def run(codec, raw, precision, cache):
    settings = RunSettings(rate=0.7, tile=64, halo=64, dtype="float32", precision=precision)
    source = ArraySource(raw, "YX")
    sink = ArraySink(output_spec(source, settings, codec))
    stream = denoise_stream(source, sink, settings, codec=codec, cache=cache)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return sink.array, end.value


def test_a_run_says_what_it_computed_with_and_keeps_its_latents_apart(shipped, monkeypatch):
    told(monkeypatch)
    raw, cache = scene(100)[0], LatentCache(folder=None)
    exact, report = run(shipped, raw, "auto", cache)
    assert (report.precision, report.cache_hits) == ("float32", 0)
    fast, report = run(shipped, raw, "bfloat16", cache)
    assert (report.precision, report.cache_hits) == ("bfloat16", 0)
    assert not np.array_equal(exact, fast)
    again, report = run(shipped, raw, "bfloat16", cache)
    assert report.cache_hits == report.tiles
    np.testing.assert_array_equal(again, fast)
    told(monkeypatch, amx=True)
    asked, report = run(shipped, raw, "auto", cache)
    assert report.precision == "bfloat16"
    np.testing.assert_array_equal(asked, fast)
    _, report = run(shipped, raw, "float32", cache)
    assert (report.precision, report.cache_hits) == ("float32", report.tiles)
