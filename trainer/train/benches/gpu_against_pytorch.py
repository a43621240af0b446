"""A full training step on a GPU, the trainer's beside PyTorch's: same network, batch and precision, in turn.

`gpu-check serve` is the trainer's side, and prints the network's description; gpu_pytorch_side.py builds the
same network in PyTorch, one process for each case, and takes steps in several ways: compiled, eager, and each of
them as one CUDA graph of the whole step. Batches lie on the device, and no step waits for it.

First PyTorch compiles all cases, each in processes of its own, those of the first precision before the others. No
compiled network runs yet. Then one case after the other is timed, alone on the machine: its trainer starts, then
PyTorch's ways warm up one by one (there both choose algorithms), then they take turns. What still compiles
meanwhile is stopped, and goes on between the first precision and the others. Where it does not become
ready, a process that compiles nothing takes its place.

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

# The most important first. Those of the first precision are compiled and timed before the others.
CASES = [
    "edge-s:512:bf16",
    "edge-m:512:bf16",
    "resnet18:256:bf16",
    "edge-s:512:f32",
    "edge-m:512:f32",
    "resnet18:256:f32",
]

# The trainer's side, and PyTorch's ways, the most important first; a compiled network runs before all others.
TRAINER = "trainer"
BF16_WAYS = ["compiled", "eager", "step-graph", "eager-graph"]
F32_WAYS = ["compiled", "eager-channels-last", "step-graph", "eager-graph", "eager"]
WAYS = {"bf16": BF16_WAYS, "tf32": BF16_WAYS, "f32": F32_WAYS}
COMPILED = ["compiled", "step-graph"]
CAPTURED = ["step-graph", "eager-graph"]

NO_TIME = "not timed: no time was left"

LEAST_ROUNDS = 3
# Seconds that a program may take to start.
START_LIMIT = 45
# Seconds that a side may take to warm up.
WARM_LIMIT = 30
# Seconds that end a turn which takes far longer than it should.
TURN_LIMIT = 10
# How much more time a case of the first precision may take than one of another.
WEIGHT = 2
# How much lower the priority of the other precisions' compilation is.
NICENESS = 10


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
        self.ended = None
        self.log = Path(tempfile.mkstemp(suffix=".log", dir=folder)[1])
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                # With all that it starts it can be stopped and ended.
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

    def answered(self):
        """Whether an answer is there, or none will come."""
        return self.ended is not None or not self.lines.empty()

    def tell(self, line):
        if self.ended is not None:
            raise Failed(self.ended)
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except OSError:
            self.fail(f"ended: {self.last_words()}")

    def answer(self, limit):
        """The next line within so many seconds: an object, which is {"seconds": N} where the line is a number."""
        if self.ended is not None:
            raise Failed(self.ended)
        try:
            line = self.lines.get(timeout=max(limit, 0.01))
        except queue.Empty:
            self.fail(f"no answer within {max(limit, 0):.0f} s")
        if line is None:
            self.fail(f"ended: {self.last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            self.fail(f"not an answer: {line.strip()[:200]}")
        if not isinstance(answer, dict):
            return {"seconds": answer}
        if "error" in answer:
            raise Failed(answer["error"][:1000])
        return answer

    def last_words(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-3:])[-600:] or "it said nothing"

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def set_niceness(self, niceness):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PGRP, self.process.pid, niceness)

    def fail(self, why):
        self.end(why)
        raise Failed(why)

    def end(self, why="ended"):
        if self.ended is None:
            self.ended = why
            self.signal(signal.SIGKILL)
            self.process.wait()
            Process.running.remove(self)


class Side:
    """One of the two frameworks' ways to take a step."""

    def __init__(self, process, way=""):
        self.process, self.way = process, way
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
        return None

    def take(self, steps):
        """Seconds of so many steps."""
        self.process.tell(f"{self.way} {steps}".strip())
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

        seconds = self.attempt(timed)
        if seconds is not None:
            self.times.append(1e3 * seconds)

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
        for name, key in (("warm_up_s", "seconds"), ("compile_s", "compile_seconds")):
            if key in self.ready:
                found[name] = self.ready[key]
        if self.ready.get("notes"):
            found["notes"] = self.ready["notes"]
        return found


class Case:
    """A network in one precision, with all sides."""

    def __init__(self, text, options, folder, cores):
        self.options, self.folder = options, folder
        self.preset, pairs, self.precision = text.split(":")
        self.pairs = int(pairs)
        self.description = None
        # Why it was not timed.
        self.skipped = None
        self.done = False
        self.sides = {}
        # What PyTorch said of itself when it was ready.
        self.found = {}
        self.no_compiled = None
        self.environment = os.environ | {
            "TORCHINDUCTOR_COMPILE_THREADS": str(cores),
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
            "TRITON_CACHE_DIR": f"{folder}/triton",
        }
        self.pytorch = self.start_pytorch(["--compile"])
        # Loads its libraries, and then waits for what it may be needed for.
        self.spare = self.start_pytorch([])
        self.spare.set_niceness(NICENESS)

    def serve(self):
        command = [self.options.gpu_check, "serve", self.preset, self.pairs, self.precision]
        return Process(command, self.folder)

    def start_pytorch(self, options):
        command = [sys.executable, HERE / "gpu_pytorch_side.py", "--device", self.options.device]
        return Process([*command, "--precision", self.precision, *options], self.folder, self.environment)

    def describe(self, description, error):
        """Hands the description of the network to PyTorch; none ends the case."""
        self.description = description
        if description is None:
            side = self.sides[TRAINER] = Side(None)
            side.error = error
            self.end()
        else:
            with contextlib.suppress(Failed):
                self.pytorch.tell(json.dumps(description))

    def become_ready(self, limit):
        """Waits until PyTorch is ready; returns whether it is."""
        try:
            self.found = self.pytorch.answer(limit)
        except Failed as failure:
            # All its sides fail for this.
            self.pytorch.end(str(failure))
            return False
        return True

    def fall_back(self, why):
        """Puts the process that compiles nothing in the place of PyTorch's; it is ready later."""
        self.no_compiled = why
        self.pytorch.end(why)
        self.pytorch = self.spare
        self.pytorch.set_niceness(0)
        with contextlib.suppress(Failed):
            self.pytorch.tell(json.dumps(self.description))

    def warm_up_trainer(self, clock):
        """Starts the trainer, which tries its algorithms out."""
        start = time.monotonic()
        side = self.sides[TRAINER] = Side(self.serve())

        def warm():
            side.process.answer(min(START_LIMIT, clock.left()))
            side.process.tell(3)
            side.process.answer(min(WARM_LIMIT, clock.left()))
            side.ready = {"seconds": time.monotonic() - start}

        side.attempt(warm)

    def warm_up(self, way, clock):
        """Lets one of PyTorch's ways warm up."""
        side = self.sides[way] = Side(self.pytorch, way)
        if way in COMPILED and self.no_compiled is not None:
            side.error = self.no_compiled
            return

        def warm():
            side.process.tell(f"warm {way}")
            side.ready = side.process.answer(min(WARM_LIMIT, clock.left()))

        side.attempt(warm)
        if way == "compiled" and "seconds" in self.found:
            side.ready["compile_seconds"] = self.found["seconds"]
        if self.pytorch.ended is not None and self.no_compiled is None:
            self.fall_back(side.error)
            self.become_ready(min(START_LIMIT, clock.left()))

    def time(self, clock, until):
        """Warms up and times all sides, which may take until so many seconds are spent, or somewhat longer."""
        self.warm_up_trainer(clock)
        for way in WAYS[self.precision]:
            if way in CAPTURED and self.options.device != "cuda":
                continue
            if clock.spent() < until:
                self.warm_up(way, clock)
                print(f"{clock.spent():6.1f} s: {way} is warm", file=sys.stderr, flush=True)
            else:
                self.sides[way] = Side(self.pytorch, way)
                self.sides[way].error = NO_TIME
        alive = [side for side in self.sides.values() if side.error is None]
        if not self.take_turns(alive, clock, until):
            self.skipped = NO_TIME
        self.end()

    def take_turns(self, sides, clock, until):
        """Lets the sides take turns; returns whether there was time for it."""
        for side in sides:
            side.choose_steps(self.options.turn)
        for done in range(self.options.rounds):
            sides = [side for side in sides if side.error is None]
            round_seconds = 1.1 * sum(side.turn_seconds for side in sides)
            if done < LEAST_ROUNDS:
                # What is begun ends with as many turns of every side.
                if clock.left() < (LEAST_ROUNDS - done) * round_seconds:
                    return done > 0
            elif clock.spent() + round_seconds > min(until, clock.budget):
                break
            for side in sides:
                side.turn()
        return True

    def result(self):
        found = {"preset": self.preset, "pairs": self.pairs, "precision": self.precision}
        if self.description is not None:
            found["parameters"] = self.description["parameters"]
            found["shape"] = self.description["shape"]
        found["sides"] = {
            name: side.result() for name, side in self.sides.items() if side.times or side.error
        }
        if self.skipped is not None:
            found["skipped"] = self.skipped
        return found

    def skip(self, why):
        self.skipped = why
        if self.no_compiled is not None:
            self.sides["compiled"] = Side(self.pytorch)
            self.sides["compiled"].error = self.no_compiled
        self.end()

    def end(self):
        self.done = True
        for process in (self.pytorch, self.spare):
            process.end()
        for side in self.sides.values():
            if side.process is not None:
                side.process.end()


class Comparison:
    """All cases, and what has come of them so far."""

    def __init__(self, options):
        self.options, self.clock = options, Clock(options.budget)
        self.libraries, self.device = {}, None
        self.cases = []

    def say(self, what):
        print(f"{self.clock.spent():6.1f} s: {what}", file=sys.stderr, flush=True)

    def report(self):
        found = {"budget_s": self.options.budget, "libraries": self.libraries}
        if self.device is not None:
            found["device"] = self.device
        found["cases"] = [case.result() for case in self.cases if case.done]
        print(json.dumps(found | {"seconds": self.clock.spent()}), flush=True)

    def run(self, folder):
        texts = self.options.cases
        first = texts[0].split(":")[2]
        # All of the first precision compile at the same time.
        urgent = sum(text.split(":")[2] == first for text in texts)
        cores = max(2, len(os.sched_getaffinity(0)) // urgent)
        self.cases = [Case(text, self.options, folder, cores) for text in texts]
        for case in self.cases:
            if case.precision != first:
                case.pytorch.set_niceness(NICENESS)
        self.describe()
        self.first_precision = first
        waiting = [case for case in self.open() if case.precision == first]
        self.wait(waiting, self.options.compile_limit)
        self.time([case for case in waiting if case.pytorch.answered()])
        self.wait(self.open(), self.options.budget)
        self.time(self.open())
        self.report()

    def open(self):
        return [case for case in self.cases if not case.done]

    def describe(self):
        """Lets the trainer describe each network, which starts it for nothing else."""
        asked = {}
        for case in self.cases:
            name = (case.preset, case.pairs)
            if name not in asked:
                asked[name] = Side(case.serve())
        for side in asked.values():
            limit = min(START_LIMIT, self.clock.left())
            side.ready = side.attempt(lambda: side.process.answer(limit))
            side.process.end()
        for case in self.cases:
            side = asked[case.preset, case.pairs]
            case.describe(side.ready, side.error)
        self.say("networks are described")

    def wait(self, cases, limit):
        """Waits until the cases are ready, but leaves the time that timing them takes."""
        limit = min(limit, self.options.budget - self.options.least * len(cases))
        while self.clock.spent() < limit and not all(case.pytorch.answered() for case in cases):
            time.sleep(0.05)
        ready = sum(case.pytorch.answered() for case in cases)
        self.say(f"{ready} of {len(cases)} are ready")

    def time(self, cases):
        """Times the cases one after the other. Cases that are not ready compile no more."""
        if not cases:
            return
        slow = [case for case in cases if not case.pytorch.answered()]
        for case in slow:
            case.fall_back(f"not ready after {self.clock.spent():.0f} s: {case.pytorch.last_words()}")
        paused = [case for case in self.open() if case not in cases and not case.pytorch.answered()]
        for case in paused:
            case.pytorch.signal(signal.SIGSTOP)
        for case in cases:
            if not case.become_ready(min(START_LIMIT, self.clock.left())) and case.no_compiled is None:
                case.fall_back(case.pytorch.ended)
                case.become_ready(min(START_LIMIT, self.clock.left()))
            self.libraries |= case.found.get("libraries", {})
            self.device = case.found.get("device", self.device)
        for case in cases:
            self.time_one(case)
        for case in paused:
            case.pytorch.signal(signal.SIGCONT)

    def time_one(self, case):
        left = self.clock.left()
        if left < self.options.least / 2:
            case.skip(f"not run: {max(left, 0):.0f} s were left")
        else:
            self.say(f"{case.preset} {case.precision}")
            case.pytorch.set_niceness(0)
            share = self.weight(case) / sum(self.weight(case) for case in self.open())
            case.time(self.clock, self.clock.spent() + share * left)
        self.report()

    def weight(self, case):
        return WEIGHT if case.precision == self.first_precision else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu-check", required=True, help="the program gpu-check")
    parser.add_argument("--budget", type=float, default=110, help="seconds for everything")
    parser.add_argument(
        "--compile-limit", type=float, default=62, help="seconds after which the first cases are timed that are ready"
    )
    parser.add_argument("--least", type=float, default=9, help="seconds that are kept for each case's timing")
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
