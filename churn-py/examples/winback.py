"""The main job in Python: from an event log to a win-back plan and its journeys.

    python churn-py/examples/winback.py                                 # a simulated shop
    python churn-py/examples/winback.py FILE.csv --as-of 2011-12-10 --out PLAN.csv
    python churn-py/examples/winback.py FILE.csv.gz --column customer=CustomerID --kind buy=purchase
"""

import argparse
import pathlib
import sys
from datetime import timedelta

import churn


def progress_bar(step: str, done: int, total: int) -> None:
    """One line on the terminal that says what runs and how far it is."""
    if sys.stderr.isatty():
        end = "\n" if done == total else "\r"
        print(f"{step:<24}{100 * done // max(total, 1):>4} %", end=end, file=sys.stderr)


def pairs(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", nargs="?", help="CSV file, plain or gzip; none = a simulated shop")
    parser.add_argument("--as-of", help="default: the day after the last event")
    parser.add_argument("--out", help="write the plan here, one row per customer")
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=NAME")
    parser.add_argument("--kind", action="append", default=[], metavar="NAME=KIND")
    parser.add_argument("--negative", default="reject", choices=["reject", "drop", "refund"])
    parser.add_argument("--language", default="en", choices=["en", "zh"])
    args = parser.parse_args()

    # 1. Events: read, clean, put in order.
    if args.events is None:
        log = churn.Shop().open().log(progress=progress_bar)
    else:
        log = churn.EventLog.from_csv(
            args.events,
            names=pairs(args.column),
            kinds=pairs(args.kind),
            negative_value=args.negative,
            progress=progress_bar,
        )
    for reason, tally in log.report["dropped"].items():
        if tally["rows"]:
            print(f"dropped {tally['rows']} rows: {reason}, money {tally['money']:.2f}")

    # 2. Features, scores, segments, plan.
    result = churn.winback(log, args.as_of, progress=progress_bar)

    # 3. The first 90 days of the journeys that follow.
    first = result.plan.as_of.date()
    journeys = churn.replay(log, first, first + timedelta(days=90), progress=progress_bar)

    # 4. What a person wants to read.
    for segments in (result.rfm_segment, result.risk_tier):
        profile = segments.profile(result.features)
        columns = ["segment", "size", "share", "money", "mean_days_since_last"]
        print("  ".join(columns))
        for row in zip(*(profile.column(name) for name in columns)):
            print(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row), sep="  ")
        print()
    print(result.plan, end="\n\n")
    for customer in result.examples():
        print(result.story(customer, language=args.language), end="\n\n")

    print(f"Journeys from {first}")
    print(journeys.calendar(10), end="\n\n")

    # 5. What a machine wants to read.
    if args.out:
        pathlib.Path(args.out).write_bytes(result.plan_csv(language=args.language))
        print(f"Plan for {len(result.plan)} customers in {args.out}")


if __name__ == "__main__":
    main()
