"""Fixtures: the program, synthetic sounds, and what was taught with them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import mtslvr


class Program:
    """The program ``mtslvr`` that the package must agree with."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *words: object, status: int = 0) -> str:
        """Run it and return its standard output."""
        command = [str(self.path), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def lines(self, *words: object, status: int = 0) -> list[dict]:
        """Run it and return its lines of JSON."""
        return [json.loads(line) for line in self(*words, status=status).splitlines()]


@pytest.fixture(scope="session")
def program() -> Program:
    path = os.environ.get("MTSLVR_PROGRAM")
    assert path, "set MTSLVR_PROGRAM to the program mtslvr, or run `cargo xtask python`"
    return Program(Path(path))


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten classes of eight clips."""
    folder = tmp_path_factory.mktemp("data") / "sounds"
    mtslvr.synth(folder, clips=8)
    return folder


@pytest.fixture(scope="session")
def backbone() -> mtslvr.Backbone:
    return mtslvr.Backbone.load("edge-s")


@pytest.fixture
def taught(backbone: mtslvr.Backbone, sounds: Path) -> mtslvr.Learner:
    """Two sounds, three examples of each, and something to ignore."""
    learner = mtslvr.Learner(backbone)
    for name, folder in [("hum", "000_harmonic"), ("bell", "001_fm"), (mtslvr.NEGATIVES, "005_plucked")]:
        for clip in sorted((sounds / folder).glob("*.wav"))[:3]:
            learner.enrol(name, clip)
    return learner
