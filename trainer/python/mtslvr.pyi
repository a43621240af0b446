"""Teach a device new sounds from one to five examples."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, Final, Literal, TypedDict, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BACKGROUND",
    "NEGATIVES",
    "Backbone",
    "Class",
    "Decision",
    "Error",
    "Event",
    "Events",
    "Example",
    "Learner",
    "Listener",
    "RefusedError",
    "evaluate",
    "pack",
    "synth",
]

_Path = str | PathLike[str]
_Samples = NDArray[np.float32] | NDArray[np.float64]
_Sound = _Path | _Samples

__version__: Final[str]

NEGATIVES: Final[str]
"""Name of the class of sounds that must not be recognised."""

BACKGROUND: Final[str]
"""Name of the class of the usual sound of the place."""

class Error(ValueError):
    """A recording, a model, a profile or a setting cannot be used."""

class RefusedError(Error):
    """Nothing was learnt from a sound."""

    reason: str
    found: float | None
    limit: float | None
    unit: str | None

@final
class Backbone:
    """A frozen network that turns sounds into embeddings."""

    @staticmethod
    def load(
        model: _Path | None = "edge-s",
        *,
        engine: Literal["packed", "interpreter", "ort"] | None = None,
        frontend: _Path | None = None,
    ) -> Backbone:
        """Open a shipped backbone by its name, or a .slvr file, an .onnx file or a run folder by its path."""

    @property
    def name(self) -> str:
        """Path of the file, or name of the shipped backbone."""

    @property
    def engine(self) -> str:
        """Engine that runs it."""

    @property
    def id(self) -> str:
        """Id in hexadecimal, by which profiles name it."""

    @property
    def sample_rate(self) -> int:
        """Samples a second that it takes, Hz."""

    @property
    def dim(self) -> int:
        """Values of an embedding."""

    @property
    def parts(self) -> dict[str, slice]:
        """Place of each named part in an embedding."""

    def embed(self, sound: _Sound, *, rate: int | None = None) -> NDArray[np.float32]:
        """Embed a sound; the result has the shape [dim]."""

    def embed_all(self, sounds: Iterable[_Sound], *, rate: int | None = None) -> NDArray[np.float32]:
        """Embed many sounds on all cores; the result has the shape [sounds, dim]."""

@final
class Example:
    """An example that was learnt."""

    @property
    def name(self) -> str:
        """Name of the sound that it is an example of."""

    @property
    def seconds(self) -> float:
        """Length of the part that was used, seconds."""

    @property
    def peak_db(self) -> float:
        """Level of the loudest sample, dB of full scale."""

    @property
    def start(self) -> float | None:
        """Where that part begins in the recording, seconds; None if all of it was used."""

    @property
    def of(self) -> float | None:
        """Length of the recording, seconds; None if all of it was used."""

    @property
    def sounds(self) -> int | None:
        """Sounds that were found in the recording; None if none were looked for."""

    @property
    def doubtful(self) -> int | None:
        """Example of this name, counted from 0, that does not resemble the others; None if all do."""

@final
class Decision:
    """What a learner takes a sound for."""

    @property
    def name(self) -> str | None:
        """Name of the sound; None if it is unknown."""

    @property
    def best(self) -> str:
        """The class that it is most like, recognised or not."""

    @property
    def score(self) -> float:
        """How like that class it is, -1 to 1."""

    @property
    def threshold(self) -> float:
        """The score that is needed."""

    @property
    def confidence(self) -> float:
        """Share of strange sounds that would be less like that class, 0 to 1."""

    @property
    def scores(self) -> dict[str, float]:
        """Score of the classifier for each class, by its name."""

@final
class Class:
    """A class of sounds that was taught."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def role(self) -> Literal["sound", "negatives", "background"]:
        """Its role."""

    @property
    def examples(self) -> int:
        """Number of examples."""

    @property
    def enabled(self) -> bool:
        """Whether it takes part."""

    @property
    def threshold(self) -> float:
        """Lowest score at which a sound is recognised."""

    @property
    def own_threshold(self) -> float | None:
        """The threshold that was set for it; None where it is computed from the examples."""

@final
class Learner:
    """Learns sounds from one to five examples of each, and tells them apart from all others."""

    def __new__(cls, backbone: Backbone) -> Learner: ...
    @staticmethod
    def load(path: _Path, backbone: Backbone) -> Learner:
        """Read a profile that was enrolled under the backbone."""

    def save(self, path: _Path) -> None:
        """Write a profile, which replaces the one at the path."""

    @staticmethod
    def from_bytes(data: bytes, backbone: Backbone) -> Learner:
        """Read a profile from bytes."""

    def to_bytes(self) -> bytes:
        """Return the bytes of a profile's file, which devices read."""

    @property
    def backbone(self) -> Backbone:
        """The backbone whose embeddings it learns from."""

    def enrol(
        self, name: str, sound: _Sound, *, rate: int | None = None, whole: bool = False, force: bool = False
    ) -> Example:
        """Teach a sound from an example of it; raise RefusedError if the checks refuse it."""

    def classify(self, sound: _Sound, *, rate: int | None = None, whole: bool = False) -> Decision:
        """Tell which sound a recording is of, if it is one of those that were taught."""

    def classify_embedding(self, embedding: NDArray[np.float32]) -> Decision:
        """Tell which sound an embedding of the shape [dim] is of."""

    @property
    def classes(self) -> list[Class]:
        """The classes, in the order in which they were taught."""

    @property
    def default_threshold(self) -> float | None:
        """Threshold of sounds without one of their own; None computes it from the examples."""

    @default_threshold.setter
    def default_threshold(self, threshold: float | None) -> None: ...
    def set_threshold(self, name: str, threshold: float | None) -> None:
        """Set the threshold of a sound, -1 to 1; None takes it back."""

    def rename(self, name: str, new: str) -> None:
        """Give a sound another name."""

    def delete(self, name: str, example: int | None = None) -> None:
        """Delete a class, or one of its examples, counted from 0."""

    def enable(self, name: str, enabled: bool = True) -> None:
        """Let a class take part, or not."""

    def __len__(self) -> int: ...
    def __contains__(self, name: str, /) -> bool: ...

@final
class Event:
    """A recognised sound began, or is over; times are seconds from the beginning of the stream."""

    @property
    def kind(self) -> Literal["begin", "end"]:
        """``begin`` as soon as a sound is recognised, ``end`` when it is over."""

    @property
    def name(self) -> str:
        """Name of the sound."""

    @property
    def start(self) -> float:
        """Moment at which the sound began."""

    @property
    def end(self) -> float:
        """Moment at which it was recognised, for begin; at which it ended, for end."""

    @property
    def duration(self) -> float:
        """Time from start to end, seconds."""

    @property
    def score(self) -> float:
        """How like its class it is, -1 to 1; the best of the sound, for end."""

    @property
    def threshold(self) -> float:
        """The score that was needed, the margin included."""

    @property
    def confidence(self) -> float:
        """Share of strange sounds that would be less like the class, 0 to 1."""

@final
class Events(Iterator[Event]):
    """Iterator over the events of a stream."""

    def __iter__(self) -> Events: ...
    def __next__(self) -> Event: ...

@final
class Listener:
    """Recognises the sounds of a learner in a stream."""

    def __new__(
        cls,
        learner: Learner,
        *,
        rate: int | None = None,
        margin: float = 0.0,
        gate: float = 4.0,
        cooldown: float = 0.5,
    ) -> Listener: ...
    @property
    def learner(self) -> Learner:
        """The learner whose sounds it recognises."""

    @property
    def rate(self) -> int:
        """Samples a second of the arrays that it hears, Hz."""

    def push(self, samples: _Samples) -> list[Event]:
        """Hear the samples that follow, and return the events that began or ended in them."""

    def finish(self) -> list[Event]:
        """End the stream: a sound that is not over yet is decided on."""

    def listen(self, sound: _Sound | Iterable[_Samples]) -> Events:
        """Listen to a whole stream, and iterate over its events as they happen."""

class _Set(TypedDict):
    name: str
    classes: int
    clips: int
    left_out: list[str]
    tasks: int
    ways: int
    shots: int
    head: str
    accuracy: float
    ci95: float
    mfcc: float
    mfcc_ci95: float
    random: float | None
    random_ci95: float | None

class _Evaluation(TypedDict):
    model: str
    engine: str
    parts: str
    queries: int
    seed: int
    sets: list[_Set]
    mean: float
    mean_mfcc: float
    mean_random: float | None
    notes: list[str]

class _Packed(TypedDict):
    slvr: str
    bytes: int
    verification: dict[str, Any]
    warning: str | None

def evaluate(
    backbone: Backbone,
    data: _Path | Sequence[_Path],
    *,
    ways: int = 5,
    shots: int = 1,
    queries: int = 5,
    tasks: int = 1000,
    seed: int = 1,
    head: str = "ridge",
    shares: Literal["packed", "task"] | None = None,
    parts: str = "all",
    cache: _Path | None = None,
) -> _Evaluation:
    """Measure the few-shot accuracy of a backbone on labelled sets, beside MFCC statistics."""

def pack(
    onnx: _Path,
    out: _Path,
    *,
    frontend: _Path | None = None,
    calibrate: _Path | Sequence[_Path] | None = None,
    no_gpl: bool = False,
    name: str | None = None,
    fold: bool = False,
    cohort: int = 32,
    cache: _Path | None = None,
) -> _Packed:
    """Pack an ONNX backbone into an int8 model for a device."""

def synth(
    folder: _Path, *, classes: int = 10, clips: int = 20, seconds: float = 1.0, seed: int = 1
) -> None:
    """Make a labelled set of synthetic sounds to try the package with."""
