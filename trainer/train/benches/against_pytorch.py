"""A full training step of the same network here and in PyTorch, step by step in turn.

Run by against_pytorch.sh, which makes the environment. The network, its shapes and the batch come
from `train_step --serve`; PyTorch builds the same from that description: shared convolutions, batch
norm and parallel adapters of each path (added to the kernels' centres, as the trainer does it), the
projector with NT-Xent, the augmentation predictor with binary cross entropy, gradient clipping and
AdamW without decay on norms and biases.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class PathConv(nn.Module):
    """A shared convolution, each path's adapter added to its centre, then each path's batch norm."""

    def __init__(self, inputs, outputs, kernel, stride, adapted, paths):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.adapters = nn.ParameterList(
            [nn.Parameter(torch.zeros(outputs, inputs, 1, 1)) for _ in range(paths if adapted else 0)]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs) for _ in range(paths)])
        self.stride, self.around = stride, kernel // 2

    def forward(self, x, path):
        weight = self.weight
        if self.adapters:
            weight = weight + F.pad(self.adapters[path], [self.around] * 4)
        return self.norms[path](F.conv2d(x, weight, stride=self.stride, padding=self.around))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, adapted, paths):
        super().__init__()
        self.first = PathConv(inputs, outputs, 3, stride, adapted, paths)
        self.second = PathConv(outputs, outputs, 3, 1, adapted, paths)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = PathConv(inputs, outputs, 1, stride, False, paths)

    def forward(self, x, path):
        inner = self.second(F.relu(self.first(x, path), inplace=True), path)
        return F.relu(inner + (x if self.shortcut is None else self.shortcut(x, path)), inplace=True)


class Network(nn.Module):
    def __init__(self, description):
        super().__init__()
        spec, objective = description["backbone"], description["objective"]
        kind = spec["adapters"]["kind"]
        assert kind in ("parallel", "batch-norm"), kind
        # What lies before this stage is both paths' in common and runs once.
        split, width = spec["adapters"].get("from_stage", 0), spec["stem"]["width"]
        paths = [1 if s < split else 2 for s in range(len(spec["stages"]))]
        self.stem = PathConv(1, width, spec["stem"]["kernel"], spec["stem"]["stride"], False, paths[0])
        blocks = []
        for stage, own in zip(spec["stages"], paths):
            for b in range(stage["blocks"]):
                stride = stage["stride"] if b == 0 else 1
                blocks.append(Block(width, stage["width"], stride, kind == "parallel" and own > 1, own))
                width = stage["width"]
        self.blocks = nn.ModuleList(blocks)
        self.bands = (spec.get("output") or {}).get("bands", 1)
        width *= self.bands
        hidden, out = objective["projector_hidden"], objective["projector_out"]
        self.projector = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out)
        )
        layers, last = [], width
        for size in objective["predictor_hidden"]:
            layers += [nn.Linear(last, size, bias=False), nn.BatchNorm1d(size), nn.ReLU()]
            last = size
        self.predictor = nn.Sequential(*layers, nn.Linear(last, description["operators"]))

    def forward(self, patches):
        stem = F.conv2d(patches, self.stem.weight, stride=self.stem.stride, padding=self.stem.around)
        # One activation while the paths are the same, then one for each.
        x = [F.relu(norm(stem), inplace=True) for norm in self.stem.norms]
        for block in self.blocks:
            x = [block(x[min(p, len(x) - 1)], p) for p in range(len(block.first.norms))]
        features = [x.unflatten(3, (self.bands, -1)).mean((2, 4)).flatten(1) for x in x]
        return self.projector(features[0]), self.predictor(features[1])


def nt_xent(projections, temperature):
    unit = F.normalize(projections)
    similarity = unit @ unit.t() / temperature
    similarity.fill_diagonal_(-1e9)
    rows = len(unit)
    other = (torch.arange(rows) + rows // 2) % rows
    return F.cross_entropy(similarity, other)


class PyTorch:
    def __init__(self, description, channels_last):
        torch.manual_seed(1)
        self.network = Network(description)
        self.temperature = description["objective"]["temperature"]
        views, frames, mels = description["shape"]
        self.patches = torch.randn(views, 1, frames, mels)
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
            self.patches = self.patches.to(memory_format=torch.channels_last)
        self.labels = torch.rand(views, description["operators"]).round()
        every = list(self.network.parameters())
        groups = [
            {"params": [p for p in every if p.dim() > 1], "weight_decay": 1e-4},
            {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=1e-3, fused=True)
        self.parameters = sum(p.numel() for p in every)

    def step(self):
        start = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        projections, logits = self.network(self.patches)
        loss = nt_xent(projections, self.temperature)
        loss = loss + F.binary_cross_entropy_with_logits(logits, self.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        loss.item()
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
        assert sides[1].parameters == trainer.description["parameters"], "not the same network"
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
