"""The package itself: its types, errors, threads, documents and example."""

import inspect
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mtslvr
from conftest import Program

PACKAGE = Path(__file__).parents[1]
NOISE = (0.1 * np.random.default_rng(1).standard_normal(16_000)).astype(np.float32)


def test_stubs_agree_with_the_package() -> None:
    folder = Path(mtslvr.__file__).parent
    assert (folder / "py.typed").is_file() and (folder / "__init__.pyi").is_file()
    command = [sys.executable, "-m", "mypy.stubtest", "mtslvr", "--ignore-missing-stub"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_is_typed() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=/dev/null", PACKAGE / "examples/teach.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_public_is_documented() -> None:
    for name in mtslvr.__all__:
        thing = getattr(mtslvr, name)
        assert isinstance(thing, str) or inspect.getdoc(thing), name
        for member, value in vars(thing).items() if inspect.isclass(thing) else []:
            if not member.startswith("_") and (callable(value) or inspect.isdatadescriptor(value)):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_the_example_runs(tmp_path: Path) -> None:
    command = [sys.executable, PACKAGE / "examples/teach.py", tmp_path / "work"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "recognised" in done.stdout and "refused" in done.stdout, done.stdout


def test_the_readme_says_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = (PACKAGE / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", text, re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for code, expected in blocks:
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102
        assert capsys.readouterr().out == expected, code


def test_a_backbone_describes_itself(backbone: mtslvr.Backbone) -> None:
    assert (backbone.name, backbone.engine, backbone.sample_rate) == ("edge-s", "packed", 16_000)
    assert re.fullmatch("[0-9a-f]{16}", backbone.id)
    ends = [(part.start, part.stop) for part in backbone.parts.values()]
    assert list(backbone.parts)[:2] == ["invariant", "equivariant"]
    assert [0, *(stop for _, stop in ends)] == [*(start for start, _ in ends), backbone.dim]
    assert "edge-s" in repr(backbone) and backbone.id in repr(backbone)
    assert repr(mtslvr.Backbone.load()) == repr(backbone)


def test_arrays_of_any_layout_are_taken(backbone: mtslvr.Backbone) -> None:
    expected = backbone.embed(NOISE, rate=16_000).tobytes()
    stereo = np.stack([NOISE, NOISE], axis=1)
    for samples in [NOISE.astype(np.float64), stereo[:, 0], NOISE[::-1][::-1]]:
        assert backbone.embed(samples, rate=16_000).tobytes() == expected


@pytest.mark.parametrize(
    ("sound", "rate", "error", "words"),
    [
        (NOISE, None, mtslvr.Error, ["without their rate", "rate=16000"]),
        (NOISE, 10, mtslvr.Error, ["rate=10", "1000 to 768000 Hz"]),
        (NOISE.reshape(2, -1), 16_000, mtslvr.Error, ["2 dimensions", "one channel"]),
        ((NOISE * 32767).astype(np.int16), 16_000, TypeError, ["int16", "float32", "32768"]),
        (NOISE * 32767, 16_000, mtslvr.Error, ["sample 0", "full scale at 1"]),
        (np.array([0, np.nan], dtype=np.float32), 16_000, mtslvr.Error, ["sample 1 is NaN"]),
        (np.zeros(0, dtype=np.float32), 16_000, mtslvr.Error, ["no samples"]),
        (3, None, TypeError, ["int", "os.PathLike", "NumPy"]),
        ("gone.wav", None, FileNotFoundError, ["gone.wav", "could not be read"]),
        ("gone.wav", 16_000, mtslvr.Error, ["gone.wav", "leave rate out"]),
    ],
)
def test_what_is_no_sound_is_said(
    sound: object, rate: int | None, error: type[Exception], words: list[str], backbone: mtslvr.Backbone
) -> None:
    with pytest.raises(error) as raised:
        backbone.embed(sound, rate=rate)  # type: ignore[arg-type]
    assert all(word in str(raised.value) for word in words), raised.value


def test_errors_have_the_projects_words(backbone: mtslvr.Backbone, taught: mtslvr.Learner, tmp_path: Path) -> None:
    broken = tmp_path / "broken.slvr"
    broken.write_bytes(b"not a model")
    text = tmp_path / "text.wav"
    text.write_text("Dear reader, this is text")
    profile = tmp_path / "p.mtss"
    profile.write_bytes(taught.to_bytes()[:-1])
    other = mtslvr.Backbone.load("edge-m")
    for call, error, words in [
        (lambda: mtslvr.Backbone.load("edge-x"), FileNotFoundError, ["edge-x", "edge-s or edge-m"]),
        (lambda: mtslvr.Backbone.load(broken), mtslvr.Error, ["broken.slvr", "not a usable packed model"]),
        (lambda: mtslvr.Backbone.load(engine="gpu"), mtslvr.Error, ["gpu", "packed, interpreter, ort"]),
        (lambda: backbone.embed(text), mtslvr.Error, ["text.wav", "Dear rea"]),
        (lambda: backbone.embed_all(text), TypeError, ["one path", "list"]),
        (lambda: mtslvr.Learner.load(profile, backbone), mtslvr.Error, ["p.mtss", "expected"]),
        (lambda: mtslvr.Learner.load(tmp_path / "no.mtss", backbone), FileNotFoundError, ["no.mtss"]),
        (lambda: mtslvr.Learner.from_bytes(taught.to_bytes(), other), mtslvr.Error, [backbone.id, other.id]),
        (lambda: mtslvr.Learner(backbone).classify(NOISE, rate=16_000), mtslvr.Error, ["nothing is enrolled"]),
        (lambda: taught.rename("gong", "x"), KeyError, ["gong", "hum, bell"]),
        (lambda: taught.rename("hum", "bell"), mtslvr.Error, ["bell", "already"]),
        (lambda: taught.rename("hum", "right"), mtslvr.Error, ["right", "review"]),
        (lambda: taught.set_threshold("hum", 2.0), mtslvr.Error, []),
        (lambda: taught.delete("hum", 9), mtslvr.Error, []),
        (lambda: mtslvr.Listener(taught, margin=float("nan")), mtslvr.Error, ["margin must be finite"]),
        (lambda: mtslvr.Listener(taught, rate=1), mtslvr.Error, ["rate=1"]),
        (lambda: mtslvr.Listener(taught).listen(tmp_path / "no.wav"), FileNotFoundError, ["no.wav"]),
        (lambda: mtslvr.Listener(taught).listen(5), TypeError, ["int", "iterable"]),
        (lambda: mtslvr.evaluate(backbone, tmp_path), mtslvr.Error, [str(tmp_path)]),
        (lambda: mtslvr.evaluate(backbone, tmp_path, ways=1), mtslvr.Error, ["ways=1"]),
        (lambda: mtslvr.evaluate(backbone, tmp_path, head="svm"), mtslvr.Error, ["svm", "nearest-mean"]),
        (lambda: mtslvr.pack(tmp_path / "no.onnx", tmp_path / "m.slvr"), FileNotFoundError, ["no.onnx"]),
        (lambda: mtslvr.pack(text, tmp_path / "m.slvr"), mtslvr.Error, ["text.wav"]),
        (lambda: mtslvr.synth(tmp_path), mtslvr.Error, ["not empty"]),
    ]:
        with pytest.raises(error) as raised:
            call()
        assert all(word in str(raised.value) for word in words), raised.value
    assert issubclass(mtslvr.Error, ValueError)


def test_a_stream_gives_up_what_its_source_raises(taught: mtslvr.Learner) -> None:
    def microphone():  # noqa: ANN202
        yield NOISE
        raise RuntimeError("unplugged")

    events = mtslvr.Listener(taught).listen(microphone())
    with pytest.raises(RuntimeError, match="unplugged"):
        list(events)
    assert list(events) == []


def test_classification_knows_the_taught_and_rejects_the_rest(taught: mtslvr.Learner, sounds: Path) -> None:
    clips = {name: sorted((sounds / folder).glob("*.wav"))[3:] for name, folder in [("hum", "000_harmonic"), ("bell", "001_fm")]}
    for name, own in clips.items():
        decisions = [taught.classify(clip) for clip in own]
        assert all(decision.best == name for decision in decisions)
        assert sum(decision.name == name for decision in decisions) >= 3
        for clip, decision in zip(own, decisions):
            assert set(decision.scores) == {"hum", "bell", mtslvr.NEGATIVES}
            assert (decision.name is None) == (decision.score < decision.threshold)
            assert 0 <= decision.confidence <= 1
            whole = taught.classify(clip, whole=True)
            embedded = taught.classify_embedding(taught.backbone.embed(clip))
            assert repr(whole) == repr(embedded) and whole.scores == embedded.scores
    (ignored,) = sounds.glob("005_*/004.wav")
    assert taught.classify(ignored).name is None


def test_what_was_taught_is_listed_and_changed(taught: mtslvr.Learner) -> None:
    assert len(taught) == 3 and "hum" in taught and mtslvr.NEGATIVES in taught and "gong" not in taught
    assert [c.role for c in taught.classes] == ["sound", "sound", "negatives"]
    assert [c.examples for c in taught.classes] == [3, 3, 3]
    computed = taught.classes[0].threshold
    assert taught.classes[0].own_threshold is None and -1 < computed < 1
    taught.default_threshold = 0.5
    taught.set_threshold("bell", 0.75)
    assert [c.threshold for c in taught.classes[:2]] == [0.5, 0.75]
    taught.default_threshold = None
    taught.set_threshold("bell", None)
    assert taught.classes[0].threshold == computed
    taught.delete("bell")
    assert "bell" not in taught and repr(taught) == "<mtslvr.Learner under 'edge-s': hum, (negatives)>".replace("'", '"')


def test_other_threads_run_meanwhile(backbone: mtslvr.Backbone) -> None:
    long = np.tile(NOISE, 120)
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(None)

    ticker = threading.Thread(target=tick)
    ticker.start()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: backbone.embed(long, rate=16_000).tobytes(), range(2))
    done.set()
    ticker.join()
    assert first == second and len(ticks) > 5


def test_unreadable_recordings_are_warned_of(program: Program, backbone: mtslvr.Backbone, sounds: Path, tmp_path: Path) -> None:
    data = tmp_path / "set"
    for folder in sorted(sounds.iterdir())[:3]:
        (data / folder.name).mkdir(parents=True)
        for clip in sorted(folder.glob("*.wav"))[:4]:
            (data / folder.name / clip.name).write_bytes(clip.read_bytes())
    (data / folder.name / "bad.wav").write_bytes(b"RIFF")
    with pytest.warns(UserWarning, match="skipped: .*bad.wav"):
        figures = mtslvr.evaluate(backbone, [data], ways=2, tasks=5)
    assert any("1 of 13 clips could not be read" in note for note in figures["notes"])
