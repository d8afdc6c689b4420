"""The rules in force: a configuration with its plans compiled, whole and unchangeable.

A reload puts one in the place of another, in one step. What was accepted before goes on by the
routes and plans it was accepted under, because it carries them with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules import compile_plan
from scp import __version__
from scp.instance import RuleSet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rules import Plan
    from rules.profile import Profile
    from scp.routes import Route
    from scp.settings import Config


@dataclass(frozen=True, slots=True)
class PinnedRoute:
    """What an association or an upload is received by, from its first instance to its last.

    Attributes:
        profile: Name of the profile.
        store: Whether an instance stays once every destination has it.
        forward: Names of destinations.
        plan: Of the profile, as it was at that moment.
    """

    profile: str
    store: bool
    forward: tuple[str, ...]
    plan: Plan = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A configuration, and a plan for each profile that something is received by.

    Attributes:
        plans: By name of the profile.
    """

    config: Config
    plans: Mapping[str, Plan] = field(repr=False)

    @classmethod
    def compiled(cls, config: Config, before: Rulebook | None = None) -> Rulebook:
        """Compile what a configuration uses.

        Args:
            config: What the file says.
            before: Rules whose plans stay where nothing about them has changed, with all that
                they have worked out meanwhile.

        Raises:
            DocumentError: a profile cannot be compiled.
        """
        used = {route.profile for route in config.routes}
        used |= {config.rest.profile} if config.rest else set()
        known = {plan.digest: plan for plan in before.plans.values()} if before else {}
        plans = {name: _plan(config, name) for name in sorted(used)}
        return cls(config, {name: known.get(plan.digest, plan) for name, plan in plans.items()})

    def pinned(self, route: Route, *, without: Collection[str] = ()) -> PinnedRoute:
        """What an association gets that takes a route of this configuration.

        Args:
            route: The route.
            without: Destinations of it that shall not get anything of this association.
        """
        forward = tuple(name for name in route.forward if name not in without)
        return PinnedRoute(route.profile, route.store, forward, self.plans[route.profile])

    def upload_route(self) -> PinnedRoute:
        """What an upload over REST gets: kept, and forwarded to nobody.

        Raises:
            KeyError: there is no REST API.
        """
        name = self.config.rest.profile if self.config.rest else ""
        return PinnedRoute(name, store=True, forward=(), plan=self.plans[name])

    def rule_sets(self) -> list[RuleSet]:
        """What the digests of the plans stand for."""
        return [_rule_set(plan, self.config.profiles[name]) for name, plan in self.plans.items()]

    def passing(self) -> Sequence[str]:
        """The profiles that let identities pass."""
        return [name for name in self.plans if self.config.profiles[name].passes_identity]


def _plan(config: Config, name: str) -> Plan:
    """The plan that was compiled while the file was checked, or a new one."""
    return config.plans.get(name) or compile_plan(config.profiles[name])


def _rule_set(plan: Plan, profile: Profile) -> RuleSet:
    return RuleSet(
        plan.digest, profile.name, profile.base, profile.edition, profile.options, __version__
    )
