"""Adam as torch computes it, without torch's compiler, which no window waits for then."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from napari_rdpdenoise.train.adam import Adam

BETAS = (0.5, 0.99)


def _parameters():
    torch.manual_seed(0)
    return [torch.randn(shape, requires_grad=True) for shape in ((3, 4), (5,), (2, 2, 2))]


def _learn(optimizer, parameters, steps, first=0):
    for step in range(first, first + steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        used = parameters if step % 3 else parameters[:2]  # one has no gradient now and then
        sum(((p - torch.randn_like(p)) ** 2).sum() for p in used).backward()
        optimizer.param_groups[0]["lr"] = 0.01 * (1 + step % 2)
        optimizer.step()


def test_the_numbers_are_torchs_to_the_last_bit():
    one, other = _parameters(), _parameters()
    _learn(Adam(one, lr=0.01, betas=BETAS), one, 12)
    _learn(torch.optim.Adam(other, lr=0.01, betas=BETAS), other, 12)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("first", [torch.optim.Adam, Adam])
def test_it_goes_on_from_what_was_kept_also_by_torchs(first, tmp_path):
    whole = _parameters()
    _learn(Adam(whole, lr=0.01, betas=BETAS), whole, 12)
    parted = _parameters()
    before = first(parted, lr=0.01, betas=BETAS)
    _learn(before, parted, 6)
    torch.save(before.state_dict(), tmp_path / "kept.pt")
    after = Adam(parted, lr=0.5, betas=(0.1, 0.2))
    after.load_state_dict(torch.load(tmp_path / "kept.pt"))
    _learn(after, parted, 6, first=6)
    for a, b in zip(whole, parted, strict=True):
        assert torch.equal(a, b)


def test_what_does_not_fit_is_refused():
    kept = Adam(_parameters(), lr=0.01).state_dict()
    with pytest.raises(ValueError, match="state: expected that of 2 parameters, found 3"):
        Adam(_parameters()[:2], lr=0.01).load_state_dict(kept)


def test_a_training_does_not_load_torchs_compiler(tiny_realism_model, tmp_path):
    """It takes seconds in which a window stands still, and its triton has ended processes with windows."""
    code = (
        "import sys, numpy as np; from napari_rdpdenoise.finetune.run import finetune_zeroshot\n"
        "noisy = np.random.default_rng(0).poisson(50, (2, 160, 160)).astype(np.uint16)\n"
        "finetune_zeroshot(noisy, sys.argv[2], model=sys.argv[1], steps=2, batch=1, crop=64, device='cpu')\n"
        "print([name for name in ('torch._dynamo', 'triton', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tiny_realism_model), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
