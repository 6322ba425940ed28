"""What a critic calls natural is what the decoder learns to make: the sign of its term."""

from __future__ import annotations

import pytest
import torch

from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.losses.display import displayed
from napari_rdpdenoise.train.settings import TrainSettings
from napari_rdpdenoise.train.stages.adapt import AdaptLoop
from napari_rdpdenoise.train.stages.realism import RealismLoop

STAGES = {
    "realism": {"kind": "realism", "distortion": 0, "lpips": 0, "pattern": 0, "adversarial": 1.0},
    "adapt": {"kind": "adapt", "perception": 1e4, "learns": "decoder", "decoder": "realism"},
}


class Contrast(torch.nn.Module):
    """A critic to whom what has more contrast is more natural; it learns nothing."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = torch.nn.Parameter(torch.tensor(sign))

    def forward(self, image, *_given):
        return self.sign * image.flatten(1).std(1)


class WithReferences(TrainingData):
    def references(self, _step, count):
        return torch.rand(count, 1, 64, 64)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("kind", STAGES)
def test_the_decoder_goes_where_the_critic_points(settings, folder, tmp_path, kind, sign):
    network_settings = settings.network.model_copy(update={"realism": True})
    raw = settings.model_dump() | {"network": network_settings.model_dump(), "start_from": "any"}
    stage = {"steps": 9, "critic_alone": 0, "warm_up": 1, "learning_rate": 2e-3, **STAGES[kind]}
    if kind == "realism":
        stage["critic_from"] = 0
    stage_settings = TrainSettings.model_validate(raw | {"stages": [stage]})
    torch.manual_seed(0)
    network, data = RdpNetwork(network_settings), WithReferences(stage_settings, folder)
    loop_of = RealismLoop if kind == "realism" else AdaptLoop
    loop = loop_of(stage_settings, 0, network, data, tmp_path)
    loop._critic = Contrast(sign)
    batch, rate = data.batch(0), torch.tensor([0.5, 0.9])

    def contrast():
        network.eval()
        with torch.no_grad():
            latents, _ = network.coded(network.analysis(*batch.frames), rate)
            image = displayed(network.decode(latents, rate, ("realism",))["realism"], batch.tone)
        return float(image.flatten(1).std(1).mean())

    before = contrast()
    for step in range(6):
        loop._step(data.batch(step))
    assert (contrast() - before) * sign > 0
