"""The validators' dated scoring profiles: how the same results became a verdict and shares."""

from affine_trainer.scoring.outcomes import Outcomes as Outcomes
from affine_trainer.scoring.outcomes import decide as decide
from affine_trainer.scoring.outcomes import dominations as dominations
from affine_trainer.scoring.outcomes import enough_samples as enough_samples
from affine_trainer.scoring.outcomes import environment_sets as environment_sets
from affine_trainer.scoring.outcomes import outcomes as outcomes
from affine_trainer.scoring.outcomes import raw_interval as raw_interval
from affine_trainer.scoring.outcomes import required_samples as required_samples
from affine_trainer.scoring.profiles import DEFAULT_SCORING as DEFAULT_SCORING
from affine_trainer.scoring.profiles import SCORINGS as SCORINGS
from affine_trainer.scoring.profiles import Scoring as Scoring
from affine_trainer.scoring.profiles import scorings_named as scorings_named
from affine_trainer.scoring.shares import shares as shares
from affine_trainer.scoring.totals import Totals as Totals
from affine_trainer.scoring.totals import totals as totals
