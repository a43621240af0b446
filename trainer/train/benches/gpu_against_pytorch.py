"""A full training step on a GPU, the trainer's beside PyTorch's: same network, batch and precision, in turn.

`gpu-check serve` is the trainer's side, and prints the network's description; gpu_pytorch_side.py builds the
same network in PyTorch, one process for each of its ways: eager, torch.compile, torch.compile with
CUDA graphs, and (captured from the compiled network when the others have been timed) one CUDA graph of the
whole step. All sides of all networks warm up at the same time, then nothing but the side whose turn
it is runs. Batches lie on the device, and no step waits for it.

Prints all results so far as a line of JSON after each network: the last line counts. What fails or no longer
fits into the time is in them as text.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The most important first; those of one precision warm up together.
CASES = [
    "edge-s:512:bf16",
    "edge-m:512:bf16",
    "resnet18:256:bf16",
    "edge-s:512:f32",
    "edge-m:512:f32",
    "resnet18:256:f32",
]

# PyTorch's sides: name, mode of compilation, whether activations are channels last.
BF16_SIDES = [("eager", "eager", True), ("compiled", "default", True), ("graphs", "reduce-overhead", True)]
F32_SIDES = [
    ("eager", "eager", False),
    ("eager-channels-last", "eager", True),
    ("compiled", "default", False),
    ("graphs", "reduce-overhead", False),
]
SIDES = {"bf16": BF16_SIDES, "tf32": BF16_SIDES, "f32": F32_SIDES}

# The side that is captured from the compiled one.
CAPTURED, CAPTURED_FROM = "step-graph", "compiled"

NO_TIME = "not timed: no time was left"

LEAST_ROUNDS = 3
# Seconds that a program may take to start.
START_LIMIT = 45
# Seconds that end a turn which takes far longer than it should.
TURN_LIMIT = 10


class Failed(Exception):
    """A side that cannot go on, and why."""


class Clock:
    """The time that is left of a budget."""

    def __init__(self, budget):
        self.begin, self.budget = time.monotonic(), budget

    def spent(self):
        return time.monotonic() - self.begin

    def left(self):
        return self.budget - self.spent()


class Process:
    """A program that answers lines with lines."""

    running = []

    def __init__(self, command, folder, environment=None):
        self.log = Path(tempfile.mkstemp(suffix=".log", dir=folder)[1])
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                # With all that it starts it can be ended.
                start_new_session=True,
            )
        Process.running.append(self)
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        with contextlib.suppress(ValueError):
            for line in self.process.stdout:
                self.lines.put(line)
        self.lines.put(None)

    def tell(self, line):
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except OSError:
            raise Failed(f"ended: {self.last_words()}") from None

    def answer(self, limit, stated=None):
        """The next line within so many seconds, which a failure states as `stated`: an object, which is
        {"seconds": N} where the line is a number."""
        try:
            line = self.lines.get(timeout=max(limit, 0.01))
        except queue.Empty:
            self.end()
            raise Failed(f"no answer within {stated or limit:.0f} s") from None
        if line is None:
            raise Failed(f"ended: {self.last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            raise Failed(f"not an answer: {line.strip()[:200]}") from None
        if not isinstance(answer, dict):
            return {"seconds": answer}
        if "error" in answer:
            raise Failed(answer["error"][:1000])
        return answer

    def last_words(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-3:])[-600:] or "it said nothing"

    def end(self):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(ValueError):
            Process.running.remove(self)


class Side:
    """One of the two frameworks' ways to take a step."""

    def __init__(self, process):
        self.process = process
        self.ready = {}
        self.error = None
        self.times = []
        # Steps in a turn, and seconds that one takes.
        self.steps, self.turn_seconds = 1, 0.0

    def attempt(self, work):
        """Runs `work`, whose failure ends this side alone."""
        if self.error is None:
            try:
                return work()
            except Failed as failure:
                self.error = str(failure)
                self.process.end()
        return None

    def begin(self, limit):
        self.attempt(lambda: self.process.answer(limit))

    def tell(self, line):
        self.attempt(lambda: self.process.tell(line))

    def become_ready(self, clock):
        self.ready = self.attempt(lambda: self.process.answer(clock.left(), clock.budget)) or {}

    def take(self, steps):
        """Seconds of so many steps."""
        self.process.tell(steps)
        return self.process.answer(TURN_LIMIT)["seconds"]

    def choose_steps(self, turn):
        """Sets the number of steps of a turn, so that it takes so many seconds."""

        def measure():
            steps = 1
            while (seconds := self.take(steps)) < turn / 4:
                steps *= 2
            self.steps = max(1, round(steps * turn / seconds))
            self.turn_seconds = (self.steps + 1) * seconds / steps

        self.attempt(measure)

    def turn(self):
        """Takes a step that is not counted, then a turn's."""

        def timed():
            self.take(1)
            return self.take(self.steps) / self.steps

        milliseconds = self.attempt(timed)
        if milliseconds is not None:
            self.times.append(1e3 * milliseconds)

    def result(self):
        if self.error is not None:
            return {"error": self.error}
        found = {
            "ms": statistics.median(self.times),
            "min_ms": min(self.times),
            "max_ms": max(self.times),
            "steps": self.steps,
            "rounds": len(self.times),
        }
        if "seconds" in self.ready:
            found["warm_up_s"] = self.ready["seconds"]
        if self.ready.get("notes"):
            found["notes"] = self.ready["notes"]
        return found


class Case:
    """A network in one precision, with all sides."""

    def __init__(self, text, options, folder, threads):
        self.preset, pairs, self.precision = text.split(":")
        self.pairs = int(pairs)
        self.description = None
        command = [options.gpu_check, "serve", self.preset, self.pairs, self.precision]
        self.sides = {"trainer": Side(Process(command, folder))}
        environment = os.environ | {
            "TORCHINDUCTOR_COMPILE_THREADS": str(threads),
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
            "TRITON_CACHE_DIR": f"{folder}/triton",
        }
        for name, mode, channels_last in SIDES[self.precision]:
            command = [sys.executable, HERE / "gpu_pytorch_side.py", "--device", options.device]
            command += ["--mode", mode, "--precision", self.precision]
            command += ["--channels-last"] if channels_last else []
            self.sides[name] = Side(Process(command, folder, environment))

    def pytorch(self):
        return [side for name, side in self.sides.items() if name != "trainer"]

    def describe(self, limit):
        """Hands the trainer's description of the network to PyTorch, and lets all sides warm up."""
        trainer = self.sides["trainer"]
        self.description = trainer.attempt(lambda: trainer.process.answer(limit))
        for side in self.pytorch():
            if self.description is None:
                side.error = "not run: the trainer did not describe the network"
                side.process.end()
            side.begin(START_LIMIT)
            side.tell(json.dumps(self.description))
        trainer.tell(3)

    def time(self, options, clock):
        """Times the sides in turn; returns whether there was time for it."""
        alive = [side for side in self.sides.values() if side.error is None]
        return take_turns(alive, options, clock)

    def time_captured(self, options, clock):
        """Times the whole step as one CUDA graph, in turns by itself."""
        origin = self.sides[CAPTURED_FROM]
        if origin.error is not None or options.device != "cuda":
            return
        side = self.sides[CAPTURED] = Side(origin.process)
        side.tell("capture")
        side.attempt(lambda: side.process.answer(min(TURN_LIMIT, clock.left())))
        if not take_turns([side], options, clock) and side.error is None:
            side.error = NO_TIME

    def result(self):
        found = {"preset": self.preset, "pairs": self.pairs, "precision": self.precision}
        if self.description is not None:
            found["parameters"] = self.description["parameters"]
            found["shape"] = self.description["shape"]
        found["sides"] = {
            name: side.result() for name, side in self.sides.items() if side.times or side.error
        }
        return found

    def end(self):
        for side in self.sides.values():
            side.process.end()


def take_turns(sides, options, clock):
    """Lets the sides take turns; returns whether there was time for it."""
    for side in sides:
        side.choose_steps(options.turn)
    for done in range(options.rounds):
        # What is begun ends with as many turns of every side.
        rounds = max(1, LEAST_ROUNDS - done)
        if clock.left() < 1.1 * rounds * sum(side.turn_seconds for side in sides):
            return done > 0
        for side in sides:
            side.turn()
    return True


class Comparison:
    """All cases, and what has come of them so far."""

    def __init__(self, options):
        self.options, self.clock = options, Clock(options.budget)
        self.found = {"budget_s": options.budget, "libraries": {}, "cases": []}

    def report(self):
        self.found["seconds"] = self.clock.spent()
        print(json.dumps(self.found), flush=True)

    def skip(self, text, why):
        preset, pairs, precision = text.split(":")
        case = {"preset": preset, "pairs": int(pairs), "precision": precision, "skipped": why}
        self.found["cases"].append(case)

    def run(self, folder):
        waves = {}
        for text in self.options.cases:
            waves.setdefault(text.split(":")[2], []).append(text)
        for wave in waves.values():
            if self.clock.left() < self.options.least:
                for text in wave:
                    self.skip(text, f"not run: {max(self.clock.left(), 0):.0f} s were left")
            else:
                self.wave(wave, folder)
            self.report()

    def wave(self, texts, folder):
        """Warms up cases of one precision together, then times one after the other."""
        # Every case has two sides that compile.
        threads = max(2, len(os.sched_getaffinity(0)) // (2 * len(texts)))
        cases = [Case(text, self.options, folder, threads) for text in texts]
        for case in cases:
            case.describe(min(START_LIMIT, self.clock.left()))
        # What is left of the time is for the turns.
        warm = Clock(min(self.options.compile_limit, 0.6 * self.clock.left()))
        for case in cases:
            for side in case.sides.values():
                side.become_ready(warm)
        for case in cases:
            print(f"{case.preset} {case.precision}: {self.clock.spent():.1f} s", file=sys.stderr, flush=True)
            timed = case.time(self.options, self.clock)
            if timed:
                case.time_captured(self.options, self.clock)
            found = case.result()
            if not timed:
                found["skipped"] = NO_TIME
            for side in case.pytorch():
                self.found["libraries"] |= side.ready.get("libraries", {})
                self.found["device"] = side.ready.get("device", self.found.get("device"))
            case.end()
            self.found["cases"].append(found)
            self.report()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu-check", required=True, help="the program gpu-check")
    parser.add_argument("--budget", type=float, default=110, help="seconds for everything")
    parser.add_argument("--compile-limit", type=float, default=50, help="seconds for warming up, compilation included")
    parser.add_argument("--least", type=float, default=25, help="seconds that must be left to begin another precision")
    parser.add_argument("--turn", type=float, default=0.2, help="seconds of a turn")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", default="cuda", help="PyTorch's device")
    parser.add_argument("cases", nargs="*", default=CASES, help="PRESET:PAIRS:PRECISION, the most important first")
    options = parser.parse_args()
    # Ended from outside, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            Comparison(options).run(folder)
    finally:
        for process in list(Process.running):
            process.end()


if __name__ == "__main__":
    main()
