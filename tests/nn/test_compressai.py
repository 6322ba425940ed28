"""CompressAI is imported in parts, and stays whole for others."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "torch_geometric", "torchvision", "pandas", "triton", "torch._dynamo", "compressai.zoo", "scipy.stats",
)  # fmt: skip


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_denoising_loads_no_more_of_it_than_is_used(tiny_model):
    program = (
        "import sys, numpy as np, napari_rdpdenoise as rdp\n"
        "noisy = np.random.default_rng(0).poisson(50, (64, 64)).astype('uint16')\n"
        f"rdp.denoise(noisy, model={str(tiny_model)!r}, device='cpu', rate=0.5)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    assert python(program) == "[]"


def test_patch_codecs_load_no_more_either():
    program = (
        "import sys, napari_rdpdenoise.nn.patch_codec\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    assert python(program) == "[]"


def test_it_is_whole_for_who_asks_for_more():
    program = (
        "from napari_rdpdenoise.nn._compressai import prepare; prepare()\n"
        "from compressai.entropy_models import EntropyBottleneck\n"
        "EntropyBottleneck(4)\n"
        "import compressai\n"
        "from compressai import zoo\n"
        "import compressai.models\n"
        "assert compressai.zoo is zoo and compressai.models.FactorizedPrior\n"
        "assert compressai.entropy_models.EntropyBottleneck is EntropyBottleneck\n"
        "compressai.set_entropy_coder('ans')\n"
        "try:\n"
        "    compressai.nothing\n"
        "except AttributeError as error:\n"
        "    print(error)\n"
    )
    assert python(program) == "module 'compressai' has no attribute 'nothing'"


def test_who_has_loaded_it_keeps_it():
    program = (
        "import compressai; before = compressai\n"
        "from napari_rdpdenoise.nn._compressai import prepare; prepare()\n"
        "import napari_rdpdenoise.nn.entropy\n"
        "import sys; print(sys.modules['compressai'] is before)\n"
    )
    assert python(program) == "True"


def test_its_quantiles_are_there_when_they_are_asked_for():
    program = (
        "import sys\n"
        "from napari_rdpdenoise.nn._compressai import prepare; prepare()\n"
        "from compressai.entropy_models import GaussianConditional\n"
        "model = GaussianConditional(None)\n"
        "assert 'scipy.stats' not in sys.modules\n"
        "model.update_scale_table([0.5, 1.0])\n"
        "import scipy.stats\n"
        "print(model._standardized_quantile(0.975) == scipy.stats.norm.ppf(0.975), model._offset.tolist())\n"
    )
    assert python(program) == "True [-4, -7]"  # of 6.1 standard deviations, beyond which a billionth lies
