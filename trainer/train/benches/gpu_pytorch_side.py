"""One of PyTorch's sides in gpu_against_pytorch.py: takes training steps when told to, in a process of its own.

Reads the network's description as a line of JSON, warms up, and prints a line of JSON: seconds of that,
libraries and notes, or an error. Then, for each line with a number N, it takes N steps, waits for the
device and prints the seconds. The line `capture` makes one CUDA graph of a whole step, optimiser included,
which later steps replay.
"""

import argparse
import contextlib
import json
import math
import os
import sys
import time

# The protocol has standard output to itself: libraries that print get standard error.
protocol = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import torch

from pytorch_network import Training

WARM_UP = 4


class Side:
    def __init__(self, description, options):
        self.device = torch.device(options.device)
        self.notes = []
        set_precision(options.precision)
        self.mode = options.mode
        autocast = contextlib.nullcontext
        if options.precision == "bf16":
            # A step that is compiled or captured casts weights itself.
            cached = self.mode == "eager"
            autocast = lambda: torch.autocast(self.device.type, torch.bfloat16, cache_enabled=cached)
        self.training = Training(description, self.device, options.channels_last, autocast)
        self.take = self.training.step
        if self.mode == "eager":
            self.warm_up()
        else:
            self.compile()

    def compile(self):
        """Compiles the network with its losses, in one piece if that can be."""
        if self.mode == "reduce-overhead":
            self.take = self.marked_step
            # Graphs read the batch where it lies, and copy nothing.
            for resident in (self.training.patches, self.training.labels):
                torch._dynamo.mark_static_address(resident)
        whole = self.training.loss
        try:
            whole.compile(fullgraph=True, mode=self.mode)
            self.warm_up()
        except torch._dynamo.exc.Unsupported as error:
            self.notes.append(f"compiled in pieces: {str(error).splitlines()[0]}")
            torch._dynamo.reset()
            whole.compile(mode=self.mode)
            self.warm_up()
        if self.mode == "reduce-overhead":
            skips = torch._dynamo.utils.counters["inductor"]["cudagraph_skips"]
            if skips:
                self.notes.append(f"parts that run without CUDA graphs: {skips}")

    def marked_step(self):
        torch.compiler.cudagraph_mark_step_begin()
        return self.training.step()

    def warm_up(self):
        # A graph's output is overwritten by the next step: only the last is kept.
        for _ in range(WARM_UP):
            loss = self.take()
        if not math.isfinite(loss.item()):
            raise ValueError(f"the loss is {loss.item()} after {WARM_UP} steps")

    def synchronise(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, steps):
        self.synchronise()
        start = time.perf_counter()
        for _ in range(steps):
            self.take()
        self.synchronise()
        return time.perf_counter() - start

    def capture(self):
        """Makes one CUDA graph of a step."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.training.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.training.optimiser.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            loss = self.training.step()
        self.take = graph.replay
        self.seconds(WARM_UP)
        if not math.isfinite(loss.item()):
            raise ValueError(f"the loss is {loss.item()} after {WARM_UP} replays")


def set_precision(precision):
    """Plain f32 products are exact to f32's precision; `tf32` lets the tensor cores round."""
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    # Shapes never change: cuDNN may try its algorithms.
    torch.backends.cudnn.benchmark = True


def libraries():
    found = {"Python": sys.version.split()[0], "PyTorch": torch.__version__}
    if torch.version.cuda:
        found["CUDA"] = torch.version.cuda
    if torch.backends.cudnn.is_available():
        found["cuDNN"] = str(torch.backends.cudnn.version())
    with contextlib.suppress(ImportError):
        import triton

        found["Triton"] = triton.__version__
    return found


def say(**answer):
    print(json.dumps(answer), file=protocol, flush=True)


def told(work):
    """Answers with what `work` returns, or with its error; returns whether all went well."""
    try:
        answer = work()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}")
        return False
    say(**answer)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", required=True, choices=["eager", "default", "reduce-overhead"])
    parser.add_argument("--precision", required=True, choices=["bf16", "f32", "tf32"])
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    side = None

    def begin():
        nonlocal side
        start = time.perf_counter()
        side = Side(json.loads(description), options)
        device = torch.cuda.get_device_name(side.device) if side.device.type == "cuda" else "processor"
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "device": device, "libraries": libraries(), "notes": side.notes}

    def capture():
        side.capture()
        return {}

    say()
    description = sys.stdin.readline()
    if not description.strip() or not told(begin):
        sys.exit(1)
    for line in sys.stdin:
        if line.strip() == "capture":
            told(capture)
        else:
            steps = int(line)
            told(lambda: {"seconds": side.seconds(steps)})


if __name__ == "__main__":
    main()
