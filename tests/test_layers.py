"""Who may import whom, and who owns which library and system call.

The table is the architecture: rank by rank, a module may import modules of lower ranks only, and
a library is imported by its owners only. A new module is added to the table first.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Each line is a rank: its modules import from the lines above, never from beside or below.
RULES = (
    ("rules.errors",),
    ("rules.language", "rules.language.document"),
    ("rules.selectors", "rules.conditions", "rules.charsets"),
    ("rules.values",),
    ("rules.tables", "rules.tables.*", "rules.pseudonyms", "rules.elements"),
    ("rules.text", "rules.text.wording"),
    ("rules.regions", "rules.identity", "rules.options", "rules.resolution"),
    ("rules.profile", "rules.text.numbers", "rules.text.spelled_dates", "rules.text.titles"),
    ("rules.text.own_words", "rules.text.excision"),
    ("rules.profiles", "rules.language.shapes"),
    ("rules.language.lookup_tables", "rules.language.places"),
    ("rules.language.calls",),
    ("rules.language.readings",),
    ("rules.language.region_rules", "rules.language.tuning"),
    ("rules.language.schema",),
    ("rules.operators", "rules.filemeta", "rules.repair", "rules.transfer"),
    ("rules.fitting", "rules.blanking", "rules.targets", "rules.jpeg_lossless"),
    ("rules.decoding",),
    ("rules.encoding",),
    ("rules.pixel_results",),
    ("rules.pixels", "rules.transcoding"),
    ("rules.functions", "rules.dates", "rules.descriptors", "rules.private"),
    ("rules.plan", "rules.marks", "rules.dummies", "rules.cleaners", "rules.digest"),
    ("rules.replacing", "rules.safe_entries", "rules.content_values", "rules.blocks"),
    ("rules.base", "rules.content", "rules.reservations"),
    ("rules.nodes", "rules.item_plans"),
    ("rules.explanation",),
    ("rules.compiler", "rules.walk", "rules.pixeldata", "rules.report"),
    ("rules.framing", "rules.held", "rules.widening", "rules.restating", "rules.derived"),
    ("rules.recoding",),
    ("rules.rewriting",),
    ("rules.body",),
    ("rules.deidentify",),
    ("rules.requests.faults", "rules.requests.levels", "rules.requests.renaming"),
    ("rules.requests.fields", "rules.requests.tags"),
    ("rules.requests.held", "rules.requests.options", "rules.requests.modules"),
    ("rules.requests.edits", "rules.requests.moving"),
    ("rules.requests.readings",),
    ("rules.requests.modification",),
    ("rules.requests.plans",),
    ("rules.requests",),
    ("rules",),
)
SCP = (
    ("scp",),  # the version only
    (
        *("scp.errors", "scp.instance", "scp.limits", "scp.group_commit", "scp.lookups"),
        *("scp.patience", "scp.process", "scp.ending", "scp.binding"),
    ),
    ("scp.archive", "scp.archive.identifiers", "scp.archive.catalogue_tables"),
    ("scp.archive.resources", "scp.archive.main_tags"),
    ("scp.routes", "scp.config_shapes", "scp.places"),
    ("scp.settings", "scp.config_values"),
    ("scp.loops",),
    ("scp.tls",),
    ("scp.status", "scp.config", "scp.part10", "scp.notify", "scp.logs", "scp.reload"),
    ("scp.wire", "scp.dimse", "scp.journal_schema", "scp.disk", "scp.watchdog", "scp.rulebook"),
    ("scp.room", "scp.journal_log"),
    ("scp.spool_folder",),
    ("scp.negotiation", "scp.spool", "scp.journal"),
    ("scp.continuity", "scp.quarantine"),
    ("scp.archive.catalogue_schema", "scp.settling", "scp.dialling", "scp.recovery"),
    ("scp.keeper", "scp.parts"),
    (
        *("scp.archive.catalogue_writing", "scp.archive.catalogue_surroundings"),
        *("scp.delivery_notes", "scp.scrub"),
    ),
    ("scp.archive.catalogue",),
    ("scp.archive.tag_names", "scp.archive.matching", "scp.archive.zipped"),
    ("scp.archive.reading", "scp.archive.tag_json"),
    ("scp.archive.attributes", "scp.archive.content", "scp.archive.packed"),
    ("scp.service", "scp.sender", "scp.preview", "scp.key", "scp.images", "scp.pixel_worker"),
    ("scp.archive.sending", "scp.archive.creating", "scp.archive.first_frame"),
    ("scp.proof", "scp.proof.leaves", "scp.proof.matching", "scp.proof.dciodvfy"),
    ("scp.proof.second_reader",),
    ("scp.proof.traces", "scp.proof.conformity"),
    ("scp.proof.judging", "scp.proof.pairing"),
    ("scp.proof.unchanged", "scp.proof.references", "scp.proof.search"),
    ("scp.proof.verification", "scp.provenance", "scp.candidates"),
    ("scp.transport", "scp.bulk_files", "scp.bulk_send", "scp.worker"),
    ("scp.ingest", "scp.admission", "scp.listener", "scp.forwarder"),
    ("scp.archive.job", "scp.archive.side_by_side"),
    ("scp.archive.modifier", "scp.archive.patients", "scp.archive.sources"),
    ("scp.archive.job_store", "scp.archive.job_errors", "scp.archive.job_stock"),
    ("scp.archive.recipe", "scp.archive.facts", "scp.archive.ledger"),
    ("scp.archive.rewriter_talk",),
    ("scp.archive.rewriter", "scp.archive.rewriters"),
    ("scp.archive.rewriter_start",),
    ("scp.archive.lanes",),
    ("scp.archive.rewriting",),
    (
        *("scp.archive.modification_job", "scp.archive.split_job", "scp.archive.merge_job"),
        "scp.archive.store_job",
    ),
    ("scp.archive.job_kinds",),
    ("scp.archive.jobs",),
    ("scp.api", "scp.api.answers", "scp.api.credentials", "scp.api.services"),
    ("scp.api.errors", "scp.api.parameters"),
    ("scp.api.trials", "scp.api.waiting"),
    ("scp.api.bodies", "scp.api.guard", "scp.api.details", "scp.api.documents"),
    ("scp.api.stored", "scp.api.uploads"),
    ("scp.api.previews",),
    ("scp.api.instances", "scp.api.tags", "scp.api.find", "scp.api.create"),
    ("scp.api.jobs", "scp.api.downloads"),
    (
        *("scp.api.system", "scp.api.resources", "scp.api.changes", "scp.api.modify"),
        "scp.api.modalities",
    ),
    ("scp.api.app",),
    ("scp.api.server",),
    ("scp.api.rest",),
    ("scp.node",),
    ("scp.cli.options",),
    ("scp.cli.screen", "scp.cli.orders", "scp.cli.reloading"),
    ("scp.cli.files", "scp.cli.store", "scp.cli.study_rules", "scp.cli.serve", "scp.cli.demo"),
    ("scp.cli.proof", "scp.cli.identify", "scp.cli.passwords"),
    ("scp.cli.app",),
    ("scp.cli",),
)
# Who may import a library, call a function or use a name; what stands in no line is free.
OWNERS = {
    "yaml": {"rules.language.document"},
    "pydantic": {"rules.language.shapes", "rules.language.schema", "scp.config_shapes"},
    "sqlalchemy": {
        *("scp.journal", "scp.journal_schema", "scp.archive.catalogue*"),
        "scp.archive.job_store",
    },
    "structlog": {"scp.logs"},
    "xxhash": {"scp.spool"},
    "numpy": {
        *("rules.decoding", "rules.encoding", "rules.jpeg_lossless", "scp.images"),
    },
    "PIL": {"rules.encoding", "scp.images"},
    "jpeg_ls": set(),
    "typer": {"scp.cli", "scp.cli.*"},
    "rich": {"scp.cli", "scp.cli.*"},
    "pynetdicom": {"scp.negotiation"},
    "fastapi": {"scp.api.*"},
    "starlette": {"scp.api.*"},
    "anyio": {"scp.api.*"},
    "uvicorn": {"scp.api.server"},
    "threading.Thread": {
        *("scp.keeper", "scp.listener", "scp.forwarder", "scp.api.server", "scp.ending"),
        "scp.scrub",
        *("scp.archive.jobs", "scp.archive.side_by_side", "scp.archive.lanes"),
        *("scp.archive.rewriter", "scp.archive.rewriter_start", "scp.archive.rewriters"),
    },
    "concurrent": {"scp.bulk_files", "scp.proof.dciodvfy"},
    "multiprocessing": {"scp.bulk_files", "scp.pixel_worker"},
    "asyncio": {"scp.api.server", "scp.api.waiting"},
    "ssl": {"scp.tls"},
    "pickle": set(),
    "resource": {"scp.pixel_worker", "scp.process"},
    "ctypes": {"scp.process"},
    "subprocess": {"scp.pixel_worker", "scp.proof.dciodvfy", "scp.archive.rewriters"},
    "tempfile": {"scp.cli.demo"},  # the demonstration makes its instances up
    "os.fsync": {"scp.disk"},
    "os.fdatasync": {"scp.disk"},
    "os._exit": {"scp.cli", "scp.cli.*", "scp.archive.rewriter"},
    "sys.exit": {"scp.cli", "scp.cli.*"},
    "print": {"scp.cli", "scp.cli.*"},
    "eval": set(),
    "exec": set(),
}
"""`tempfile`, `pickle` and their like have no owner: nothing identifiable may take that way."""

# The rules turn bytes into bytes: no network, no threads, no clock, no files but their tables.
IMPURE = {
    *("asyncio", "concurrent", "datetime", "importlib", "multiprocessing", "os", "pathlib"),
    *(
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "tempfile",
    ),
    *("threading", "time", "uuid"),
}
IMPURE_CALLS = {"open", "input", "print", "io.open"}
TABLES = ("rules.tables", "rules.tables.*")
READS_ITS_OWN_FILES = (*TABLES, "rules.profiles", "rules")


@dataclass(frozen=True, slots=True)
class Module:
    """What a source file imports and uses."""

    name: str
    imports: frozenset[str] = field(default_factory=frozenset)
    uses: frozenset[str] = field(default_factory=frozenset)


def module_name(path: Path) -> str:
    """`scp/cli.py` is `scp.cli`; `scp/__init__.py` is `scp`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(path: Path) -> Module:
    """Parse a file; imports for type checking count as imports."""
    name = module_name(path)
    imports: set[str] = set()
    uses: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports.update(imported(node, name, is_package=path.name == "__init__.py"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            uses.add(node.func.id)
    return Module(name, frozenset(imports), frozenset(uses))


def imported(node: ast.ImportFrom, importer: str, *, is_package: bool) -> set[str]:
    """The modules and names that `from ... import ...` takes, in full."""
    source = node.module or ""
    if node.level:
        parents = importer.split(".")
        keep = len(parents) - node.level + (1 if is_package else 0)
        source = ".".join([*parents[:keep], *([source] if source else [])])
    return {f"{source}.{alias.name}" for alias in node.names}


@cache
def modules() -> dict[str, Module]:
    """Every module of both packages by its name."""
    paths = [path for package in ("rules", "scp") for path in (ROOT / package).rglob("*.py")]
    return {module.name: module for module in map(read, sorted(paths))}


def rank(name: str) -> int | None:
    """The line of the table in which a module stands."""
    for ranks in (RULES, SCP):
        for number, patterns in enumerate(ranks):
            if matches(name, patterns):
                return number
    return None


def matches(name: str, patterns: tuple[str, ...] | set[str]) -> bool:
    """Whether a module is one of those named."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def module_of(target: str) -> str | None:
    """The module of ours that an import reaches: `rules.errors.Mark` is `rules.errors`."""
    while target:
        if target in modules():
            return target
        target = target.rpartition(".")[0]
    return None


def ours(module: Module) -> set[str]:
    """The modules of both packages that a module imports."""
    reached = {module_of(target) for target in module.imports}
    return {name for name in reached if name and name != module.name}


def test_every_module_stands_in_the_table() -> None:
    """A new module has its place in the architecture before it is merged."""
    homeless = [name for name in modules() if rank(name) is None]
    assert homeless == [], f"add them to RULES or SCP in {Path(__file__).name}"


def upwards(name: str) -> list[str]:
    """What a module imports although it stands above."""
    own_rank = rank(name) or 0
    return [
        other
        for other in ours(modules()[name])
        if other.partition(".")[0] == name.partition(".")[0]
        and (rank(other) or 0) >= own_rank
        and not (matches(name, TABLES) and matches(other, TABLES))
    ]


def test_imports_go_downwards_only() -> None:
    """What stands above may be replaced without touching what stands below."""
    assert {name: found for name in modules() if (found := upwards(name))} == {}


def test_the_rules_know_nothing_of_the_node() -> None:
    """The rules can be used, tested and read without a network."""
    reached = {
        name: ours(module) for name, module in modules().items() if name.startswith("rules")
    }
    assert [name for name, others in reached.items() if any(map(of_the_node, others))] == []


def of_the_node(name: str) -> bool:
    """Whether a module belongs to the node."""
    return name.partition(".")[0] == "scp"


def impure(name: str) -> set[str]:
    """What a module imports or calls of the world outside."""
    module = modules()[name]
    touched = {target.partition(".")[0] for target in module.imports} & IMPURE
    called = module.uses & IMPURE_CALLS
    if matches(name, READS_ITS_OWN_FILES):
        touched -= {"importlib", "pathlib"}
    return touched | called


def test_the_rules_are_pure() -> None:
    """Bytes in, bytes out: only the tables are read, and only by their readers."""
    found = {name: impure(name) for name in modules() if name.startswith("rules")}
    assert {name: touched for name, touched in found.items() if touched} == {}


def foreign(name: str) -> list[str]:
    """What a module uses although others own it."""
    module = modules()[name]
    taken = {
        subject
        for subject in OWNERS
        for target in module.imports | module.uses
        if target == subject or target.startswith(f"{subject}.")
    }

    return sorted(subject for subject in taken if not matches(name, OWNERS[subject]))


def test_a_library_has_one_owner() -> None:
    """A library can be replaced in one place, and a system call is made in one place."""
    assert {name: found for name in modules() if (found := foreign(name))} == {}


def test_a_module_is_named_for_what_it_does() -> None:
    """A drawer named utils is where a design ends."""
    drawers = {"utils", "util", "helpers", "common", "manager", "misc"}
    assert [name for name in modules() if set(name.split(".")) & drawers] == []


def test_third_party_imports_are_declared() -> None:
    """What the packages import is a dependency of the project, never a guest of another one."""
    declared = {
        *("pydantic", "pydicom", "pynetdicom", "yaml", "rich", "sqlalchemy", "structlog", "typer"),
        *("xxhash", "numpy", "PIL", "jpeg_ls", "fastapi", "starlette", "uvicorn", "anyio"),
    }
    imported = (target for module in modules().values() for target in module.imports)
    tops = {target.partition(".")[0] for target in imported}

    assert tops - declared - set(sys.stdlib_module_names) - {"rules", "scp"} == set()


def test_the_table_names_no_module_twice() -> None:
    """A module with two places would pass by the lower one."""
    named = [pattern for ranks in (RULES, SCP) for patterns in ranks for pattern in patterns]

    assert len(named) == len(set(named))
