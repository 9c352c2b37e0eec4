"""Intervals, paired tests and Pareto dominance: what turns grades into a verdict."""

from affine_trainer.stats.front import Front as Front
from affine_trainer.stats.front import pareto_front as pareto_front
from affine_trainer.stats.intervals import Interval as Interval
from affine_trainer.stats.intervals import bootstrap_interval as bootstrap_interval
from affine_trainer.stats.intervals import jeffreys_interval as jeffreys_interval
from affine_trainer.stats.intervals import macro_interval as macro_interval
from affine_trainer.stats.intervals import quantile_interval as quantile_interval
from affine_trainer.stats.paired import Difference as Difference
from affine_trainer.stats.paired import PairedCounts as PairedCounts
from affine_trainer.stats.paired import count_pairs as count_pairs
from affine_trainer.stats.paired import discordant_interval as discordant_interval
from affine_trainer.stats.paired import holm as holm
from affine_trainer.stats.paired import macro_difference as macro_difference
from affine_trainer.stats.paired import mcnemar_p as mcnemar_p
from affine_trainer.stats.paired import paired_difference as paired_difference
from affine_trainer.stats.pareto import Dominance as Dominance
from affine_trainer.stats.pareto import Verdict as Verdict
from affine_trainer.stats.pareto import dominance as dominance
from affine_trainer.stats.pareto import dominance_of_tails as dominance_of_tails
from affine_trainer.stats.pareto import further_tasks as further_tasks
from affine_trainer.stats.pareto import gap_tails as gap_tails
from affine_trainer.stats.pareto import pareto_verdict as pareto_verdict
from affine_trainer.stats.pareto import posterior_differences as posterior_differences
from affine_trainer.stats.pareto import probabilities_of_gap as probabilities_of_gap
from affine_trainer.stats.regression import Regression as Regression
from affine_trainer.stats.regression import regression as regression
