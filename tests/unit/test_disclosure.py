"""Disclosure control: what may leave the controlled zone, proven by laws rather than by examples."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_audit.errors import SoftwareError
from genai_audit.privacy.disclosure import SafeTable, add_totals, disclose

DIMS = ["month", "school"]
MONTHS = [date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)]
SCHOOLS = ["Arts", "Law", "Medicine", "Physics"]
SCHEMA = {"month": pl.Date, "school": pl.String, "person_count": pl.Int64, "event_count": pl.Int64}


def table(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def one(persons: int | None, events: int | None, **options: Any) -> tuple[Any, ...]:
    return disclose(table([(MONTHS[0], "Arts", persons, events)]), DIMS, **options).frame.row(0)[2:]


counts = st.one_of(st.none(), st.integers(0, 40))
tables = st.dictionaries(
    st.tuples(st.sampled_from(MONTHS), st.sampled_from(SCHOOLS)), st.tuples(counts, counts), min_size=1
).map(lambda cells: table([(*key, *value) for key, value in cells.items()]))


def with_totals(frame: pl.DataFrame, **options: Any) -> pl.DataFrame:
    shown = disclose(frame, DIMS, **options)
    for over in (["school"], ["month"], DIMS):
        shown = add_totals(shown, over)
    return shown.frame


@pytest.mark.parametrize(
    ("persons", "shown"),
    [(0, None), (1, None), (7, None), (8, 10), (9, 10), (10, 10), (12, 10), (13, 15), (17, 15), (18, 20)],
)
def test_small_counts_are_withheld_and_others_rounded_half_up(persons: int, shown: int | None) -> None:
    events = None if shown is None else 100
    assert one(persons, 100) == (shown, events, shown is None)


@pytest.mark.parametrize(("round_to", "count", "shown"), [(10, 15, 20), (10, 14, 10), (20, 8, 20), (1, 8, 8)])
def test_other_profiles_never_show_less_than_the_threshold(round_to: int, count: int, shown: int) -> None:
    assert one(count, 100, round_to=round_to)[0] == shown


def test_a_zero_and_few_events_are_withheld() -> None:
    assert one(0, 0) == (None, None, True)
    assert one(0, 30) == (None, None, True)
    assert one(12, None) == (10, None, False)
    assert one(12, 7) == (None, None, True)


@pytest.mark.parametrize(
    ("persons", "contributors", "shown"),
    [
        (None, None, (None, None, True)),  # 1,000 events can be one person's
        (None, 1, (None, None, True)),
        (None, 7, (None, None, True)),
        (None, 8, (None, 1000, False)),  # what stands for persons protects, and is not published
        (3, 40, (None, None, True)),  # known persons come first
        (12, 1, (10, 1000, False)),
    ],
)
def test_contributors_protect_where_persons_are_not_known(
    persons: int | None, contributors: int | None, shown: tuple[Any, ...]
) -> None:
    frame = table([(MONTHS[0], "Arts", persons, 1000)]).with_columns(
        pl.lit(contributors, pl.Int64).alias("contributor_count")
    )
    result = disclose(frame, DIMS, contributor_count="contributor_count").frame
    assert result.row(0)[2:] == shown
    assert "contributor_count" not in result.columns
    assert one(persons, 1000)[0] == shown[0]  # and never more without it


@pytest.mark.parametrize(
    ("top", "shown"), [((50, 75), 100), ((51, 60), None), ((40, 76), None), ((None, None), 100)]
)
def test_events_that_one_or_two_make_are_withheld(top: tuple[int, int], shown: int | None) -> None:
    frame = table([(MONTHS[0], "Arts", 20, 100)]).with_columns(
        pl.lit(top[0], pl.Int64).alias("top_one"), pl.lit(top[1], pl.Int64).alias("top_two")
    )
    row = disclose(frame, DIMS, top_events=("top_one", "top_two")).frame.row(0)
    assert row[2:] == (20, shown, shown is None)


def test_columns_types_and_order_are_fixed() -> None:
    rows = [
        (MONTHS[1], "Law", 9, 90),
        (MONTHS[0], "Physics", 30, 900),
        (MONTHS[0], None, 3, 9),
        (MONTHS[0], "Arts", 9, 9),
    ]
    frame = table(rows).with_columns(pl.lit("ps_1").alias("person_key"))
    shown = disclose(frame, DIMS).frame
    assert dict(shown.schema) == SCHEMA | {"is_suppressed": pl.Boolean}
    assert shown.select(DIMS).rows() == [
        (MONTHS[0], "Arts"), (MONTHS[0], "Physics"), (MONTHS[0], None), (MONTHS[1], "Law")
    ]  # fmt: skip
    narrow = frame.with_columns(
        pl.col("person_count").cast(pl.UInt32), pl.col("event_count").cast(pl.Decimal(38, 0))
    )
    assert disclose(narrow, DIMS).frame.equals(shown)
    assert disclose(frame.clear(), DIMS).frame.schema == shown.schema


def test_other_names_and_no_events() -> None:
    frame = table([(MONTHS[0], "Arts", 9, 70)]).rename({"person_count": "people"})
    assert disclose(frame, DIMS, "people", None).frame.row(0)[2:] == (10, None, False)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table([(MONTHS[0], "Arts", 9, 9), (MONTHS[0], "Arts", 9, 9)]), "occurs twice"),
        (table([(MONTHS[0], "Arts", -1, 9)]), "negative"),
        (table([(MONTHS[0], "Arts", 9, 9)]).with_columns(pl.lit(9.5).alias("person_count")), "integer"),
        (
            table([(MONTHS[0], "Arts", 9, 9)]).with_columns(pl.lit(Decimal("9.5")).alias("person_count")),
            "integer",
        ),
        (table([(MONTHS[0], "Arts", 9, 9)]).drop("school"), "missing"),
    ],
)
def test_a_frame_that_is_not_made_of_cells_is_refused(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(SoftwareError, match=words):
        disclose(frame, DIMS)


def test_a_safe_table_can_not_be_made_or_changed_by_hand() -> None:
    raw = table([(MONTHS[0], "Arts", 3, 9)])
    with pytest.raises(SoftwareError):
        SafeTable(("month",), raw, object())
    safe = disclose(raw, DIMS)
    with pytest.raises(ValueError, match="seal"):
        dataclasses.replace(safe, _frame=raw)
    with pytest.raises(dataclasses.FrozenInstanceError):
        safe.dims = ()  # type: ignore[misc]
    safe.frame.insert_column(0, pl.Series("person_key", ["ps_1"]))
    assert "person_key" not in safe.frame.columns


def test_totals_name_themselves_and_are_never_summed_again() -> None:
    rows = [(MONTHS[0], "Arts", 9, 90), (MONTHS[0], "Law", 3, 9), (MONTHS[1], "Law", 4, 9)]
    shown = with_totals(table(rows))
    totals = (
        shown.filter("is_total")
        .select("month", "school", "person_count", "event_count", "is_suppressed")
        .rows()
    )
    assert totals == [
        (MONTHS[0], "All", None, 90, False), (MONTHS[1], "All", None, None, True),
        (None, "All", None, 90, False), (None, "Arts", None, 90, False), (None, "Law", None, None, True),
    ]  # fmt: skip


def test_totals_that_make_no_sense_are_refused() -> None:
    safe = disclose(table([(MONTHS[0], "Arts", 9, 90)]), DIMS)
    for over in ([], ["faculty"]):
        with pytest.raises(SoftwareError, match="No dimension"):
            add_totals(safe, over)
    with pytest.raises(SoftwareError, match="already in the table"):
        add_totals(add_totals(safe, ["school"]), ["school"])


def test_a_school_called_all_is_not_taken_for_a_total() -> None:
    shown = add_totals(disclose(table([(MONTHS[0], "All", 9, 90)]), DIMS), ["school"]).frame
    assert shown["is_total"].to_list() == [False, True]


@settings(max_examples=40, deadline=None)
@given(tables)
def test_law_no_number_from_zero_to_seven_is_published(frame: pl.DataFrame) -> None:
    shown = with_totals(frame)
    for name in ("person_count", "event_count"):
        numbers = set(shown[name].drop_nulls())
        assert not numbers & set(range(8))
        assert all(number % 5 == 0 for number in numbers)


@settings(max_examples=40, deadline=None)
@given(tables)
def test_law_totals_are_the_sums_of_published_cells(frame: pl.DataFrame) -> None:
    shown = with_totals(frame)
    cells = shown.filter(~pl.col("is_total"))
    for total in shown.filter("is_total").iter_rows(named=True):
        part = cells
        if total["month"] is not None:
            part = part.filter(pl.col("month") == total["month"])
        if total["school"] != "All":
            part = part.filter(pl.col("school") == total["school"])
        numbers = part["event_count"].drop_nulls()
        assert total["event_count"] == (sum(numbers) if len(numbers) else None)
        assert total["person_count"] is None  # one person can be in several cells


@settings(max_examples=40, deadline=None)
@given(tables, st.data())
def test_law_what_is_withheld_leaves_no_trace_anywhere(frame: pl.DataFrame, data: st.DataObject) -> None:
    """Any other small count in a suppressed cell gives the very same output, totals included."""
    shown = with_totals(frame)
    hidden = shown.filter("is_suppressed", ~pl.col("is_total")).select(DIMS)
    small = st.tuples(st.integers(0, 7), st.integers(0, 1000))
    other = [(*cell, *data.draw(small)) for cell in hidden.rows()]
    changed = pl.concat([frame.join(hidden, on=DIMS, how="anti"), table(other)])
    assert with_totals(changed).equals(shown)


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(0, 1000))
def test_law_same_output_in_any_order_and_again(frame: pl.DataFrame, seed: int) -> None:
    shown = with_totals(frame)
    assert with_totals(frame.sample(fraction=1, shuffle=True, seed=seed)).equals(shown)
    assert with_totals(frame).equals(shown)
    assert shown.schema == with_totals(table([(MONTHS[0], "Arts", 9, 9)])).schema
