"""Training of networks that see three planes: stacks, images in motion, and weights of the first format."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file
from skimage.io import imsave

from napari_rdpdenoise.codec.models import load_tensors, network_tensors
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.network import Frames, RdpNetwork
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.data.motion import MARGIN, inside, moved, neighbours_of
from napari_rdpdenoise.train.settings import CodecStage, FlowStage, MotionRange, RealismStage, TrainSettings
from napari_rdpdenoise.train.trainer import Trainer
from napari_rdpdenoise.train.weights import (
    broadened,
    deepened,
    of_decoder,
    ranged,
    widened,
    with_realism,
    without,
)

ALWAYS = {"missing": 0.0, "unrelated": 0.0, "bleached": 0.0, "defocused": 0.0}


@pytest.fixture(scope="module")
def root(folder, tmp_path_factory) -> Path:
    """The small training folder, with two stacks in `series/` whose planes drift."""
    root = shutil.copytree(folder, tmp_path_factory.mktemp("series") / "data")
    (root / "series").mkdir()
    y, x = np.mgrid[:80, :88]
    for name in ("slow", "held"):
        planes = [60 + 50 * np.sin((y + t) / 6) * np.cos((x - t) / 7) for t in range(5)]
        tifffile.imwrite(
            root / "series" / f"{name}.tif", np.array(planes, np.uint16), metadata={"axes": "TYX"}
        )
    return root


@pytest.fixture
def pictures(root) -> Path:
    """The same folder, with pictures whose colours show one scene, brighter from red to blue."""
    (root / "colours").mkdir(exist_ok=True)
    y, x = np.mgrid[:80, :88]
    scene = 60 + 50 * np.sin(y / 6) * np.cos(x / 7)
    for name in ("one", "held"):
        colours = np.stack([0.5 * scene, scene, 2 * scene], -1).astype(np.uint8)
        imsave(root / "colours" / f"{name}.png", colours, check_contrast=False)
    return root


def of_colours(three, **motion):
    source = type(three.sources[0])(kind="colours", folder="colours", hold_out=("held",))
    return three.model_copy(update={"sources": (source,), "motion": MotionRange(**motion)})


@pytest.fixture(scope="module")
def three(settings) -> TrainSettings:
    """Ten steps of a tiny network of the second format on all kinds of sources."""
    stage = settings.stages[0].model_copy(update={"steps": 10})
    return settings.model_copy(
        update={
            "network": settings.network.model_copy(update={"planes": 3, "detail_channels": 8}),
            "sources": (
                *settings.sources,
                type(settings.sources[0])(kind="series", folder="series", hold_out=("held",)),
            ),
            "stages": (stage,),
        }
    )


@pytest.fixture(scope="module")
def finished(three, root, tmp_path_factory):
    """A run without interruption, and its folder as it was at step 5."""
    out, kept = tmp_path_factory.mktemp("run") / "out", tmp_path_factory.mktemp("killed") / "out"
    trainer, steps = Trainer(three, TrainingData(three, root), out), []
    for step in trainer.run(report_every=1):
        steps.append(step)
        if step.step == 5:
            shutil.copytree(out, kept)
    return steps, kept, trainer


def only(three, kind, **motion):
    sources = tuple(source for source in three.sources if source.kind == kind)
    return three.model_copy(update={"sources": sources, "motion": MotionRange(**motion)})


def test_it_trains_and_a_killed_run_repeats_the_curve(three, root, finished, tmp_path):
    steps, kept, trainer = finished
    assert all(np.isfinite([s.values[n] for n in ("loss", "distortion", "bpp")]).all() for s in steps)
    assert {"series psnr@1.0", "clean psnr@1.0", "noisy psnr@1.0"} <= set(steps[-1].validation)
    resumed = Trainer(three, TrainingData(three, root), shutil.copytree(kept, tmp_path / "out"))
    again = list(resumed.run(report_every=1))
    assert [(s.step, s.values) for s in again] == [(s.step, s.values) for s in steps[5:]]
    for a, b in zip(resumed.loop.average.parameters(), trainer.loop.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_part_has_learned(three, finished):
    trainer = finished[2]
    torch.manual_seed(three.seed)
    start = RdpNetwork(three.network).state_dict()
    for name, value in trainer.loop.network.named_parameters():
        assert "synthesis" in name or not torch.equal(value, start[name]), name


def test_a_batch_holds_three_planes_and_says_which_are_there(three, root):
    batch = TrainingData(three, root).batch(3)
    assert batch.planes.shape == (2, 3, 64, 64)
    assert batch.noisy.shape == batch.target.shape == (2, 1, 64, 64)
    assert batch.presence is not None
    for planes, presence in zip(batch.planes, batch.presence, strict=True):
        assert [bool(planes[k].any()) for k in (0, 2)] == [bool(there) for there in presence]


def test_a_network_of_single_planes_learns_from_series_too(three, root):
    alone = only(three, "series").model_copy(
        update={"network": three.network.model_copy(update={"planes": 1})}
    )
    batch = TrainingData(alone, root).batch(0)
    assert batch.presence is None
    assert batch.planes.shape == (2, 1, 64, 64)
    assert 0.2 < float((batch.noisy - batch.target).std() * 4) < 3


@pytest.mark.parametrize("kind", ["series", "clean"])
def test_neighbours_show_the_same_scene_in_the_same_units(three, root, kind):
    data = TrainingData(only(three, kind, **ALWAYS, still=1.0), root)
    found = []
    for step in range(12):
        batch = data.batch(step)
        smooth = torch.nn.functional.avg_pool2d(batch.planes, 8)
        for k in (0, 2):
            beside, there = smooth[:, k], batch.presence[:, k // 2] > 0
            gap = (beside - smooth[:, 1]).abs().mean((1, 2)) / smooth[:, 1].std((1, 2))
            found += gap[there].tolist()
    assert len(found) > 20
    assert np.median(found) < (0.35 if kind == "series" else 0.15)


@pytest.mark.parametrize("kind", ["series", "clean"])
def test_neighbours_are_missing_as_often_as_asked(three, root, kind):
    data = TrainingData(only(three, kind, missing=0.4), root)
    there = torch.cat([data.batch(step).presence for step in range(60)])
    most = 0.85 if kind == "series" else 0.55  # two planes of five are the ends of their series
    assert 0.25 < float((there.sum(1) < 2).float().mean()) < most
    assert 0 < float((there.sum(1) == 1).float().mean()) < most - 0.25
    data = TrainingData(only(three, kind, missing=1.0, both=1.0), root)
    assert not data.batch(0).planes[:, [0, 2]].any()


def test_the_neighbours_of_a_colour_are_the_two_others_at_its_brightness(three, pictures):
    data = TrainingData(of_colours(three, **ALWAYS), pictures)
    gaps = []
    for step in range(12):
        batch = data.batch(step)
        assert (batch.presence == 1).all()  # no colour is the end of a series
        smooth = torch.nn.functional.avg_pool2d(batch.planes, 8)
        for k in (0, 2):
            gaps += ((smooth[:, k] - smooth[:, 1]).abs().mean((1, 2)) / smooth[:, 1].std((1, 2))).tolist()
    assert np.median(gaps) < 0.35
    alone = of_colours(three).model_copy(update={"network": three.network.model_copy(update={"planes": 1})})
    assert TrainingData(alone, pictures).batch(0).presence is None


def test_colours_are_validated_and_grey_pictures_are_refused(three, pictures, tmp_path):
    steps = list(
        Trainer(of_colours(three), TrainingData(of_colours(three), pictures), tmp_path / "out").run()
    )
    assert "colours psnr@1.0" in steps[-1].validation
    imsave(pictures / "colours" / "grey.png", np.zeros((80, 80), np.uint8), check_contrast=False)
    with pytest.raises(ValueError, match=r"expected pictures in colour for kind 'colours', found .*grey.png"):
        TrainingData(of_colours(three), pictures)
    (pictures / "colours" / "grey.png").unlink()


def test_an_image_that_does_not_move_stays(three):
    rng = np.random.default_rng(0)
    scene = rng.normal(size=(64 + 2 * MARGIN, 64 + 2 * MARGIN)).cumsum(0).cumsum(1).astype(np.float32)
    still = MotionRange(**ALWAYS, still=1.0)
    before, after = neighbours_of(scene, still, lambda: scene, rng)
    np.testing.assert_array_equal(before, inside(scene))
    np.testing.assert_array_equal(after, inside(scene))
    gaps = [
        np.abs(moved(scene, amount, np.random.default_rng(3)) - inside(scene)).mean() for amount in (0.3, 3)
    ]
    assert 0 < gaps[0] < gaps[1] < scene.std()
    other = MotionRange(**{**ALWAYS, "unrelated": 1.0})
    before, _ = neighbours_of(scene, other, lambda: np.eye(64, dtype=np.float32), rng)
    assert np.array_equal(before == before.max(), np.eye(64) > 0)
    assert before.min() == pytest.approx(np.percentile(inside(scene), 0.5), rel=0.02)


def test_much_light_saturates_no_camera(three, root):
    bright = three.noise.model_copy(update={"photons": (40_000.0, 50_000.0), "eight_bit": 0.0})
    data = TrainingData(only(three, "clean").model_copy(update={"noise": bright}), root)
    for number in range(6):
        exposure = data._sources[0].draw(64, np.random.default_rng(number)).exposure
        assert exposure.noisy.max() < 65535
        assert np.ptp(data._normalized(data._sources[0].draw(64, np.random.default_rng(number)),
                                       np.random.default_rng(0)).target) > 64 / 4  # fmt: skip


def test_files_are_chosen_by_their_names(three, root):
    source = three.sources[0].model_copy(
        update={"hold_out": (), "only": ("a1", "a2", "a3"), "leave_out": ("a2",)}
    )
    data = TrainingData(three.model_copy(update={"sources": (source,)}), root)
    assert len(data._sources[0]) == 2


def test_old_weights_widened_do_the_same(settings, three):
    torch.manual_seed(1)
    first, second = RdpNetwork(settings.network).eval(), RdpNetwork(three.network).eval()
    load_tensors(second, widened(network_tensors(first), second.state_dict()))
    load_tensors(first, network_tensors(first))
    with torch.no_grad():
        second.get_submodule("fidelity.detail").weight.zero_()
        second.get_submodule("hyperprior.detail_analysis.1").weight.zero_()
        planes, rate = torch.randn(2, 3, 32, 32), torch.tensor([0.2, 0.8])
        one = first.reconstruct(Frames(planes[:, 1:2]), rate)["fidelity"]
        for presence in (torch.zeros(2, 2), torch.ones(2, 2)):
            two = second.reconstruct(Frames(planes, presence), rate)["fidelity"]
            torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def grown(three, more, grow):
    """A network and a larger one from its weights, which must do the same; its gradients are there."""
    torch.manual_seed(1)
    config = three.network.model_copy(update={"realism": True, "grain_channels": 8, "flow": True})
    first, second = RdpNetwork(config).eval(), RdpNetwork(config.model_copy(update=more)).eval()
    for parameter in first.parameters():
        torch.nn.init.normal_(parameter, std=0.03)
    load_tensors(second, grow(network_tensors(first), second.state_dict()))
    load_tensors(first, network_tensors(first))
    frames, rate = Frames(torch.randn(2, 3, 32, 32), torch.ones(2, 2)), torch.tensor([0.2, 0.8])
    with torch.no_grad():
        one, two = (net.reconstruct(frames, rate, config.decoders, [Place()] * 2) for net in (first, second))
    for name in config.decoders:
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-5)
    second(frames.planes, rate, frames.presence).image.square().sum().backward()
    return first, second


def test_a_deeper_network_begins_by_doing_the_same(three):
    _, second = grown(three, {"encoder_blocks": (3, 2), "decoder_blocks": (1, 4)}, deepened)
    assert second.analysis.layers[4].second.weight.grad.abs().max() > 0  # which learns from the first step


def test_a_broader_network_begins_by_doing_the_same(three):
    more = {"quarter_channels": 64, "eighth_channels": 96, "latent_channels": 32, "detail_channels": 24}
    first, second = grown(three, more, broadened)
    gradient = second.fidelity.layers[-2].weight.grad
    assert gradient[:, :32].abs().max() > 0
    assert gradient[:, 32:].abs().max() > 0  # of what is new, too
    large = network_tensors(second)
    assert broadened(large, first.state_dict()) is large  # which is not cut


def test_a_range_that_reaches_further_goes_on_from_what_was_there_and_can_be_cut_again(three):
    torch.manual_seed(1)
    few = three.network.model_copy(update={"gain_anchors": 3})
    first, second = RdpNetwork(few), RdpNetwork(few.model_copy(update={"gain_anchors": 5}))
    for gains in first.all_gains:
        torch.nn.init.normal_(gains.log_gain)
        torch.nn.init.normal_(gains.log_inverse)
    load_tensors(second, ranged(network_tensors(first), second.state_dict()))
    load_tensors(first, network_tensors(first))
    rate = torch.tensor([0.0, 0.3, 0.7, 1.0])
    for old, new in zip(first.all_gains, second.all_gains, strict=True):
        for one, two in zip(old(rate), new(rate / 2), strict=True):  # the old range is the lower half
            torch.testing.assert_close(one, two)
        for one, two in zip(old.parameters(), new.parameters(), strict=True):
            torch.testing.assert_close(two[4] - two[2], 2 * (one[2] - one[1]), atol=2e-3, rtol=2e-3)
    back = ranged(network_tensors(second), first.state_dict())
    for name, value in network_tensors(first).items():
        torch.testing.assert_close(back[name], value)


def test_a_run_starts_from_weights_of_another_range(three, root, tmp_path):
    from safetensors.torch import save_file

    start = root / "more.safetensors"
    save_file(network_tensors(RdpNetwork(three.network.model_copy(update={"gain_anchors": 10}))), start)
    network = three.network.model_copy(update={"gain_anchors": 6})
    settings = three.model_copy(update={"network": network, "start_from": start.name})
    for _ in Trainer(settings, TrainingData(settings, root), tmp_path / "out").run():
        pass
    saved = load_file(tmp_path / "out" / "model.safetensors")
    assert saved["gains.log_gain"].shape[0] == 6


def test_a_shallow_realism_decoder_beside_a_deep_codec_stays_what_it_was(three):
    small = three.network.model_copy(update={"realism": True})
    deep = small.model_copy(update={"decoder_blocks": (2, 3)})
    old, codec = network_tensors(RdpNetwork(small)), network_tensors(RdpNetwork(deep))
    both = without("realism", codec) | of_decoder("realism", old)
    wanted = RdpNetwork(deep)
    load_tensors(wanted, deepened(with_realism(both), wanted.state_dict()))
    kept = wanted.get_parameter("realism.layers.0.weight")
    torch.testing.assert_close(kept, old["realism.layers.0.weight"].float())


def test_all_stages_of_a_deeper_network_start_from_one_with_all_decoders(three, root, tmp_path):
    from safetensors.torch import save_file

    start = tmp_path / "start.safetensors"
    given = three.network.model_copy(update={"realism": True, "flow": True})
    save_file(network_tensors(RdpNetwork(given)), start)
    plain = {"lpips": 0.0, "warm_up": 1, "steps": 2}
    stages = (
        CodecStage(kind="all-rates", steps=2, warm_up=1),
        RealismStage(kind="realism", adversarial=0.0, **plain),
        FlowStage(kind="flow", **plain),
    )
    deep = three.network.model_copy(update={"decoder_blocks": (2, 3)})
    settings = three.model_copy(update={"start_from": str(start), "stages": stages, "network": deep})
    trainer = Trainer(settings, TrainingData(settings, root), tmp_path / "out")
    assert [s.stage for s in trainer.run(report_every=2)] == ["1-all-rates", "2-realism", "3-flow"]
    network = RdpNetwork(deep.model_copy(update={"realism": True, "flow": True}))
    load_tensors(network, load_file(tmp_path / "out" / "model.safetensors"))


def test_weights_of_a_deeper_network_are_not_cut(three):
    deep = three.network.model_copy(update={"encoder_blocks": (3, 2)})
    tensors = network_tensors(RdpNetwork(deep))
    assert deepened(tensors, RdpNetwork(three.network).state_dict()) is tensors


def test_a_run_starts_from_weights_of_the_first_format(settings, three, root, tmp_path):
    from safetensors.torch import save_file

    save_file(network_tensors(RdpNetwork(settings.network)), tmp_path / "old.safetensors")
    started = three.model_copy(update={"start_from": str(tmp_path / "old.safetensors")})
    trainer = Trainer(started, TrainingData(started, root), tmp_path / "out")
    assert [s.step for s in trainer.run(report_every=10)][-1] == 10


def test_a_prolonged_stage_begins_what_follows_anew(three, root, tmp_path):
    constant = three.stages[0].model_copy(update={"schedule": "constant", "steps": 4})
    cool = three.stages[0].model_copy(update={"steps": 3, "warm_up": 1})
    data = TrainingData(three, root)

    def trained(steps):
        stages = (constant.model_copy(update={"steps": steps}), cool)
        run = Trainer(three.model_copy(update={"stages": stages}), data, tmp_path)
        return [(s.stage, s.step) for s in run.run(report_every=1)], run

    first, _ = trained(4)
    assert first == [*(("1-all-rates", k) for k in range(1, 5)), *(("2-all-rates", k) for k in range(1, 4))]
    assert trained(4)[0] == []
    again, run = trained(6)
    assert again == [("1-all-rates", 5), ("1-all-rates", 6), *(("2-all-rates", k) for k in range(1, 4))]
    rates = {group["lr"] for optimizer, _ in run.loop.optimizer_of_rate() for group in optimizer.param_groups}
    assert rates.pop() < 0.6 * three.stages[0].learning_rate
    kept = load_file(tmp_path / "model.safetensors")
    assert set(kept) == set(network_tensors(RdpNetwork(three.network)))


def test_a_constant_rate_stays(three, root, tmp_path):
    stage = three.stages[0].model_copy(update={"schedule": "constant", "steps": 6})
    settings = three.model_copy(update={"stages": (stage,)})
    trainer = Trainer(settings, TrainingData(settings, root), tmp_path)
    rates = [trainer.loop._optimizer.param_groups[0]["lr"] for _ in trainer.run(report_every=1)]
    assert np.divide(rates, stage.learning_rate) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1])


def test_realism_learns_on_three_planes(three, root, finished, tmp_path):
    stage = {
        "kind": "realism",
        "steps": 2,
        "lpips": 0.0,
        "critic_from": 0,
        "critic_alone": 0,
        "critic_steps": 1,
    }
    weights = finished[2].folder / "model.safetensors"
    settings = TrainSettings.model_validate(
        three.model_dump() | {"stages": [stage], "start_from": str(weights)}
    )
    trainer = Trainer(settings, TrainingData(settings, root), tmp_path)
    assert [s.step for s in trainer.run(report_every=1)] == [1, 2]
    tensors = load_file(tmp_path / "model.safetensors")
    fidelity = load_file(weights)["fidelity.detail.weight"]
    assert torch.equal(tensors["fidelity.detail.weight"], fidelity)
    assert not torch.equal(tensors["realism.detail.weight"], fidelity)  # which it was a copy of
    torch.testing.assert_close(tensors["realism.detail.weight"], fidelity, atol=1e-3, rtol=0)


def test_real_series_train(three, data_folder, tmp_path):
    names = {"only": ["golgi", "confocal_nucleus"], "hold_out": ["confocal"]}
    source = {"kind": "series", "folder": "series", "downscale": [1.0, 0.5], **names}
    settings = TrainSettings.model_validate(three.model_dump() | {"sources": [source]})
    trainer = Trainer(settings, TrainingData(settings, data_folder / "data"), tmp_path)
    steps = list(trainer.run(report_every=10))
    assert np.isfinite(steps[-1].values["loss"])
    assert "series psnr@1.0" in steps[-1].validation
