"""Writes log_v1.churn from ../events_load.json by docs/FORMAT.md alone, without the library.

    python witness.py            # compares
    python witness.py --write    # writes

A later version of the library writes a later version of the form, and must still read this file.
"""

import json
import struct
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent
KINDS = [
    "purchase", "refund", "view", "cart", "favourite", "share", "review", "interaction",
    "message_sent", "message_opened", "message_clicked", "message_answered", "ad_click",
    "service_contact", "complaint",
]
MONEY = {"purchase", "refund"}
MASK = 2**64 - 1
NONE8, NONE32, NONE64 = 2**8 - 1, 2**32 - 1, 2**64 - 1


def mix(state: int, word: int) -> int:
    product = ((state ^ word ^ 0x2D358DCCAA6C78A5) & MASK) * 0x9E3779B97F4A7C15
    return (product & MASK) ^ (product >> 64)


def fingerprint(order: str | None) -> int:
    """The order id of a row in the file."""
    if not order:
        return NONE64
    text, state = order.encode(), 0
    whole = len(text) - len(text) % 8
    for i in range(0, whole, 8):
        state = mix(state, int.from_bytes(text[i : i + 8], "little"))
    if rest := text[whole:]:
        state = mix(state, int.from_bytes(rest, "little") ^ (len(text) << 56 & MASK))
    state = mix(state, 0xFF)
    return min(state * 0x9E3779B97F4A7C15 & MASK, NONE64 - 1)


def sealed(header: bytes) -> bytes:
    header = header.ljust(60, b"\0")
    return header + struct.pack("<I", zlib.crc32(header))


def section(name: str, payload: bytes) -> bytes:
    header = sealed(name.encode().ljust(16, b"\0") + struct.pack("<Q", len(payload)))
    padded = payload.ljust((len(payload) + 8 + 63) // 64 * 64 - 4, b"\0")
    return header + padded + struct.pack("<I", zlib.crc32(padded))


def texts(name: str, names: str, ids: list[str]) -> list[bytes]:
    coded = [text.encode() for text in ids]
    ends = [0]
    for text in coded:
        ends.append(ends[-1] + len(text))
    return [section(name, pack("Q", ends)), section(names, b"".join(coded))]


def pack(form: str, cells: list) -> bytes:
    return struct.pack(f"<{len(cells)}{form}", *cells)


def value(event: tuple) -> float:
    return struct.unpack("<d", struct.pack("<Q", event[2]))[0]


def fixed(money: float) -> int:
    """Sums are kept in billionths."""
    return round(money * 1e9)


def build(inputs: dict) -> tuple[bytes, dict]:
    columns = {name: cells for name, cells in inputs["events"].items() if name != "time_unit"}
    rows = [dict(zip(columns, cells)) for cells in zip(*columns.values())]
    dropped = [row for row in rows if row["customer"] is None]
    rows = [row for row in rows if row["customer"] is not None]
    channels = sorted({row["channel"] for row in rows if row["channel"]})
    items = sorted({row["item"] for row in rows if row["item"] is not None})
    customers = sorted({row["customer"] for row in rows}, key=str.encode)

    events, lengths, copies = [], [], []
    orders, money = [], []
    for customer in customers:
        own = sorted(
            (
                row["time"] * 1_000_000,
                KINDS.index(row["kind"]) + 1,
                struct.unpack("<Q", struct.pack("<d", row["value"] or 0.0))[0]
                if row["kind"] in MONEY | {"view"}
                else 0,
                channels.index(row["channel"]) if row["channel"] else NONE8,
                fingerprint(row["order"]),
                items.index(row["item"]) if row["item"] is not None else NONE32,
            )
            for row in rows
            if row["customer"] == customer
        )
        kept, seen, loose = [], set(), None
        for event in own:
            if kept and kept[-1][:6] == event:
                copies.append(value(event) if KINDS[event[1] - 1] in MONEY else 0.0)
                continue
            opens = False
            if event[1] == 1:
                if event[4] == NONE64:
                    opens, loose = loose != event[0], event[0]
                else:
                    opens = event[4] not in seen
                    seen.add(event[4])
            kept.append((*event, opens))
        events += kept
        lengths.append(len(kept))
        orders.append(sum(event[6] for event in kept))
        money.append(sum(value(event) for event in kept if event[1] == 1))

    counts = [len(rows) + len(dropped), 0, len(events), 0, 0] + [0] * 9
    counts[5], counts[12] = len(dropped), len(copies)
    sums = [0] * 13
    sums[0] = sum(fixed(value(event)) for event in events if event[1] == 1)
    sums[1] = sum(fixed(value(event)) for event in events if event[1] == 2)
    sums[4] = sum(fixed(row["value"]) for row in dropped if row["kind"] in MONEY)
    sums[11] = sum(map(fixed, copies))
    words = [len(events), len(customers), 3, len(channels) + 1, 3, len(items), 1, *counts]
    for total in sums:
        words += [total & MASK, total >> 64 & MASK]

    settings = json.dumps(inputs["cleaning"], separators=(",", ":"), ensure_ascii=False)
    body = [section("log", pack("Q", words)), section("cleaning", settings.encode())]
    body += texts("customers", "customer texts", customers)
    body += texts("channels", "channel texts", channels)
    body.append(section("items", pack("q", items)))
    body.append(section("lengths", pack("I", lengths)))
    body.append(section("times", pack("q", [event[0] for event in events])))
    body.append(section("kinds", bytes(event[1] | 0x80 * event[6] for event in events)))
    body.append(section("values", pack("Q", [event[2] for event in events])))
    body.append(section("event channels", bytes(event[3] for event in events)))
    body.append(section("orders", pack("Q", [event[4] for event in events])))
    body.append(section("event items", pack("I", [event[5] for event in events])))
    total = 64 + sum(map(len, body))
    header = sealed(b"\x89CHURN\r\n" + struct.pack("<IIQ", 1, 1, total))
    expected = {
        "customers": customers,
        "columns": {"orders": orders, "total_value": money},
        "same_file": True,
    }
    return header + b"".join(body), expected


def main() -> None:
    golden = HERE.parent / "events_load.json"
    document = json.loads(golden.read_text())
    for case in document["cases"]:
        file, expected = build(case["inputs"])
        path = HERE / case["inputs"]["file"]
        if "--write" in sys.argv:
            path.write_bytes(file)
            case["expected"] = expected
            golden.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        assert path.read_bytes() == file, path
        assert case["expected"] == expected, golden
        print(f"{path.name}: {len(file)} bytes as docs/FORMAT.md says")


if __name__ == "__main__":
    main()
