"""The rules of de-identification: pure, bytes in and bytes out.

No socket, thread, clock or file but its own tables. `ready_made` and `parse_profile` give
a profile, `compile_plan` turns it into a plan, `Deidentifier` and `deidentify` apply that,
`explain` says why.
"""

from rules.compiler import compile_plan
from rules.deidentify import DEFAULT_LIMITS, Deidentifier, Limits, deidentify
from rules.errors import (
    DeidentificationError,
    DocumentError,
    InstanceRefused,
    Mark,
    Problem,
    Reason,
    RulesError,
)
from rules.language.schema import READY_MADE, parse_profile, ready_made
from rules.plan import Line, Plan, explain
from rules.pseudonyms import Pseudonyms
from rules.report import Report

__all__ = [
    "DEFAULT_LIMITS",
    "READY_MADE",
    "DeidentificationError",
    "Deidentifier",
    "DocumentError",
    "InstanceRefused",
    "Limits",
    "Line",
    "Mark",
    "Plan",
    "Problem",
    "Pseudonyms",
    "Reason",
    "Report",
    "RulesError",
    "compile_plan",
    "deidentify",
    "explain",
    "parse_profile",
    "ready_made",
]
