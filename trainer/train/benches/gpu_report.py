"""Puts what the parts of gpu_check.sh printed into OUT/gpu.json, and prints a table of it.

A part is three files: NAME.out, NAME.log and NAME.status (exit status, seconds, limit). Parts that are not there
leave what the file holds of them. The exit status is 1 if a part failed, or a check of an operator did.
"""

import json
import os
import sys
from pathlib import Path


class Part:
    """What one part printed, and how it ended."""

    def __init__(self, folder, name):
        def text(suffix):
            path = folder / f"{name}.{suffix}"
            return path.read_text(errors="replace") if path.exists() else ""

        self.folder, self.name = folder, name
        self.out, self.log = text("out"), text("log")
        status, seconds, limit = (text("status") or "-1 0 0").split()
        self.status, self.seconds, self.limit = int(status), float(seconds), float(limit)

    def printed(self):
        """The object that it printed: all of the text, or the last line that is one."""
        for text in [self.out, *reversed(self.out.splitlines())]:
            try:
                found = json.loads(text)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
        return None

    def result(self):
        found = self.printed()
        if found is None:
            return {"error": self.failure(), "seconds": self.seconds}
        found.setdefault("seconds", self.seconds)
        # Operators that fail make the status 1, which is in what was printed.
        if self.status not in (0, 1):
            found["ended"] = self.failure()
        return found

    def failure(self):
        why = f"exit status {self.status}"
        if self.status in (124, 137):
            why = f"took more than {self.limit:.0f} s"
        lines = [line for line in (self.log or self.out).splitlines() if line.strip()]
        return ": ".join([why, *([" / ".join(lines[-3:])[-800:]] if lines else [])])


def names(folder, prefix):
    """Names of the parts that begin so, in the order in which they ended."""
    ended = sorted(folder.glob(f"{prefix}*.status"), key=lambda path: path.stat().st_mtime_ns)
    return [path.stem[len(prefix) :] for path in ended]


def training(folder, name):
    """A run's outcome, with its options and the last row of its metrics."""
    part = Part(folder, f"training-{name}")
    found = part.result()
    options = (folder / f"training-{name}.options").read_text().splitlines()
    return {"name": name, "options": options, **found}


def update(results, folder):
    """Puts the parts into the results."""
    for name in ("operators", "views", "comparison"):
        if (folder / f"{name}.status").exists():
            results[name] = Part(folder, name).result()
    profiles = [{"preset": name, **Part(folder, f"profile-{name}").result()} for name in names(folder, "profile-")]
    if profiles:
        results["profiles"] = profiles
    new = [training(folder, name) for name in names(folder, "training-")]
    kept = [run for run in results.get("training", []) if run["name"] not in [run["name"] for run in new]]
    if kept + new:
        results["training"] = kept + new


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def show(results):
    """Prints the table; returns whether all went well."""
    well = True
    operators = results.get("operators", {})
    for check in operators.get("checks", []):
        if not check["passed"]:
            print(f"FAILED  {check['name']}: error {cell(check['error'])}, limit {cell(check['limit'])}")
            well = False
    if "checks" in operators:
        passed = sum(check["passed"] for check in operators["checks"])
        print(f"operators: {passed} of {len(operators['checks'])} passed on {operators.get('device', '?')}")
    views = results.get("views", {})
    if "gpu_ms" in views:
        print(
            f"views of {views['pairs']} pairs: {views['gpu_ms']:.2f} ms, {views['processor_ms']:.0f} ms on the processor; "
            f"apart by {cell(views['median_apart'])}, {views['labels_apart']} of {views['labels']} labels differ"
        )
    failed = [(name, results[name]) for name in ("operators", "views", "comparison") if name in results]
    failed += [(f"profile of {found['preset']}", found) for found in results.get("profiles", [])]
    failed += [(f"training {found['name']}", found) for found in results.get("training", [])]
    for name, found in failed:
        for error in filter(None, (found.get("error"), found.get("ended"))):
            print(f"FAILED  {name}: {error}")
            well = False
    for case in results.get("comparison", {}).get("cases", []):
        well &= show_case(case)
    for found in results.get("profiles", []):
        if "parts" in found:
            largest = sorted(found["parts"], key=lambda part: -part["ms"])[:4]
            parts = ", ".join(f"{part['name']} {part['ms']:.3f}" for part in largest)
            print(f"profile {found['preset']}: {found['step_ms']:.3f} ms: {parts}")
    for run in results.get("training", []):
        last = run.get("last") or {}
        print(f"training {run['name']}: " + ", ".join(f"{key} {cell(value)}" for key, value in last.items() if value))
    return well


def show_case(case):
    title = f"{case['preset']} {case['pairs']} {case['precision']}"
    sides = case.get("sides", {})
    times = {name: side["ms"] for name, side in sides.items() if "ms" in side}
    for name, side in sides.items():
        if "error" in side:
            print(f"FAILED  {title} {name}: {side['error']}")
    if "skipped" in case:
        print(f"{title}: {case['skipped']}")
    if times:
        ratio = ""
        if len(times) > 1 and "trainer" in times:
            best = min(time for name, time in times.items() if name != "trainer")
            ratio = f" | best PyTorch / trainer {best / times['trainer']:.2f}"
        print(f"{title}: " + ", ".join(f"{name} {time:.3f} ms" for name, time in times.items()) + ratio)
    return not any("error" in side for side in sides.values())


def main():
    out, folder = map(Path, sys.argv[1:])
    path = out / "gpu.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["cores"] = len(os.sched_getaffinity(0))
    update(results, folder)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1) + "\n")
    new.replace(path)
    sys.exit(0 if show(results) else 1)


if __name__ == "__main__":
    main()
