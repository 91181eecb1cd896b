"""`./longshore mutate`: options, the trials, and the report."""

import argparse
import itertools
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dev import CHECKOUT, environments
from dev.mutation import equivalent, targets
from dev.mutation.covering import Test, covering
from dev.mutation.operators import Mutant, mutants_of
from dev.mutation.tree import Tree, Trial, Verdict
from dev.say import Problem, explain, say
from tests.support.postgres import run_postgres

EQUIVALENT = "tests/equivalent_mutants.toml"


@dataclass(frozen=True)
class Tried:
    mutant: Mutant
    trial: Trial
    asked: list[str]
    equivalent: str | None  # the reason

    @property
    def noticed(self) -> bool:
        return self.trial.verdict in {Verdict.NOTICED, Verdict.TIMED_OUT}


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    tried: list[Tried] = []
    code = 0
    try:
        environments.ensure("coverage", "seaweedfs", "run")
        with _postgres() as env:
            tried.extend(_run(options, env))
    except LookupError as error:
        print(f"longshore: no module is {error.args[0]}", file=sys.stderr)
        return 2
    except Problem as problem:
        print(f"longshore: {problem}", file=sys.stderr)
        code = 1
    except OSError as error:
        print(f"longshore: {explain(error)}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    if tried:  # also what was tried until it was broken off
        _report(tried, options.json)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="longshore mutate", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same mutants again")
    parser.add_argument("--sample", type=int, default=100, help="how many (default: 100)")
    parser.add_argument(
        "--modules", nargs="+", default=[], metavar="PATTERN",
        help="such as 'api/records/*.py' (default: those that carry the promise)",
    )  # fmt: skip # one option
    parser.add_argument(
        "--tests", type=int, default=40, help="to ask about one, at most (default: 40)"
    )
    parser.add_argument("--json", type=_absolute, metavar="FILE", help="write the report, too")
    parser.add_argument("--state-dir", type=_absolute, default=CHECKOUT / ".longshore/mutation")
    parser.add_argument("--checkout", type=_absolute, default=CHECKOUT, help=argparse.SUPPRESS)
    return parser


def _absolute(value: str) -> Path:
    return Path(value).absolute()


@contextmanager
def _postgres() -> Iterator[dict[str, str]]:
    """One server for all trials, as starting one takes longer than most tests."""
    with run_postgres() as url:
        yield {"LONGSHORE_TEST_POSTGRES": url.render_as_string(hide_password=False)}


def _run(options: argparse.Namespace, env: Mapping[str, str]) -> Iterator[Tried]:
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    options.state_dir.mkdir(parents=True, exist_ok=True)
    tree = Tree(options.checkout, options.state_dir / "tree", env)
    modules = targets.modules(tree.root, options.modules)
    files = targets.test_files(tree.root)
    reasons = equivalent.read(tree.root / EQUIVALENT)
    every = [
        mutant
        for module in modules
        for mutant in mutants_of(module, (tree.root / module).read_text("utf-8"))
    ]
    sample = _sample(every, options.sample, seed)
    say(
        f"{len(sample)} of {len(every)} mutants in {len(modules)} modules, each tried by at most"
        f" {options.tests} tests that run it; seed {seed}"
    )
    tests = covering(tree, files, modules, options.state_dir / "covering.json")
    for number, mutant in enumerate(sample, 1):
        began = time.monotonic()
        each = _try(tree, mutant, tests.of(mutant, options.tests), reasons.get(mutant.name))
        yield each
        say(
            f"{number:4}  {each.trial.verdict:16} {time.monotonic() - began:5.1f} s"
            f"  {mutant.file}:{mutant.line} {mutant.operator}"
        )


def _sample(every: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """Drawn line by line first, so that a long table of names doesn't outweigh a condition."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    lines = [list(group) for _, group in itertools.groupby(every, lambda each: each.place)]
    chosen = [chance.choice(group) for group in chance.sample(lines, min(size, len(lines)))]
    return sorted(chosen, key=lambda each: (each.file, each.line))


def _try(tree: Tree, mutant: Mutant, asked: list[Test], reason: str | None) -> Tried:
    trial = tree.try_(mutant, {test.name: test.seconds for test in asked})
    return Tried(mutant, trial, [test.name for test in asked], reason)


def _report(tried: list[Tried], file: Path | None) -> None:
    counted = [each for each in tried if not each.equivalent]
    verdicts = Counter(each.trial.verdict for each in counted)
    for each in (each for each in counted if not each.noticed):
        _show(each)
    for each in (each for each in tried if each.equivalent and each.noticed):
        say(f"\n{each.mutant.file}:{each.mutant.line} is listed as equivalent, and was noticed")
    say("\n" + ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict))
    say(f"taken off as equivalent: {len(tried) - len(counted)}")
    if counted:
        share = sum(each.noticed for each in counted) / len(counted)
        say(f"{share:.1%} noticed")
    if file:
        file.write_text(json.dumps([_as_json(each) for each in tried], indent=2) + "\n", "utf-8")


def _show(each: Tried) -> None:
    mutant = each.mutant
    say(f"\n{mutant.file}:{mutant.line} {mutant.within}: {mutant.operator}, {each.trial.verdict}")
    say(f"  - {_one_line(mutant.was)}\n  + {_one_line(mutant.becomes)}")
    for file, tests in Counter(name.partition("::")[0] for name in each.asked).items():
        say(f"    {tests} of {file}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _as_json(each: Tried) -> dict[str, object]:
    mutant = asdict(each.mutant)
    kept = ("file", "line", "within", "operator", "was", "becomes")
    return {name: mutant[name] for name in kept} | {
        "verdict": each.trial.verdict,
        "noticed_by": each.trial.by,
        "asked": each.asked,
        "equivalent": each.equivalent,
    }


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr] # a real stream here
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the database server ends, too
    sys.exit(main(sys.argv[1:]))
