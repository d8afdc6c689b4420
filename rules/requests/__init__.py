"""Bodies of Orthanc's anonymize, modify, split, merge and bulk -> plans; pure as the rules are.

A route reads a body (`read_anonymize`, `read_modify`, `read_split`, `read_merge`); whatever is
wrong with it is a `RequestFault`. A job says what it touches (`Touched`), settles the new names
(`renaming_of`, `renaming_of_move`) and compiles the plan (`plan_of`, `split_plan`, `merge_plan`).
"""

from rules.requests.faults import RequestFault, Status
from rules.requests.levels import Level
from rules.requests.modification import Modification, read_anonymize, read_modify, renaming_of
from rules.requests.modules import ModuleElements, module_elements
from rules.requests.moving import Merge, Split, read_merge, read_split, renaming_of_move
from rules.requests.options import JobOptions, read_job_options, read_level, read_resources
from rules.requests.plans import merge_plan, plan_of, split_plan
from rules.requests.renaming import NOTHING_RENAMED, Renaming, Touched

__all__ = [
    "NOTHING_RENAMED",
    "JobOptions",
    "Level",
    "Merge",
    "Modification",
    "ModuleElements",
    "Renaming",
    "RequestFault",
    "Split",
    "Status",
    "Touched",
    "merge_plan",
    "module_elements",
    "plan_of",
    "read_anonymize",
    "read_job_options",
    "read_level",
    "read_merge",
    "read_modify",
    "read_resources",
    "read_split",
    "renaming_of",
    "renaming_of_move",
    "split_plan",
]
