"""A whole run: its stages one after the other, each in a folder of its own, each starting from the last.

Who oversees a run may end a stage early and have the next one start from better weights than the last.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import torch

from napari_rdpdenoise.codec.models import load_tensors, read_tensors
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.nn._triton import keep_triton_out
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoder_names import FLOW, REALISM
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.data.batches import TrainingData
from napari_rdpdenoise.train.loop import Loop, Overseer, TrainProgress
from napari_rdpdenoise.train.settings import AdaptStage, FlowStage, RealismStage, Stage, TrainSettings
from napari_rdpdenoise.train.stages.adapt import AdaptLoop
from napari_rdpdenoise.train.stages.fidelity import FidelityLoop
from napari_rdpdenoise.train.stages.flow import FlowLoop
from napari_rdpdenoise.train.stages.realism import RealismLoop, check_backbones
from napari_rdpdenoise.train.weights import (
    broadened,
    deepened,
    find_weights,
    following,
    of_decoder,
    ranged,
    widened,
    with_realism,
    without,
)


class Trainer:
    """Trains a model; a generator, so that command line, dock and tests share it.

    ``folder`` gets ``1-high-rate/``, ``2-all-rates/``, ``3-realism/`` (whichever the settings have), each
    with ``checkpoint.pt`` and ``model.safetensors``, and the latest weights as ``model.safetensors``.

    Args:
        settings: Settings of the run.
        data: Data made from the same settings.
        folder: Folder of the new model.
        device: Name of the device of torch.
        overseer: Overseer that is asked at every validation, before its checkpoint is written.

    Raises:
        FileNotFoundError: If the weights to start from are not there.
        MetricUnavailable: If a realism stage needs LPIPS and its network is not on this machine.
    """

    def __init__(
        self,
        settings: TrainSettings,
        data: TrainingData,
        folder: Path,
        device: str = "cpu",
        overseer: Overseer | None = None,
    ) -> None:
        self._overseer = overseer
        self.settings, self.data, self.folder, self.device = settings, data, folder, device
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        check_backbones(settings)
        self._start = None if settings.start_from is None else find_weights(settings.start_from, data.root)
        self.loop: Loop | None = None
        self._done: dict[str, int] = {}

    @property
    def network_config(self) -> NetworkConfig:
        """Shape of the network as it is now."""
        return self.settings.network if self.loop is None else self.loop.network.config

    @property
    def steps(self) -> dict[str, int]:
        """Steps done so far, by stage."""
        return self._done | ({} if self.loop is None else {self.loop.folder.name: self.loop.step})

    def run(self, report_every: int = 100) -> Generator[TrainProgress, None, None]:
        """Train all stages, yielding progress; closing the generator stops within a step and saves.

        Stages that an earlier run finished are skipped, an unfinished one goes on where it was; one after a
        stage that was prolonged since then begins anew.
        """
        keep_triton_out()
        before = self._start
        for number in range(len(self.settings.stages)):
            self.loop = self._loop(number, before)
            try:
                yield from self.loop.run(report_every)
            finally:
                self._publish(self.loop)
            self._done[self.loop.folder.name] = self.loop.step
            before = self._before_next(self.loop)

    def _loop(self, number: int, before: Path | None) -> Loop:
        stage = self.settings.stages[number]
        torch.manual_seed(self.settings.seed)
        tensors = None if before is None else read_tensors(before)
        config = self._config(stage, {} if tensors is None else tensors)
        network = RdpNetwork(config)
        if tensors is not None:
            if config.realism:
                tensors = self._with_started(REALISM, tensors)
                tensors = with_realism(tensors, fresh=isinstance(stage, RealismStage) and stage.fresh)
                tensors = _of_new(network, "realism.grain.") | tensors
            else:  # a decoder that this stage's latents would leave behind
                tensors = without(REALISM, tensors)
            if config.flow:
                tensors = _of_new(network, "flow.") | self._with_started(FLOW, tensors)
            else:
                tensors = without(FLOW, tensors)
            for grown in (ranged, deepened, broadened):
                tensors = grown(tensors, network.state_dict())
            if config.planes > 1 or config.detail_channels:
                tensors = widened(tensors, network.state_dict())
            load_tensors(network, tensors)
        network = network.to(self.device).to(memory_format=torch.channels_last)
        loop = _loop_of(stage)(self.settings, number, network, self.data, self.folder)
        loop.overseer, loop.before = self._overseer, dict(self._done)
        return loop

    def _before_next(self, loop: Loop) -> Path | None:
        """Weights that the stage after this one starts from."""
        if self._overseer is None:
            return loop.folder / "model.safetensors"
        return self._overseer.best(loop) or self._start

    def _config(self, stage: Stage, tensors: dict[str, torch.Tensor]) -> NetworkConfig:
        """Shape of a stage's network: with the decoders that it trains, and those that it leaves alone."""
        given, flow = self.settings.network, isinstance(stage, FlowStage)
        kept = (isinstance(stage, AdaptStage) and given.realism) or (
            flow and bool(of_decoder(REALISM, tensors))
        )
        return given.model_copy(update={"realism": kept or isinstance(stage, RealismStage), "flow": flow})

    def _with_started(self, decoder: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Tensors with the decoder of this name that the run started from, where they have none."""
        if self._start is None or of_decoder(decoder, tensors):
            return tensors
        started = read_tensors(self._start)
        kept = following(started, tensors) if decoder == REALISM else of_decoder(decoder, started)
        return kept | tensors

    def _publish(self, loop: Loop) -> None:
        weights = loop.folder / "model.safetensors"
        if weights.is_file():
            with atomic(self.folder / "model.safetensors") as fresh:
                shutil.copyfile(weights, fresh)


def _loop_of(stage: Stage) -> type[Loop]:
    if isinstance(stage, AdaptStage):
        return AdaptLoop
    if isinstance(stage, FlowStage):
        return FlowLoop
    return RealismLoop if isinstance(stage, RealismStage) else FidelityLoop


def _of_new(network: RdpNetwork, prefix: str) -> dict[str, torch.Tensor]:
    """Untrained tensors of a part of the network, for weights from before it was there."""
    return {n: v for n, v in network.state_dict().items() if n.startswith(prefix)}
