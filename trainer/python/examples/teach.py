"""Teach sounds, listen for them, and look at what the backbone knows: about five minutes to read.

Run it with ``python teach.py [FOLDER]``, or cell by cell in an editor that knows ``# %%``. It makes its own sounds; put
paths of your recordings in their place.
"""

# %% Sounds to work with: ten made-up classes of twenty clips.
import sys
import tempfile
from pathlib import Path

import numpy as np

import mtslvr

work = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
sounds = work / "sounds"
mtslvr.synth(sounds)
classes = {folder.name: sorted(folder.glob("*.wav")) for folder in sorted(sounds.iterdir())}
print(f"{len(classes)} classes of sounds: {', '.join(classes)}")

# %% A backbone turns a sound into an embedding, which has named parts.
backbone = mtslvr.Backbone.load("edge-s")
print(backbone)
some = list(classes)[:4]
clips = [clip for name in some for clip in classes[name][:8]]
embeddings = backbone.embed_all(clips)
print(f"embeddings {embeddings.shape}, parts {', '.join(backbone.parts)}")

# %% Sounds of one class lie together: cosine similarities within a class and across classes.
rows = embeddings - embeddings.mean(axis=0)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
labels = np.repeat(np.arange(len(some)), 8)
alike = labels[:, None] == labels[None, :]
others = ~np.eye(len(rows), dtype=bool)
similarities = rows @ rows.T
within, across = similarities[alike & others].mean(), similarities[~alike].mean()
print(f"mean similarity within a class {within:.2f}, across classes {across:.2f}")

# %% Teach two sounds from three examples each, and one that is to be ignored.
learner = mtslvr.Learner(backbone)
taught = {"hum": "000_harmonic", "bell": "001_fm"}
for name, folder in taught.items():
    for clip in classes[folder][:3]:
        print(learner.enrol(name, clip))
for clip in classes["005_plucked"][:3]:
    learner.enrol(mtslvr.NEGATIVES, clip)
print(learner)

# %% What is no good example is refused, with a reason.
noise = 0.0002 * np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
try:
    learner.enrol("bell", noise, rate=16_000)
except mtslvr.RefusedError as refusal:
    print(f"refused ({refusal.reason}): {refusal}")

# %% Recognise clips that it has not heard.
for folder in ["000_harmonic", "001_fm", "005_plucked", "007_grains"]:
    decisions = [learner.classify(clip) for clip in classes[folder][3:]]
    taken = [decision.name or "unknown" for decision in decisions]
    print(f"{folder}: {', '.join(f'{taken.count(one)} {one}' for one in sorted(set(taken)))}")

# %% Listen to a stream as it comes: here blocks of 0.1 s, as a microphone would give them.
rng = np.random.default_rng(2)
stream = (0.001 * rng.standard_normal(20 * 16_000)).astype(np.float32)
for start, name in [(4, "bell"), (9, "hum"), (14, "bell")]:
    # Samples of 16 bits begin behind a header of 44 bytes.
    samples = np.frombuffer(classes[taught[name]][10].read_bytes()[44:], dtype="<i2")
    stream[start * 16_000 : start * 16_000 + len(samples)] += samples.astype(np.float32) / 32768
listener = mtslvr.Listener(learner)
for event in listener.listen(stream[start : start + 1600] for start in range(0, len(stream), 1600)):
    if event.kind == "begin":
        print(f"{event.start:5.2f} s: recognised {event.name} (score {event.score:.2f} of {event.threshold:.2f})")

# %% Keep it: a profile for `mtslvr listen --profile`, for the browser page, and for a device.
profile = work / "sounds.mtss"
learner.save(profile)
assert mtslvr.Learner.load(profile, backbone).to_bytes() == profile.read_bytes()
print(f"{profile.name}: {profile.stat().st_size} bytes")

# %% How good is the backbone at this? 5-way 1-shot tasks, beside features that learned nothing.
figures = mtslvr.evaluate(backbone, sounds, tasks=100)
(of_set,) = figures["sets"]
print(f"accuracy {of_set['accuracy']:.1f} ± {of_set['ci95']:.1f} %, MFCC {of_set['mfcc']:.1f} %")
