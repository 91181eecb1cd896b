"""The verdict, for people and for machines."""

import json
import math
from dataclasses import asdict
from typing import Any

from dev.say import say
from dev.soak.ledger import Ledger
from dev.soak.plan import Plan
from dev.soak.settle import LISTED, Verdict
from dev.soak.trouble import Trouble


def report(
    plan: Plan, ledger: Ledger, trouble: Trouble, verdict: Verdict, seconds: float
) -> dict[str, Any]:
    acknowledged = [entry.seconds for entry in ledger.entries.values()]
    return {
        "seed": plan.seed,
        "plan": {**asdict(plan), "report": str(plan.report or ""), "database_url": _kind(plan)},
        "seconds": round(seconds, 1),
        "acknowledged": len(ledger.entries),
        **{state: verdict.states[state] for state in STATES},
        "lost": len(verdict.lost),
        "stuck": len(verdict.stuck),
        "wrong": len(verdict.wrong),
        "orphans_on_volume": len(verdict.volume_orphans),
        "orphans_in_bucket": len(verdict.bucket_orphans),
        "unanswered": verdict.unanswered,
        "retried": verdict.retried,
        "settled_after_seconds": round(verdict.settled_after, 1),
        "acknowledgement_seconds": _percentiles(acknowledged),
        "stored_seconds": _percentiles(verdict.stored_after),
        "kills": dict(trouble.kills),
        "killed": trouble.kills.total(),
        "faults": dict(trouble.faults),
        "clients": dict(ledger.clients),
        "details": {
            name: getattr(verdict, name)[:LISTED]
            for name in ("lost", "stuck", "wrong", "volume_orphans", "bucket_orphans")
        },
        "kept_promise": not verdict.broken,
    }


STATES = ("stored", "replaced", "removed", "rejected", "failed", "aged")


def show(told: dict[str, Any]) -> None:
    names = ("acknowledged", *STATES, "lost", "stuck", "wrong")
    for name in (*names, "orphans_on_volume", "orphans_in_bucket"):
        say(f"{name.replace('_', ' '):20} {told[name]:>7}")
    for name, what in (
        ("acknowledgement_seconds", "until acknowledged"),
        ("stored_seconds", "from then to stored"),
    ):
        say(f"{what:20} {told[name]['p50']:>7.2f} s p50 {told[name]['p99']:>9.2f} s p99")
    for name in ("kills", "faults", "clients"):
        listed = ", ".join(f"{key} {count}" for key, count in sorted(told[name].items()))
        say(f"{name:20} {listed or 'none'}")
    for name, lines in told["details"].items():
        for line in lines:
            say(f"  {name}: {line}")
    verdict = "kept" if told["kept_promise"] else "BROKEN"
    say(f"promise {verdict}; seed {told['seed']}; {told['seconds']:.0f} s in all")


def write(told: dict[str, Any], plan: Plan) -> None:
    if plan.report:
        plan.report.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def _kind(plan: Plan) -> str:
    """Without the address, which may hold a password."""
    return (plan.database_url or "sqlite").partition("+")[0].partition(":")[0]


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 3)

    return {"p50": at(0.5), "p99": at(0.99), "max": round(ordered[-1], 3)}
