"""A full training step of the same network here and in PyTorch, step by step in turn.

Run by against_pytorch.sh, which makes the environment. The network, its shapes and the batch come
from `train_step --serve`; PyTorch builds the same from that description (pytorch_network.py): shared
convolutions, batch norm and adapters of each path (parallel ones added to the kernels' centres, as the
trainer does it), the projector with NT-Xent, the augmentation predictor with binary cross entropy,
gradient clipping and AdamW without decay on norms and biases.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import torch

from pytorch_network import Training


class PyTorch:
    def __init__(self, description, channels_last):
        self.training = Training(description, channels_last=channels_last)

    def step(self):
        start = time.perf_counter()
        self.training.step().item()
        return time.perf_counter() - start

    def processor_seconds(self):
        return time.process_time()


class Trainer:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.description = json.loads(self.process.stdout.readline())

    def step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True, help="the train_step program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("case", nargs="+", help="train_step's arguments, one case in each string")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, {arguments.steps} steps each, in turn")
    print("| case | patches | parameters | | trainer | PyTorch NCHW | PyTorch NHWC | best PyTorch / trainer |")
    print("|---|---|---|---|---|---|---|---|")
    for case in arguments.case:
        trainer = Trainer([arguments.bench, *case.split(), "--serve"])
        sides = [trainer, PyTorch(trainer.description, False), PyTorch(trainer.description, True)]
        clock, processor = ([[] for _ in sides] for _ in range(2))
        for step in range(arguments.steps + 2):
            for index, side in enumerate(sides):
                before = side.processor_seconds()
                taken = side.step()
                # The first two steps warm up.
                if step >= 2:
                    clock[index].append(taken)
                    processor[index].append(side.processor_seconds() - before)
        trainer.close()
        views, parameters = trainer.description["shape"][0], trainer.description["parameters"]
        for name, times in (("clock, ms", clock), ("processor, ms", processor)):
            ours, *theirs = [1e3 * statistics.median(seconds) for seconds in times]
            cells = [case, views, parameters, name, *(f"{t:.0f}" for t in (ours, *theirs)), f"{min(theirs) / ours:.2f}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


main()
