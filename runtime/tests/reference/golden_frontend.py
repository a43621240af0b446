"""Writes runtime/tests/golden/frontend.{i16,json}: log-mel features by librosa's definition.

Needs numpy and librosa. Run from the repository's root: python runtime/tests/reference/golden_frontend.py
The mel bank is librosa.filters.mel, which is torchaudio's melscale_fbanks with the same scale and norm;
everything is computed in double precision. Features of other forms are librosa.feature.melspectrogram's
own, and YAMNet's are computed as its code does. Where torchaudio is there, too, they are compared with its
MelSpectrogram.
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
# The same, then: transform, spectrum, mel scale, band norm, floor rule, framing
FOREIGN = [
    # YAMNet
    (400, 160, 64, 125.0, 7500.0, 1e-3, 0.0, 1.0, 512, "magnitude", "htk", "peak", "added", "begin"),
    # librosa.power_to_db of librosa's own defaults, as natural logarithm
    (512, 128, 128, 0.0, 8000.0, 1e-10, -3.0, 0.5, 512, "power", "slaney", "area", "least", "centre"),
    # torchaudio's usual 25 ms and 10 ms
    (400, 160, 80, 0.0, 8000.0, 1e-6, -5.0, 0.2, 512, "power", "htk", "peak", "added", "centre"),
    (480, 160, 40, 20.0, 4000.0, 1e-5, 0.0, 1.0, 1024, "magnitude", "slaney", "peak", "least", "begin"),
    (640, 320, 64, 50.0, 7600.0, 1e-7, 0.0, 1.0, 1024, "power", "htk", "area", "added", "centre"),
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


def foreign(x, window, hop, mels, f_min, f_max, floor, mean, scale, transform, spectrum, mel_scale, band_norm, floor_rule, framing):
    power = 2.0 if spectrum == "power" else 1.0
    centre = framing == "centre"
    common = dict(sr=RATE, n_mels=mels, fmin=f_min, fmax=f_max, htk=mel_scale == "htk", dtype=np.float64)
    norm = "slaney" if band_norm == "area" else None
    x = x / 32768.0
    if centre:
        bands = librosa.feature.melspectrogram(
            y=x, n_fft=transform, hop_length=hop, win_length=window, center=True, pad_mode="constant", power=power,
            norm=norm, **common
        ).T
        compare_with_torchaudio(bands, x, window, hop, mels, f_min, f_max, transform, power, mel_scale, norm)
    else:  # a window at the beginning of its transform, as TensorFlow has it
        bank = librosa.filters.mel(n_fft=transform, norm=norm, **common)
        frames = np.lib.stride_tricks.sliding_window_view(x, window)[::hop]
        hann = scipy.signal.get_window("hann", window, fftbins=True)
        bands = np.abs(np.fft.rfft(frames * hann, n=transform)) ** power @ bank.T
    raised = bands + floor if floor_rule == "added" else np.maximum(bands, floor)
    return (np.log(raised) - mean) * scale


def compare_with_torchaudio(bands, x, window, hop, mels, f_min, f_max, transform, power, mel_scale, norm):
    try:
        import torch
        import torchaudio
    except ImportError:
        print("torchaudio is not there: not compared with it")
        return
    other = torchaudio.transforms.MelSpectrogram(
        sample_rate=RATE, n_fft=transform, win_length=window, hop_length=hop, f_min=f_min, f_max=f_max, n_mels=mels,
        power=power, norm=norm, mel_scale=mel_scale, center=True, pad_mode="constant",
    ).double()(torch.from_numpy(x)).numpy().T
    # Its mel bank is made in single precision.
    assert np.allclose(bands, other, rtol=1e-4, atol=1e-6 * bands.max()), np.abs(bands - other).max()


x = samples()
OUT.mkdir(parents=True, exist_ok=True)
x.tofile(OUT / "frontend.i16")
names = ("window", "hop", "mels", "f_min", "f_max", "floor", "mean", "scale")
names += ("transform", "spectrum", "mel_scale", "band_norm", "floor_rule", "framing")
cases = []
for config in CONFIGS + FOREIGN:
    made = (features if len(config) == len(CONFIGS[0]) else foreign)(x, *config)
    kept = made[:: max(1, len(made) // 8)][:9]  # every frame would be large and show no more
    step = max(1, len(made) // 8)
    rows = [[float(f"{v:.7g}") for v in row] for row in kept]
    cases.append({**dict(zip(names, config)), "frames": len(made), "kept_every": step, "features": rows})
(OUT / "frontend.json").write_text(json.dumps({"librosa": librosa.__version__, "cases": cases}) + "\n")
