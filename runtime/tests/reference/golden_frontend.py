"""Writes runtime/tests/golden/frontend.{i16,json}: log-mel features by librosa's definition.

Needs numpy and librosa. Run from the repository's root: python runtime/tests/reference/golden_frontend.py
The mel bank is librosa.filters.mel(htk=True, norm=None), which is torchaudio's
melscale_fbanks(norm=None, mel_scale="htk"); everything is computed in double precision.
"""

import json
import pathlib

import librosa
import numpy as np
import scipy.signal

OUT = pathlib.Path("runtime/tests/golden")
RATE = 16_000
# window, hop, mels, f_min, f_max, floor, mean, scale
CONFIGS = [
    (512, 256, 64, 60.0, 7800.0, 1e-5, -4.0, 0.25),
    (256, 160, 40, 0.0, 8000.0, 1e-6, 0.0, 1.0),
    (1024, 512, 128, 0.0, 8000.0, 1e-8, -3.0, 0.5),
    (512, 160, 128, 20.0, 8000.0, 1e-4, 0.0, 1.0),  # narrow bands: some have no bin
    (1024, 320, 40, 300.0, 3400.0, 1e-3, 1.0, 2.0),
]


def samples():
    """A chirp, an impulse, noise and near silence, so that levels span what 16 bits hold."""
    rng = np.random.default_rng(7)
    t = np.arange(6000) / RATE
    x = 0.5 * scipy.signal.chirp(t, 100, t[-1], 7000, method="logarithmic")
    x[3000:] *= 0.02
    x += rng.normal(0, 0.05, t.size) * (t > 0.15) * (t < 0.3)
    x[500] += 0.4
    x[5000:] = rng.integers(-1, 2, 1000) / 32768
    return np.clip(np.round(x * 32768), -32768, 32767).astype("<i2")


def features(x, window, hop, mels, f_min, f_max, floor, mean, scale):
    bank = librosa.filters.mel(
        sr=RATE, n_fft=window, n_mels=mels, fmin=f_min, fmax=f_max, htk=True, norm=None, dtype=np.float64
    )
    frames = np.lib.stride_tricks.sliding_window_view(x / 32768.0, window)[::hop]
    power = np.abs(np.fft.rfft(frames * scipy.signal.get_window("hann", window, fftbins=True))) ** 2
    return (np.log(power @ bank.T + floor) - mean) * scale


x = samples()
OUT.mkdir(parents=True, exist_ok=True)
x.tofile(OUT / "frontend.i16")
names = ("window", "hop", "mels", "f_min", "f_max", "floor", "mean", "scale")
cases = []
for config in CONFIGS:
    made = features(x, *config)
    kept = made[:: max(1, len(made) // 8)][:9]  # every frame would be large and show no more
    step = max(1, len(made) // 8)
    rows = [[float(f"{v:.7g}") for v in row] for row in kept]
    cases.append({**dict(zip(names, config)), "frames": len(made), "kept_every": step, "features": rows})
(OUT / "frontend.json").write_text(json.dumps({"librosa": librosa.__version__, "cases": cases}) + "\n")
