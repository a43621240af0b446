"""Results equal the command line's."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest

import mtslvr
from conftest import Program

REPOSITORY = Path(__file__).parents[3]


def read(path: Path) -> tuple[np.ndarray, int]:
    """Read a WAV file of 16 bits as the project does."""
    with wave.open(str(path)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return frames.astype(np.float32) / 32768, file.getframerate()


def write(path: Path, samples: np.ndarray, rate: int) -> Path:
    """Write a WAV file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def bits(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype=np.float32).tobytes()


@pytest.fixture
def stream(sounds: Path, tmp_path: Path) -> Path:
    """Half a minute with sounds that were taught, and others, over faint noise."""
    rng = np.random.default_rng(3)
    samples = 0.001 * rng.standard_normal(28 * 16_000).astype(np.float32)
    clips = ["000_harmonic/006", "003_grains/001", "001_fm/007", "005_plucked/006", "000_harmonic/007", "001_fm/005"]
    for place, clip in enumerate(clips):
        (path,) = sounds.glob(f"{clip.split('/')[0][:3]}_*/{clip.split('/')[1]}.wav")
        sound, _ = read(path)
        start = (4 + 4 * place) * 16_000
        samples[start : start + len(sound)] += sound[: len(samples) - start]
    return write(tmp_path / "stream.wav", samples.clip(-1, 1), 16_000)


@pytest.mark.parametrize("name", ["edge-s", "edge-m"])
def test_embeddings_are_the_programs_to_the_bit(name: str, program: Program, sounds: Path, tmp_path: Path) -> None:
    folder = sorted(sounds.iterdir())[2]
    rng = np.random.default_rng(1)
    # Longer than a window, and at another rate.
    long = tmp_path / "recordings"
    long.mkdir()
    for clip in sorted(folder.glob("*.wav")):
        (long / clip.name).write_bytes(clip.read_bytes())
    write(long / "long.wav", 0.1 * rng.standard_normal(44_100 * 3).clip(-5, 5), 44_100)
    program("embed", long, "--model", name, "--out", tmp_path / "e.npy")
    expected = np.load(tmp_path / "e.npy")
    backbone = mtslvr.Backbone.load(name)
    paths = sorted(long.glob("*.wav"))
    assert expected.shape == (len(paths), backbone.dim) and expected.dtype == np.float32
    together = backbone.embed_all(paths)
    assert together.dtype == np.float32 and bits(together) == bits(expected)
    for path, row in zip(paths, expected):
        assert bits(backbone.embed(path)) == bits(row)
        samples, rate = read(path)
        assert bits(backbone.embed(samples, rate=rate)) == bits(row)
    arrays = [read(path)[0] for path in paths[:-1]]
    assert bits(backbone.embed_all([*arrays, paths[-1]], rate=16_000)) == bits(expected)


def test_the_float_engine_gives_the_programs_embeddings(program: Program, sounds: Path, tmp_path: Path) -> None:
    model = REPOSITORY / "models/edge-s/model.onnx"
    folder = sorted(sounds.iterdir())[0]
    program("embed", folder, "--model", model, "--engine", "interpreter", "--out", tmp_path / "e.npy")
    backbone = mtslvr.Backbone.load(model, engine="interpreter")
    assert backbone.engine == "interpreter"
    assert bits(backbone.embed_all(sorted(folder.glob("*.wav")))) == bits(np.load(tmp_path / "e.npy"))


def test_a_profile_is_the_programs_and_goes_both_ways(
    program: Program, backbone: mtslvr.Backbone, taught: mtslvr.Learner, sounds: Path, tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs.mtss", tmp_path / "ours.mtss"
    for words, folder in [(["hum"], "000_harmonic"), (["bell"], "001_fm"), (["--negative"], "005_plucked")]:
        clips = sorted((sounds / folder).glob("*.wav"))[:3]
        lines = program.lines("enrol", "--profile", theirs, "--json", *words, *clips)
        assert all(line["enrolled"] for line in lines)
    taught.save(ours)
    assert ours.read_bytes() == theirs.read_bytes() == taught.to_bytes()
    # The lists beside it, too: which backbone, and which recordings.
    for ending in ["backbone.json", "clips.json"]:
        assert json.loads(Path(f"{ours}.{ending}").read_text()) == json.loads(Path(f"{theirs}.{ending}").read_text())
    program("classes", "reembed", "--profile", ours, "--model", "edge-m")
    for learner in [mtslvr.Learner.load(theirs, backbone), mtslvr.Learner.from_bytes(theirs.read_bytes(), backbone)]:
        assert learner.to_bytes() == theirs.read_bytes()
    learner = mtslvr.Learner.load(theirs, backbone)
    learner.rename("bell", "chime")
    learner.set_threshold("chime", 0.25)
    learner.enable("hum", False)
    learner.delete("(negatives)", 1)
    learner.save(theirs)
    listed = json.loads(program("classes", "list", "--profile", theirs, "--json"))
    found = [(c["name"], c["enabled"], c["threshold"], len(c["examples"])) for c in listed["classes"]]
    assert found == [("hum", False, None, 3), ("chime", True, 0.25, 3), (None, True, None, 2)]


def test_what_enrol_says_is_what_the_program_says(
    program: Program, backbone: mtslvr.Backbone, sounds: Path, tmp_path: Path
) -> None:
    clip = sorted((sounds / "000_harmonic").glob("*.wav"))[0]
    samples, rate = read(clip)
    padded = write(tmp_path / "padded.wav", np.concatenate([np.zeros(rate), samples, np.zeros(rate)]), rate)
    quiet = write(tmp_path / "quiet.wav", samples * 0.0005, rate)
    noise = 0.001 * np.random.default_rng(2).standard_normal(4 * rate)
    steady = write(tmp_path / "steady.wav", noise, rate)
    learner = mtslvr.Learner(backbone)
    for path, status in [(padded, 0), (padded, 0), (quiet, 1), (steady, 1)]:
        (line,) = program.lines("enrol", "--profile", tmp_path / "p.mtss", "--json", "hum", path, status=status)
        if line["enrolled"]:
            example = learner.enrol("hum", path)
            for field in ["seconds", "peak_db", "start", "of", "sounds"]:
                assert np.float32(getattr(example, field)) == np.float32(line[field]), field
            assert example.name == line["class"] and example.seconds < 2
        else:
            with pytest.raises(mtslvr.RefusedError) as refused:
                learner.enrol("hum", path)
            assert str(refused.value) == line["text"]
            assert refused.value.reason == line["reason"]
            for field in ["found", "limit", "unit"]:
                found, expected = getattr(refused.value, field), line.get(field)
                assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("margin", [0.0, -0.2])
def test_events_are_the_programs(
    margin: float, program: Program, taught: mtslvr.Learner, stream: Path, tmp_path: Path
) -> None:
    profile = tmp_path / "p.mtss"
    taught.save(profile)
    lines = program.lines("listen", "--profile", profile, "--json", "--margin", margin, stream)
    expected = [line for line in lines if line["event"] in ("begin", "end")]
    assert {line["class"] for line in expected} >= {"hum", "bell"}
    listener = mtslvr.Listener(taught, margin=margin)
    events = list(listener.listen(stream))
    assert len(events) == len(expected)
    for event, line in zip(events, expected):
        assert (event.kind, event.name) == (line["event"], line["class"])
        end = line["recognised"] if event.kind == "begin" else line["end"]
        assert (round(event.start, 4), round(event.end, 4)) == (line["start"], end)
        for field in ["score", "threshold", "confidence"]:
            assert np.float32(getattr(event, field)) == np.float32(line[field]), field
    # However the samples come.
    samples, rate = read(stream)
    shown = [repr(event) for event in events]
    assert [repr(event) for event in listener.listen(samples)] == shown
    pieces = (samples[start : start + 777] for start in range(0, len(samples), 777))
    assert [repr(event) for event in listener.listen(pieces)] == shown
    pushed = [event for start in range(0, len(samples), 5000) for event in listener.push(samples[start : start + 5000])]
    assert [repr(event) for event in [*pushed, *listener.finish()]] == shown


def test_a_stream_of_another_rate_is_converted(taught: mtslvr.Learner, stream: Path) -> None:
    samples, rate = read(stream)
    listener = mtslvr.Listener(taught)
    expected = [(event.kind, event.name) for event in listener.listen(stream)]
    double = np.interp(np.arange(2 * len(samples)) / 2, np.arange(len(samples)), samples).astype(np.float32)
    converted = mtslvr.Listener(taught, rate=2 * rate)
    assert converted.rate == 32_000
    assert [(event.kind, event.name) for event in converted.listen(double)] == expected


def test_figures_are_the_programs(program: Program, backbone: mtslvr.Backbone, sounds: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    settings = {"ways": 4, "shots": 2, "queries": 3, "tasks": 40, "seed": 7}
    words = [word for key, value in settings.items() for word in (f"--{key}", value)]
    for extra in [{}, {"head": "nearest-mean", "parts": "invariant", "shares": "packed"}]:
        more = [word for key, value in extra.items() for word in (f"--{key}", value)]
        program("eval", "--model", "edge-s", "--data", sounds, "--json", file, *words, *more)
        expected = json.loads(file.read_text())
        found = mtslvr.evaluate(backbone, sounds, **settings, **extra)
        # The control with random weights is the trainer's.
        for figures in [expected, found]:
            figures["notes"] = [note for note in figures["notes"] if not note.startswith("Random")]
            figures["mean_random"] = None
            for each in figures["sets"]:
                each["random"] = each["random_ci95"] = None
        assert found == expected
        assert found["sets"][0]["accuracy"] > 40


def test_packed_models_are_the_programs_byte_for_byte(program: Program, sounds: Path, tmp_path: Path) -> None:
    model = REPOSITORY / "models/edge-s/model.onnx"
    theirs, ours = tmp_path / "theirs.slvr", tmp_path / "ours.slvr"
    said = json.loads(
        program("pack", model, "--out", theirs, "--calibrate", sounds, "--cohort", 4, "--name", "mine", "--json")
    )
    outcome = mtslvr.pack(model, ours, calibrate=sounds, cohort=4, name="mine")
    assert ours.read_bytes() == theirs.read_bytes()
    # Each has the engines that it was built with.
    for verification in [outcome["verification"], said["verification"]]:
        verification["engines"] = [engine for engine in verification["engines"] if not engine["float"]]
        del verification["absent"]
    assert outcome == {**said, "slvr": str(ours)}
    assert [engine["engine"] for engine in said["verification"]["engines"]] == ["packed int8"]
    backbone = mtslvr.Backbone.load(ours)
    clip = next(sounds.glob("*/*.wav"))
    program("embed", clip.parent, "--model", theirs, "--out", tmp_path / "e.npy")
    assert bits(backbone.embed_all(sorted(clip.parent.glob("*.wav")))) == bits(np.load(tmp_path / "e.npy"))


def test_synthetic_sounds_are_the_programs(program: Program, sounds: Path, tmp_path: Path) -> None:
    program("synth", tmp_path / "theirs", "--clips", 8)
    names = sorted(path.relative_to(sounds) for path in sounds.glob("*/*.wav"))
    assert len(names) == 80
    assert all((tmp_path / "theirs" / name).read_bytes() == (sounds / name).read_bytes() for name in names)
