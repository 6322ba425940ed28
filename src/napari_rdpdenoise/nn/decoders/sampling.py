"""How the flow decoder draws a sample. Loads no torch."""

from __future__ import annotations

from typing import NamedTuple


class Sampling(NamedTuple):
    """How the flow decoder walks from the fidelity decode to a sample.

    The constraints are those of DCIC (Jiang, Katto and Sun 2026, arXiv 2606.13366): (kd, kp) = (1, 0), (0, 1)
    and (1, 1) are its points RD, RP and RDP; (0, 0) is plain sampling.

    Attributes:
        steps: Steps of the walk; each takes about as long as a decode.
        kd: Strength of the constraint that holds the sample near the fidelity decode, 0 to 1.
        kp: Strength of the constraint that the sample, encoded again, decodes to the same, 0 to 1.
        rho: Weight of perception that the decoder is asked for, 0 to 0.9 as it was trained with.
        exact: Whether the second constraint follows its true gradient in the place of a unit Jacobian.
        sample: Number of the first sample; each has random numbers of its own.
        samples: Samples that are drawn, of which the mean is taken.
    """

    steps: int = 3
    kd: float = 0.0
    kp: float = 0.0
    rho: float = 0.9
    exact: bool = False
    sample: int = 0
    samples: int = 1


PLAIN = Sampling()
