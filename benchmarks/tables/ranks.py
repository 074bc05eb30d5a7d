"""Mean ranks over tables, and the difference that two of them need (Demsar, JMLR 7, 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, studentized_range


@dataclass
class Ranks:
    models: list[str]
    mean: np.ndarray
    error: np.ndarray
    """Standard error of each mean rank, over tables."""
    p: float
    """p-value of Friedman's test of equal ranks."""
    critical: float
    """Mean ranks that are further apart differ, by Nemenyi's test at 0.05."""
    tables: int


def ranks(frame: pd.DataFrame, column: str) -> Ranks:
    """Ranks by `column` ("score": the largest is rank 1; else the smallest is); ties share their mean."""
    wide = frame.pivot(index=["table", "rows"], columns="model", values=column).dropna()
    values = wide.to_numpy()
    each = rankdata(-values if column == "score" else values, axis=1)
    n, k = values.shape
    p = float(friedmanchisquare(*each.T).pvalue) if k > 2 and n > 1 else float("nan")
    error = each.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(k, np.nan)
    return Ranks(list(wide.columns), each.mean(axis=0), error, p, critical_difference(k, n), n)


def critical_difference(k: int, n: int) -> float:
    """Nemenyi's, for k models on n tables: q sqrt(k (k + 1) / 6 n), q of the studentized range by sqrt(2)."""
    q = float(studentized_range.ppf(0.95, k, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))
