"""What a table may claim: means with intervals, and paired comparisons with baselines.

The unit is the test task: the queries of one task are averaged first, because images of one scene are no independent
samples. All rows are measured on one fixed list of tasks, so rows are compared by their differences within tasks.
"""

from metai2i.statistics.intervals import (
    Estimate,
    bootstrap_mean,
    difference_interval,
    mean_interval,
    ratio_of_means,
)
from metai2i.statistics.power import smallest_p, tasks_needed
from metai2i.statistics.ranks import Ranks, mean_ranks
from metai2i.statistics.records import (
    BestGroupRecord,
    BestRecord,
    BudgetRecord,
    BySeedRecord,
    EstimateRecord,
    FactorLineRecord,
    FactorRecord,
    HalfPairRecord,
    HalfRecord,
    HalfRowRecord,
    HalvesRecord,
    LineRecord,
    MeanRecord,
    PairRecord,
    RankingRecord,
    SceneNumberRecord,
    SeedsRecord,
    SetLineRecord,
    SetsRecord,
    Summary,
    TradeOffRecord,
)
from metai2i.statistics.significance import ENOUGH, RowComparison, compare, holm, signed_rank_p, verdict
from metai2i.statistics.summary import baseline_of, baselines_in, compared_with, family, measure_of, summarise
from metai2i.statistics.values import Floats, Values, common_task_means, paired_task_means, task_means, values_by_task

__all__ = [
    "ENOUGH",
    "BestGroupRecord",
    "BestRecord",
    "BudgetRecord",
    "BySeedRecord",
    "Estimate",
    "EstimateRecord",
    "FactorLineRecord",
    "FactorRecord",
    "Floats",
    "HalfPairRecord",
    "HalfRecord",
    "HalfRowRecord",
    "HalvesRecord",
    "LineRecord",
    "MeanRecord",
    "PairRecord",
    "RankingRecord",
    "Ranks",
    "RowComparison",
    "SceneNumberRecord",
    "SeedsRecord",
    "SetLineRecord",
    "SetsRecord",
    "Summary",
    "TradeOffRecord",
    "Values",
    "baseline_of",
    "baselines_in",
    "bootstrap_mean",
    "common_task_means",
    "compare",
    "compared_with",
    "difference_interval",
    "family",
    "holm",
    "mean_interval",
    "mean_ranks",
    "measure_of",
    "paired_task_means",
    "ratio_of_means",
    "signed_rank_p",
    "smallest_p",
    "summarise",
    "task_means",
    "tasks_needed",
    "values_by_task",
    "verdict",
]
