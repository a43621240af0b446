"""PyTorch's ways to take a training step in gpu_against_pytorch.py, all of one network, in a process of its own.

Reads the network's description as a line of JSON, builds the network, compiles it with --compile, and prints a
line of JSON: seconds of that, device and libraries, or an error. Until then nothing is measured on the device:
compilation stops before the compiled network runs for the first time. Then it answers lines:

    warm WAY    makes this way ready, and tries algorithms and kernels out: seconds and notes
    WAY N       takes N steps, and waits for the device: seconds

With --compile the first of them is `warm compiled`. The ways are

    compiled               torch.compile
    step-graph             one CUDA graph of a whole step of the compiled network, optimiser included
    eager                  in f32 with channels first, else with channels last
    eager-channels-last    eager with channels last, as all other ways have them
    eager-graph            one CUDA graph of a whole step that nothing has compiled

A way that fails answers with its error, and leaves the others.
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

# Seconds that the processes may take which compile kernels.
POOL_LIMIT = 60


class Side:
    def __init__(self, description, options):
        self.description, self.precision = description, options.precision
        self.device = torch.device(options.device)
        set_precision(self.precision)
        cached, self.uncached = contextlib.nullcontext, contextlib.nullcontext
        if self.precision == "bf16":
            cached = lambda: torch.autocast(self.device.type, torch.bfloat16)
            # A step that is compiled or captured casts weights itself.
            self.uncached = lambda: torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        self.training = Training(description, self.device, True, cached)
        self.compiled, self.not_compiled = None, ValueError("not compiled")
        self.notes = []
        self.ways = {}

    def compile(self, ready):
        """Compiles the network with its losses, in one piece if that can be, and takes a step. Calls `ready` when
        nothing is left but to run it; the step is taken when that returns."""
        import torch._functorch.config

        # The backward pass is compiled with the forward pass, not when it runs for the first time.
        torch._functorch.config.force_non_lazy_backward_lowering = True
        inductor = torch._dynamo.lookup_backend("inductor")
        start = time.perf_counter()

        def backend(module, inputs):
            print(f"traced after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
            # Kernels that come before the pool is there are compiled one after the other.
            wait_for_pool()
            compiled = inductor(module, inputs)
            ready()
            return compiled

        def compile_and_run(fullgraph):
            self.compiled = torch.compile(self.training.loss, fullgraph=fullgraph, dynamic=False, backend=backend)
            self.way("compiled")()

        print("traces the network", file=sys.stderr, flush=True)
        try:
            try:
                compile_and_run(True)
            except torch._dynamo.exc.Unsupported as error:
                self.notes.append(f"compiled in pieces: {str(error).splitlines()[0]}")
                torch._dynamo.reset()
                compile_and_run(False)
        except Exception as error:
            self.compiled, self.not_compiled = None, error

    def way(self, name):
        """Returns what takes a step in this way, and returns the loss."""
        if name == "compiled":
            if self.compiled is None:
                raise self.not_compiled
            return lambda: self.training.step(self.compiled, self.uncached)
        if name == "step-graph":
            return self.capture(self.way("compiled"))
        if name == "eager-graph":
            return self.capture(lambda: self.training.step(autocast=self.uncached))
        if name == "eager" and self.precision == "f32":
            return Training(self.description, self.device).step
        if name in ("eager", "eager-channels-last"):
            return self.training.step
        raise ValueError(f"no way {name}")

    def capture(self, step):
        """Makes one CUDA graph of a step."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # The graph has its own gradients.
        self.training.optimiser.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            loss = step()
        self.training.optimiser.zero_grad(set_to_none=True)

        def replay():
            graph.replay()
            return loss

        return replay

    def warm(self, name):
        take = self.way(name)
        for _ in range(WARM_UP):
            loss = take()
        if not math.isfinite(loss.item()):
            raise ValueError(f"the loss is {loss.item()} after {WARM_UP} steps")
        self.ways[name] = take

    def synchronise(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, name, steps):
        take = self.ways[name]
        self.synchronise()
        start = time.perf_counter()
        for _ in range(steps):
            take()
        self.synchronise()
        return time.perf_counter() - start

    def answer(self, line, start=None):
        """What answers a line. Work on it began at `start`; by default it begins now."""
        match line.split():
            case ["warm", name]:
                start = time.perf_counter() if start is None else start
                self.warm(name)
                self.synchronise()
                notes = self.notes if name == "compiled" else []
                return {"seconds": time.perf_counter() - start, "notes": notes}
            case [name, steps]:
                return {"seconds": self.seconds(name, int(steps))}
        raise ValueError(f"not a command: {line.strip()}")


def set_precision(precision):
    """Plain f32 products are exact to f32's precision; `tf32` lets the tensor cores round."""
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    # Shapes never change: cuDNN may try its algorithms.
    torch.backends.cudnn.benchmark = True


def start_pool():
    """Starts the processes that compile kernels, which takes seconds."""
    # Without them kernels are compiled in this process.
    with contextlib.suppress(Exception):
        from torch._inductor.async_compile import maybe_warm_pool

        maybe_warm_pool()


def wait_for_pool():
    with contextlib.suppress(Exception):
        from torch._inductor.async_compile import AsyncCompile

        AsyncCompile.wait_pool_ready(POOL_LIMIT)


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
    """Answers with what `work` returns, or with its error."""
    try:
        answer = work()
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    say(**answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", required=True, choices=["bf16", "f32", "tf32"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.compile:
        start_pool()
    description = sys.stdin.readline()
    if not description.strip():
        sys.exit(1)
    start = time.perf_counter()
    try:
        side = Side(json.loads(description), options)
        device = torch.cuda.get_device_name(side.device) if side.device.type == "cuda" else "processor"
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}")
        sys.exit(1)
    first = resumed = None

    def ready():
        """Says that this process is ready, and waits for the first command."""
        nonlocal first, resumed
        if first is None:
            say(seconds=time.perf_counter() - start, device=device, libraries=libraries())
            first = sys.stdin.readline()
            if not first:
                # Nobody waits for what is left to do.
                os._exit(0)
            resumed = time.perf_counter()

    if options.compile:
        side.compile(ready)
    # Where it could not be compiled.
    ready()
    told(lambda: side.answer(first, resumed))
    for line in sys.stdin:
        told(lambda: side.answer(line))


if __name__ == "__main__":
    main()
