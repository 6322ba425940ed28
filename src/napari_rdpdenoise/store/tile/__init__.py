"""One tile into a container and back.

Symbols: ``y`` original counts; ``x`` fidelity decode, always in float32, so that all machines agree within
rounding; ``u`` counts in noise standard deviations (`units`); ``q`` step, ``w`` share of the residual that is
structure (`codec.structure`); ``d`` dither, -1/2 to 1/2, the same for writer and reader: what it leaves of a
quantisation is noise that depends on nothing, and no value comes out more often than others.

::

    residual layer    k = round((u(y) - u(x)) / q + d)     y' = u^-1(u(x) + q (k - d))
    structure layer   k = round(w (u(y) - u(x)) / q)       y' = u^-1(u(x) + q k / w)
    denoised          (1 - w) decode + w y', exact pixels as they were
    original          y', exact pixels as they were
"""
