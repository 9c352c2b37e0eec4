"""How many continuations a state's Monte-Carlo value is made of, and what that plan costs and misses."""

from __future__ import annotations

from affine_trainer.config import RLConfig
from affine_trainer.errors import ConfigError
from affine_trainer.stats import StoppingPlan, fixed_plan, plan_at

RATES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def plan_of(rl: RLConfig) -> StoppingPlan:
    """The plan of `rl_training`: `vine_rollouts` always, or looks after each `min_rollouts`.

    What stops an adaptive plan is how often the environment's own predicate said success, whatever returns
    are paid: those may be shaped, and the value is their mean all the same.
    """
    if rl.adaptive_rollouts == "fixed":
        return fixed_plan(rl.vine_rollouts)
    return StoppingPlan.every(rl.min_rollouts, rl.max_rollouts, rl.target_ci_width, rl.ci_method, rl.ci_level)


def check_plan(rl: RLConfig) -> None:
    """ConfigError for an adaptive plan that can never stop early, unless `allow_full_rollouts` is set."""
    plan = plan_of(rl)
    if rl.adaptive_rollouts == "fixed" or rl.allow_full_rollouts or plan.can_stop_early:
        return
    if len(plan.looks) == 1:
        raise ConfigError(
            f"rl_training.min_rollouts = max_rollouts = {rl.max_rollouts} leaves nothing to adapt; "
            f"set adaptive_rollouts: fixed with vine_rollouts: {rl.max_rollouts}"
        )
    narrowest = min(plan.width(hits, look) for look in plan.looks[:-1] for hits in (0, look))
    raise ConfigError(
        f"rl_training.target_ci_width = {rl.target_ci_width:g} can never be reached before "
        f"max_rollouts = {rl.max_rollouts}: the narrowest {rl.ci_level:.0%} {rl.ci_method} interval before "
        f"that is {narrowest:.3f} wide, so every state would get {rl.max_rollouts} continuations. "
        f"Set target_ci_width to {narrowest + 0.005:.2f} or more, adaptive_rollouts: fixed with "
        f"vine_rollouts: {rl.max_rollouts}, or allow_full_rollouts: true to run it as it is"
    )


def plan_lines(rl: RLConfig) -> list[str]:
    """The plan in words and a table over success rates, for a person to read before a run starts."""
    plan = plan_of(rl)
    if rl.adaptive_rollouts == "fixed":
        error = plan_at(plan, 0.5).rmse
        return [f"{plan.most} continuations of every state; unbiased, standard error at most {error:.3f}"]
    label = {"adaptive": "unbiased", "adaptive_mle": "BIASED: the plain mean"}[rl.adaptive_rollouts]
    looks = ", ".join(map(str, plan.looks))
    lines = [
        f"{looks} continuations of a state, until the {plan.level:.0%} {plan.method} interval of its success "
        f"rate is at most {plan.target_width:g} wide; the value is {label}",
        "success rate   expected n  stops early     bias    RMSE  RMSE of as many, fixed",
    ]
    for at in (plan_at(plan, rate) for rate in RATES):
        biased = rl.adaptive_rollouts == "adaptive_mle"
        bias, rmse = (at.mle_bias, at.mle_rmse) if biased else (at.bias, at.rmse)
        lines.append(
            f"{at.rate:12.2f} {at.expected_trials:12.1f} {at.stops_early:12.0%} {round(bias, 4) + 0.0:+8.3f} "
            f"{rmse:7.3f} {at.fixed_rmse:23.3f}"
        )
    return lines
