"""The trainer's network, losses and optimiser in PyTorch, built from the description that the trainer prints.

The description is one line of JSON (`train_step --serve`, `gpu-check serve`): the tables `backbone` and
`objective` of a configuration, the number of operators, the shape of a batch and the number of parameters.
"""

import contextlib

import torch
import torch.nn as nn
import torch.nn.functional as F

# As the trainer's default configuration has them.
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-3, 1e-4, 5.0


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

    def convolve(self, x, weight):
        return F.conv2d(x, weight, stride=self.stride, padding=self.around)

    def forward(self, x, path):
        weight = self.weight
        if len(self.adapters):
            weight = weight + F.pad(self.adapters[path], [self.around] * 4)
        return self.norms[path](self.convolve(x, weight))


class Block(nn.Module):
    """Two 3x3 convolutions and the shortcut around them."""

    def __init__(self, inputs, outputs, stride, adapted, paths):
        super().__init__()
        self.paths = paths
        self.first = PathConv(inputs, outputs, 3, stride, adapted, paths)
        self.second = PathConv(outputs, outputs, 3, 1, adapted, paths)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = PathConv(inputs, outputs, 1, stride, False, paths)

    def forward(self, x, path):
        inner = self.second(F.relu(self.first(x, path), inplace=True), path)
        return F.relu(inner + (x if self.shortcut is None else self.shortcut(x, path)), inplace=True)


class Network(nn.Module):
    """The trunk with both heads: projections of the first path, logits of the second."""

    def __init__(self, description):
        super().__init__()
        spec, objective = description["backbone"], description["objective"]
        check(spec, objective)
        kind = spec["adapters"]["kind"]
        stages, width = spec["stages"], spec["stem"]["width"]
        # What lies before this stage is both paths' in common and runs once: everything, where only
        # the layers behind the averages are apart.
        split = len(stages) if kind == "split" else spec["adapters"].get("from_stage", 0)
        paths = [1 if s < split else 2 for s in range(len(stages))]
        self.stem = PathConv(1, width, spec["stem"]["kernel"], spec["stem"]["stride"], False, paths[0])
        blocks = []
        for stage, own in zip(stages, paths):
            for b in range(stage["blocks"]):
                stride = stage["stride"] if b == 0 else 1
                blocks.append(Block(width, stage["width"], stride, kind == "parallel" and own > 1, own))
                width = stage["width"]
        self.blocks = nn.ModuleList(blocks)
        self.bands = (spec.get("output") or {}).get("bands", 1)
        width *= self.bands
        self.outputs = nn.ModuleList([nn.Linear(width, width) for _ in range(2 if kind == "split" else 0)])
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
        stem = self.stem.convolve(patches, self.stem.weight)
        # One activation while the paths are the same, then one for each.
        x = [F.relu(norm(stem), inplace=True) for norm in self.stem.norms]
        for block in self.blocks:
            x = [block(x[min(p, len(x) - 1)], p) for p in range(block.paths)]
        features = [x.unflatten(3, (self.bands, -1)).mean((2, 4)).flatten(1) for x in x]
        first, second = features[0], features[-1]
        if len(self.outputs):
            first, second = self.outputs[0](first), self.outputs[1](second)
        return self.projector(first), self.predictor(second)


def check(spec, objective):
    """Refuses what this network has no layers or losses for."""
    kind = spec["adapters"]["kind"]
    assert kind in ("parallel", "batch-norm", "split"), f"adapters of the kind {kind}"
    assert not spec.get("parts"), "parts that are learned from teachers"
    assert objective["tasks"] == ["contrastive", "predictive"], f"tasks {objective['tasks']}"
    assert objective["contrastive"] == "sim-clr", f"the contrastive loss {objective['contrastive']}"
    assert objective.get("parameter_weight", 0) == 0, "regression of the operators' parameters"


class JointLoss(nn.Module):
    """The joint loss of a batch: NT-Xent over the projections, binary cross entropy over the logits."""

    def __init__(self, description):
        super().__init__()
        self.network = Network(description)
        self.temperature = description["objective"]["temperature"]
        self.predictive_weight = description["objective"].get("pred_weight", 1.0)
        rows = description["shape"][0]
        # The other view of each row, and the rows themselves, which are no negatives of their own.
        self.register_buffer("other", (torch.arange(rows) + rows // 2) % rows, persistent=False)
        self.register_buffer("own", torch.eye(rows, dtype=torch.bool), persistent=False)

    def forward(self, patches, labels):
        projections, logits = self.network(patches)
        unit = F.normalize(projections)
        similarity = (unit @ unit.t() / self.temperature).masked_fill(self.own, -1e9)
        contrastive = F.cross_entropy(similarity, self.other)
        predictive = F.binary_cross_entropy_with_logits(logits, labels)
        return torch.add(contrastive, predictive, alpha=self.predictive_weight)


class Training:
    """A network with a batch of random patches on the device, and the optimiser: everything that a step needs."""

    def __init__(self, description, device="cpu", channels_last=False, autocast=contextlib.nullcontext):
        """`autocast` makes the context in which losses are computed."""
        torch.manual_seed(1)
        self.autocast = autocast
        self.loss = JointLoss(description)
        views, frames, mels = description["shape"]
        self.patches = torch.randn(views, 1, frames, mels).to(device)
        self.labels = torch.rand(views, description["operators"]).round().to(device)
        self.loss.to(device)
        if channels_last:
            self.loss.to(memory_format=torch.channels_last)
            self.patches = self.patches.to(memory_format=torch.channels_last)
        every = list(self.loss.parameters())
        count = sum(p.numel() for p in every)
        wanted = description["parameters"]
        assert count == wanted, f"not the same network: {count} parameters here, {wanted} there"
        groups = [
            {"params": [p for p in every if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
        ]
        # On a GPU the optimiser may become part of a CUDA graph.
        capturable = torch.device(device).type == "cuda"
        self.optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True, capturable=capturable)

    def step(self, network=None, autocast=None):
        """Takes a whole step; returns the loss, which stays on the device. `network` stands for the network with
        its losses where it is compiled, and `autocast` for the usual context."""
        self.optimiser.zero_grad(set_to_none=True)
        # A compiled module has no truth value.
        network = self.loss if network is None else network
        with (autocast or self.autocast)():
            loss = network(self.patches, self.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.loss.parameters(), CLIP_NORM)
        self.optimiser.step()
        return loss.detach()
