"""Writes the golden files of retention, lifecycle over time and stickiness from their definitions.

Python's own zoneinfo tells the local days; nothing is shared with the library.
`python witness.py` compares, `python witness.py --write` writes.
"""

import json
import random
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
LENGTH = {"day": 1, "week": 7}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Calendar:
    def __init__(self, settings: dict):
        self.zone = ZoneInfo(settings.get("time_zone", "UTC"))
        self.period = settings.get("period", "week")
        self.week_start = DAYS.index(settings.get("week_start", "monday"))

    def first_day(self, day: date) -> date:
        match self.period:
            case "day":
                return day
            case "week":
                return day - timedelta(days=(day.weekday() - self.week_start) % 7)
        return day.replace(day=1)

    def next(self, day: date) -> date:
        if self.period == "month":
            return (day + timedelta(days=31)).replace(day=1)
        return day + timedelta(days=LENGTH[self.period])

    def of(self, time: datetime) -> date:
        return self.first_day(time.astimezone(self.zone).date())

    def start(self, day: date) -> datetime:
        """The first instant of a local day, looked for minute by minute around midnight."""
        guess = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=30)
        while guess.astimezone(self.zone).date() < day:
            guess += timedelta(minutes=15)
        return guess

    def periods(self, first: datetime, last: datetime) -> list[date]:
        listed = [self.of(first)]
        while listed[-1] < self.of(last):
            listed.append(self.next(listed[-1]))
        return listed


def events_of(inputs: dict) -> list[tuple[str, datetime, str]]:
    given = inputs["events"]
    as_of = instant(inputs["as_of"])
    kinds = given.get("kind", ["purchase"] * len(given["customer"]))
    rows = [
        (customer, datetime.fromtimestamp(time, UTC), kind)
        for customer, time, kind in zip(given["customer"], given["time"], kinds)
    ]
    return sorted((row for row in rows if row[1] < as_of), key=lambda row: row[1])


def counted(kinds: list[str] | None, kind: str) -> bool:
    return (kinds if kinds is not None else ["purchase"]) == [] or kind in (
        kinds if kinds is not None else ["purchase"]
    )


def retention(inputs: dict) -> dict:
    settings = inputs.get("retention", {})
    calendar, events, as_of = Calendar(settings), events_of(inputs), instant(inputs["as_of"])
    last = as_of - timedelta(microseconds=1)
    periods = calendar.periods(events[0][1], last)
    how = settings.get("retention", "n_day")
    if isinstance(how, dict):
        columns = [[0, 0], *how["bracket"]]
    else:
        columns = [[n, n] for n in range(settings.get("periods", 12) + 1)]
    rolling = settings.get("windows") == "rolling"
    length = timedelta(days=LENGTH.get(calendar.period, 0))

    members: dict[date, list[tuple[datetime, list[int]]]] = {period: [] for period in periods}
    for customer in {row[0] for row in events}:
        own = [row for row in events if row[0] == customer]
        starts: dict[date, datetime] = {}
        for _, time, kind in own:
            if counted(settings.get("start_kinds"), kind):
                starts.setdefault(calendar.of(time), time)
        if settings.get("cohorts", "first_time") == "first_time":
            starts = dict(list(starts.items())[:1])
        for cohort, began in starts.items():
            steps = []
            for _, time, kind in own:
                if counted(settings.get("return_kinds"), kind) and time >= began:
                    if rolling:
                        steps.append((time - began) // length)
                    else:
                        steps.append(periods.index(calendar.of(time)) - periods.index(cohort))
            members[cohort].append((began, steps))

    first = next(i for i, period in enumerate(periods) if members[period])
    if "since" in settings:
        first = periods.index(calendar.of(instant(settings["since"])))
    answer: dict = {
        "cohorts": [str(period) for period in periods[first:]],
        "sizes": [len(members[period]) for period in periods[first:]],
        "periods": columns,
        "retained": [],
        "complete": [],
    }
    for i in range(first, len(periods)):
        group = members[periods[i]]
        retained, complete = [], []
        over = calendar.start(calendar.next(periods[i])) <= as_of
        for a, b in columns:
            if a == 0:
                retained.append(len(group))
                complete.append(over)
                continue
            came = 0
            for _, steps in group:
                if how == "unbounded":
                    came += any(step >= a for step in steps)
                else:
                    came += any(a <= step <= b for step in steps)
            if rolling:
                begun = any(began + a * length < as_of for began, _ in group)
                done = bool(group) and all(began + (b + 1) * length <= as_of for began, _ in group)
            else:
                begun = i + a < len(periods)
                done = i + b < len(periods)
                if done:
                    done = calendar.start(calendar.next(periods[i + b])) <= as_of
            retained.append(came if begun else None)
            complete.append(begun and done)
        answer["retained"].append(retained)
        answer["complete"].append(complete)
    weighted, simple = [], []
    for j in range(len(columns)):
        rows = [
            (answer["retained"][i][j], answer["sizes"][i])
            for i in range(len(answer["sizes"]))
            if answer["complete"][i][j] and answer["sizes"][i]
        ]
        weighted.append(sum(r for r, _ in rows) / sum(n for _, n in rows) if rows else None)
        simple.append(sum(r / n for r, n in rows) / len(rows) if rows else None)
    return answer | {"weighted": weighted, "simple": simple}


def lifecycle(inputs: dict) -> dict:
    settings = inputs.get("lifecycle_over_time", {})
    calendar, events, as_of = Calendar(settings), events_of(inputs), instant(inputs["as_of"])
    periods = calendar.periods(events[0][1], as_of - timedelta(microseconds=1))
    names = ["new", "returning", "resurrecting", "dormant"]
    answer = {name: [0] * len(periods) for name in names}
    for customer in {row[0] for row in events}:
        own = [row for row in events if row[0] == customer]
        active = {calendar.of(t) for _, t, kind in own if counted(settings.get("kinds"), kind)}
        if settings.get("first_seen") == "active":
            born = min(active, default=None)
        else:
            born = calendar.of(own[0][1])
        for i, period in enumerate(periods):
            before = i > 0 and periods[i - 1] in active
            if period in active:
                state = "new" if period == born else "returning" if before else "resurrecting"
                answer[state][i] += 1
            elif before:
                answer["dormant"][i] += 1
    told = periods.index(calendar.of(instant(settings["since"]))) if "since" in settings else 0
    return {
        "periods": [str(period) for period in periods[told:]],
        **{name: counts[told:] for name, counts in answer.items()},
        "complete": [calendar.start(calendar.next(p)) <= as_of for p in periods[told:]],
    }


def stickiness(inputs: dict) -> dict:
    settings = inputs.get("stickiness", {})
    calendar, events, as_of = Calendar(settings), events_of(inputs), instant(inputs["as_of"])
    begin = instant(settings["since"]) if "since" in settings else events[0][1]
    periods = calendar.periods(begin, as_of - timedelta(microseconds=1))
    counts = [0] * len(periods)
    for customer in {row[0] for row in events}:
        active = {
            calendar.of(time)
            for who, time, kind in events
            if who == customer and counted(settings.get("kinds"), kind)
        } & set(periods)
        if active:
            counts[len(active) - 1] += 1
    total = sum(counts)
    mean = sum((k + 1) * n for k, n in enumerate(counts)) / (total * len(periods)) if total else None
    return {
        "customers": counts,
        "ratio": mean,
        "complete": calendar.start(calendar.next(periods[-1])) <= as_of,
    }


# ---- files -------------------------------------------------------------------------------------


def shop() -> dict:
    """Visits and purchases around two changes of the clock, some close to midnight."""
    draw = random.Random(20)
    rows = []
    for customer in ["ann", "bea", "cem", "dan", "eva", "fay", "gus", "hal", "ida", "jon"]:
        begin = instant("2021-02-15") + timedelta(days=draw.randrange(0, 45))
        for _ in range(draw.randrange(1, 9)):
            time = begin + timedelta(minutes=draw.randrange(0, 40 * 24 * 60))
            kind = draw.choice(["purchase", "purchase", "view"])
            rows.append((customer, int(time.timestamp()), kind))
    # 23:59 and 00:01 in New York, before and after its clock changes on 14 March.
    for text, who in [
        ("2021-03-14T04:59", "kim"),
        ("2021-03-14T05:01", "kim"),
        ("2021-03-15T03:59", "kim"),
        ("2021-03-15T04:01", "kim"),
    ]:
        rows.append((who, int(instant(text).timestamp()), "purchase"))
    draw.shuffle(rows)
    names = ["customer", "time", "kind"]
    return dict(zip(names, map(list, zip(*rows)))) | {"time_unit": "second"}


SHOP = shop()
NEW_YORK, INDIA = "America/New_York", "Asia/Kolkata"


def files() -> dict:
    daily = {"period": "day", "periods": 6}
    return {
        "retention.json": (
            "behavior.retention",
            retention,
            {"events": SHOP, "as_of": "2021-04-20T15:00:00"},
            [
                ("weeks, UTC", {}),
                ("days, New York", {"retention": daily | {"time_zone": NEW_YORK}}),
                (
                    "days, New York, rolling",
                    {"retention": daily | {"time_zone": NEW_YORK, "windows": "rolling"}},
                ),
                (
                    "weeks from Sunday, India, unbounded",
                    {
                        "retention": {
                            "time_zone": INDIA,
                            "week_start": "sunday",
                            "retention": "unbounded",
                            "periods": 5,
                        }
                    },
                ),
                (
                    "days in brackets, every start, visits count as coming back",
                    {
                        "retention": {
                            "period": "day",
                            "retention": {"bracket": [[1, 3], [4, 7], [8, 30]]},
                            "cohorts": "recurring",
                            "return_kinds": [],
                            "since": "2021-03-20T12:00:00",
                        }
                    },
                ),
                (
                    "months, views start",
                    {"retention": {"period": "month", "periods": 2, "start_kinds": ["view"]}},
                ),
                (
                    "weeks, recurring, rolling",
                    {"retention": {"cohorts": "recurring", "windows": "rolling", "periods": 4}},
                ),
            ],
        ),
        "lifecycle.json": (
            "behavior.lifecycle",
            lifecycle,
            {"events": SHOP, "as_of": "2021-04-20T15:00:00"},
            [
                ("weeks, UTC", {}),
                (
                    "days, New York",
                    {"lifecycle_over_time": {"period": "day", "time_zone": NEW_YORK}},
                ),
                (
                    "weeks from Saturday, all events",
                    {"lifecycle_over_time": {"week_start": "saturday", "kinds": []}},
                ),
                (
                    "months, new by purchase, told since March",
                    {
                        "lifecycle_over_time": {
                            "period": "month",
                            "first_seen": "active",
                            "since": "2021-03-10",
                        }
                    },
                ),
            ],
        ),
        "stickiness.json": (
            "behavior.stickiness",
            stickiness,
            {"events": SHOP, "as_of": "2021-04-20T15:00:00"},
            [
                ("weeks, UTC", {}),
                (
                    "days of April in India, all events",
                    {
                        "stickiness": {
                            "period": "day",
                            "time_zone": INDIA,
                            "kinds": [],
                            "since": "2021-04-01T00:00:00",
                        }
                    },
                ),
            ],
        ),
    }


def pretty(value: object, indent: int = 0) -> str:
    """JSON with lists of plain values on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not value or len(flat) + indent <= 100:
        return flat
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in items):
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, list):
        lines = [pad + pretty(item, indent + 2) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"
    lines = [f"{pad}{json.dumps(key)}: {pretty(item, indent + 2)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def main(write: bool) -> list[str]:
    wrong = []
    for name, (operation, answer, shared, cases) in files().items():
        made = {
            "operation": operation,
            "origin": {
                "kind": "independent",
                "source": "witness.py in this folder: the definitions, with Python's zoneinfo",
            },
            "inputs": shared,
            "cases": [
                {
                    "name": case,
                    "inputs": inputs,
                    "expected": answer(shared | inputs),
                    "tolerance": 1e-12,
                }
                for case, inputs in cases
            ],
        }
        path = HERE / name
        if write:
            path.write_text(pretty(made) + "\n", encoding="utf-8")
        elif json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(made)):
            wrong.append(f"{name}: differs")
    return wrong


if __name__ == "__main__":
    failures = main(write="--write" in sys.argv[1:])
    print("\n".join(failures) or "every independent answer is the same")
    sys.exit(bool(failures))
