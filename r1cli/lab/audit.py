"""The audit: every attack on every genuine problem, and whether it pays.

An attack pays when its completion gets more than the control: what deserves as much, at the same
number of tokens. On an answer the control is the honest completion with a wrong answer; on a
program, with the program of another problem; on a shape, the golden text that is paid least; on a
penalty, the punished text itself, and an attack must escape a quarter of it. "Not applicable"
counts as 0, which is what it adds to a total. An attack that makes the reward raise or fail counts
as paying.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from r1cli.errors import R1Error, UsageError
from r1cli.lab import golden
from r1cli.lab.about import pays
from r1cli.lab.attacks import Attack, Instead, attacks
from r1cli.lab.problem import Kind, Problem, kind_of, problems
from r1cli.plugins import Plugins
from r1cli.registry import Entry
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Completion, Outcome

EXCESS = 0.01  # above the control
ESCAPED = 0.25  # the share of a penalty


@dataclass
class Finding:
    """One attack over all problems. `excess` is the most that it got above the control."""

    attack: str
    tried: int = 0
    pays: int = 0
    reward: float | None = None
    excess: float = 0.0
    seconds: float = 0.0
    broke: str = ""
    example: str = ""
    declared: str = ""

    @property
    def verdict(self) -> str:
        """Empty where the attack does not pay."""
        if not self.pays or self.broke:
            return self.broke
        return f"declared: {self.declared}" if self.declared else "PAYS"


@dataclass
class Audit:
    """All findings about one reward. `honest` is the mean that honest answers get."""

    reward: str
    kind: Kind
    problems: int
    honest: float
    findings: list[Finding] = field(default_factory=list)

    @property
    def paying(self) -> list[Finding]:
        """What pays and is not declared."""
        return [f for f in self.findings if f.broke or (f.pays and not f.declared)]

    def summary(self) -> dict[str, Any]:
        return {
            "reward": self.reward,
            "attacks_on": self.kind,
            "problems": self.problems,
            "honest": self.honest,
            "attacks": len(self.findings),
            "pay": len(self.paying),
            "declared": sum(f.pays > 0 for f in self.findings) - len(self.paying),
            "slowest_s": max(f.seconds for f in self.findings),
        }

    def rows(self, *, every: bool = False) -> list[dict[str, Any]]:
        """One row per attack that pays, or per attack."""
        return [
            {
                "reward": self.reward,
                "attack": f.attack,
                "pays": f"{f.pays} of {f.tried}",
                "got": f.reward,
                "above_control": f.excess,
                "seconds": f.seconds,
                "verdict": f.verdict,
            }
            for f in self.findings
            if f.pays or every
        ]


def audit(entry: Entry, plugins: Plugins, args: Mapping[str, Any] | None = None) -> Audit:
    """Attack one reward; `args` are those that its golden cases leave open.

    Raises UsageError where the golden cases give nothing to attack with.
    """
    cases = golden.given_args(golden.cases(entry), args or {})
    if not cases:
        raise UsageError(f"reward {entry.name!r} ships no golden cases, so it cannot be audited")
    kind = kind_of(entry, cases)
    asked = problems(entry, cases, kind)
    excused = pays(entry.load())
    with ExitStack() as stack:
        scorers = {
            key: stack.enter_context(
                Scorer(
                    [
                        bind_reward(
                            entry.qualified, args, plugins, where=f"golden/{entry.name}.jsonl"
                        )
                    ]
                )
            )
            for key, args in {json.dumps(p.args): p.args for p in asked}.items()
        }
        asked, honest = _genuine(asked, kind, scorers, entry.name)
        report = Audit(plugins["rewards"].name_of(entry), kind, len(asked), honest)
        for name, attack in attacks(kind).items():
            finding = Finding(name, declared=excused.get(name, excused.get("any", "")))
            for problem in asked:
                _try(finding, attack, problem, kind, scorers[json.dumps(problem.args)])
            if finding.tried:
                report.findings.append(finding)
    return report


def _genuine(
    asked: Sequence[Problem], kind: Kind, scorers: dict[str, Scorer], name: str
) -> tuple[list[Problem], float]:
    """The problems whose honest completion is told from the control, and the honest mean."""
    kept, paid = [], []
    for problem in asked:
        scorer = scorers[json.dumps(problem.args)]
        honest, control = _scored(problem, problem.honest, _control(problem, kind), scorer)
        if honest.value is None or control.value is None:
            continue
        if kind == "penalty" or honest.value > control.value:
            kept.append(problem)
            paid.append(honest.value)
    if not kept:
        raise UsageError(f"reward {name!r} pays its own honest answers no more than a wrong one")
    return kept, sum(paid) / len(paid)


def _try(finding: Finding, attack: Attack, problem: Problem, kind: Kind, scorer: Scorer) -> None:
    made = attack(problem)
    if made is None or made == problem.honest:
        return
    text, control = (
        (made.text, made.honest) if isinstance(made, Instead) else (made, _control(problem, kind))
    )
    started = time.perf_counter()
    broke = ""
    excess = deserves = 0.0
    try:
        got, deserved = _scored(problem, text, control, scorer)
    except R1Error as error:
        broke = f"raises: {error}"
    else:
        if deserved.value is None:
            return
        deserves = deserved.value
        if got.status == "failed":
            broke = f"fails: {got.reason}"
        else:
            value = got.value or 0.0
            excess = value - deserved.value
            finding.reward = value if finding.reward is None else max(value, finding.reward)
    finding.seconds = max(finding.seconds, time.perf_counter() - started)
    finding.tried += 1
    finding.broke = finding.broke or broke
    finding.excess = max(finding.excess, excess)
    limit = ESCAPED * abs(deserves) if kind == "penalty" else EXCESS
    if broke or excess > limit:
        finding.pays += 1
        finding.example = finding.example or text[-200:]


def _control(problem: Problem, kind: Kind) -> str:
    if kind == "penalty":
        return problem.honest
    return problem.declare(problem.decoys[0]) if kind in ("answer", "code") else problem.worst


def _scored(problem: Problem, text: str, control: str, scorer: Scorer) -> tuple[Outcome, Outcome]:
    """The outcomes of an attack and of its control, beside the honest answer in one group."""
    count = problem.honest.tokens or len(text) // 4 + 1
    pair = [Completion(text, tokens=count), Completion(control, tokens=count)]
    group = [problem.honest, *problem.others, *pair]
    columns = {name: [value] * len(group) for name, value in problem.columns.items()}
    [[*_, got, deserved]] = scorer.score(group, [problem.prompt] * len(group), columns)
    return got, deserved
