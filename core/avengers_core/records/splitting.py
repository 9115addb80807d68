"""Records to fit on and records to evaluate on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from avengers_core.common.ranges import check_number, check_one_of, check_seed
from avengers_core.records.loading import Source, as_records
from avengers_core.records.record import Records

DatasetExclusion = Literal["soft", "hard"]


class Split(NamedTuple):
    """Records to fit on and records to evaluate on."""

    train: Records
    test: Records


def split_records(
    records: Records | Source,
    train_ratio: float = 0.7,
    seed: int = 42,
    *,
    excluded_models: Iterable[str] = (),
    excluded_datasets: Iterable[str] = (),
    dataset_exclusion_mode: DatasetExclusion = "soft",
) -> Split:
    """Split every dataset at random in the same ratio, as the published code does.

    Datasets are taken in the order of their names. Each is permuted by a generator seeded afresh;
    its first ``n - floor(train_ratio * n)`` queries are for testing, the rest for fitting. A query
    that is repeated, as in logs, is on one side with all its records: who has seen it in fitting
    knows the answer.

    Args:
        records: what :func:`load_records` returns or takes.
        train_ratio: share of each dataset to fit on, in (0, 1).
        seed: of the permutations.
        excluded_models: models to leave out of both parts.
        excluded_datasets: datasets to leave out of testing ...
        dataset_exclusion_mode: ... and also out of fitting (``"hard"``), or not (``"soft"``).

    Raises:
        ValueError: ``train_ratio`` out of range, an unknown mode, or an excluded name that no
            record has.
    """
    records = as_records(records)
    check_number("train_ratio", train_ratio, 0, 1, inside="both")
    check_seed(seed)
    check_one_of("dataset_exclusion_mode", dataset_exclusion_mode, DatasetExclusion)
    left_out = known_names("dataset", excluded_datasets, records.datasets)
    if dropped := known_names("model", excluded_models, records.models):
        records = records.without_models(dropped)

    queries = [r.query for r in records]
    train, test = split_indices(queries, [r.dataset for r in records], train_ratio, seed)
    if left_out:
        excluded = [i for i, r in enumerate(records) if r.dataset in left_out]
        train = [i for i in train if records[i].dataset not in left_out]
        test = [i for i in test if records[i].dataset not in left_out]
        train += excluded if dataset_exclusion_mode == "soft" else []
    return Split(
        records.replace(records[i] for i in train), records.replace(records[i] for i in test)
    )


def split_indices(
    queries: Sequence[str], datasets: Sequence[str], train_ratio: float, seed: int
) -> tuple[list[int], list[int]]:
    """The rows to fit on and to test on, given each row's query and dataset.

    See :func:`split_records`.
    """
    rows_of: dict[str, list[int]] = {}
    for row, dataset in enumerate(datasets):
        rows_of.setdefault(dataset, []).append(row)
    for_test: dict[str, bool] = {}
    train: list[int] = []
    test: list[int] = []
    for _, rows in sorted(rows_of.items()):
        order = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows)).tolist()]
        new = list(dict.fromkeys(queries[i] for i in order if queries[i] not in for_test))
        n_test = len(new) - int(len(new) * train_ratio)
        for_test |= {query: place < n_test for place, query in enumerate(new)}
        test += [i for i in order if for_test[queries[i]]]
        train += [i for i in order if not for_test[queries[i]]]
    return train, test


def known_names(kind: str, wanted: Iterable[str], known: Sequence[str]) -> set[str]:
    """The names as a set; raises ValueError for one that no record has."""
    wanted = {wanted} if isinstance(wanted, str) else set(wanted)
    if unknown := sorted(wanted - set(known)):
        raise ValueError(f"no record has the {kind} {unknown}; there are {sorted(known)}")
    return wanted
