"""Makes the demo's events: ``python examples/make_events.py > queuekit/demo/events.jsonl``.

They look like Stripe's. All that a provider does to its clients is in them: deliveries repeated and out of order,
bodies malformed in a dozen ways, events that take several attempts, and some that never succeed. The last line is the
provider's own report of what it sent.
"""

import json
import random
import string
import sys
from typing import Any, Final, TypeAlias

CHARGES: Final = 250
START: Final = 1_767_225_600
DICE: Final = random.Random(2026)
TROUBLE: Final = ["timeout 1"] * 16 + ["timeout 2"] * 10 + ["timeout 3"] * 2
HOPELESS: Final = ["closed_account"] * 5 + ["timeout 9"] * 3
REPEATED: Final = 40

Event: TypeAlias = dict[str, Any]


def main() -> None:
    """Write all lines to stdout."""
    events = [event for number in range(CHARGES) for event in life(number)]
    troubled = DICE.sample(events, len(TROUBLE) + len(HOPELESS))
    for event, what in zip(troubled, TROUBLE + HOPELESS, strict=True):
        event["data"]["object"]["metadata"]["simulate"] = what
    arrivals = [(arrival(event), encoded(event)) for event in events]
    arrivals += [(arrival(event) + 90, encoded(event)) for event in DICE.sample(events, REPEATED)]
    arrivals += [(START + DICE.randrange(60 * CHARGES), body) for body in malformed(events[0])]
    deliveries = [body for _, body in sorted(arrivals)]
    given_up = troubled[len(TROUBLE) :]
    report = {
        "deliveries": len(deliveries),
        "events": len(events),
        "net": net([event for event in events if event not in given_up]),
    }
    for body in [*deliveries, encoded({"report": report})]:
        sys.stdout.buffer.write(body + b"\n")


def life(number: int) -> list[Event]:
    """The events of one charge: it succeeds, and some are refunded, in one or two parts."""
    at, amount = START + 60 * number, DICE.randrange(500, 25_000, 10)
    refunds = DICE.choices([[], [amount // 2], [amount // 2, amount]], [15, 3, 2])[0]
    charge = {
        "id": name("ch"),
        "object": "charge",
        "amount": amount,
        "currency": DICE.choice(["eur", "eur", "usd"]),
        "customer": name("cus"),
    }
    return [
        {
            "id": name("evt"),
            "object": "event",
            "type": "charge.refunded" if refunded else "charge.succeeded",
            "created": at + 40 * part,
            "data": {"object": {**charge, "amount_refunded": refunded, "metadata": {}}},
        }
        for part, refunded in enumerate([0, *refunds])
    ]


def arrival(event: Event) -> float:
    """When a delivery arrives: most in the order of their events, every eighth much later."""
    late = DICE.choice([0, 0, 0, 0, 0, 0, 0, 1_500])
    return float(event["created"] + DICE.randrange(5, 60) + late)


def malformed(good: Event) -> list[bytes]:
    """Bodies that are no events, made of a good one."""

    def changed(**fields: Any) -> bytes:
        return encoded({**good, "id": name("evt"), **fields})

    def charged(**fields: Any) -> bytes:
        return changed(data={"object": {**good["data"]["object"], **fields}})

    return [
        encoded(good)[:97],
        b"<html><body>502 Bad Gateway</body></html>",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe no text at all",
        changed(id=None),
        changed(id="evt_\0"),
        changed(type="charge.vanished"),
        changed(created="yesterday"),
        changed(data={}),
        charged(amount=-500),
        charged(amount="12.50"),
        charged(amount=19.99),
        charged(currency="doubloon"),
        charged(metadata=None),
    ]


def net(events: list[Event]) -> dict[str, int]:
    """What remains of all charges, in cents: by the last event of each, its amount less its refunds."""
    last = {charge["id"]: charge for event in events for charge in [event["data"]["object"]]}
    total: dict[str, int] = {}
    for charge in last.values():
        left = charge["amount"] - charge["amount_refunded"]
        total[charge["currency"]] = total.get(charge["currency"], 0) + left
    return dict(sorted(total.items()))


def name(prefix: str) -> str:
    """An id like Stripe's."""
    return f"{prefix}_{''.join(DICE.choices(string.ascii_lowercase + string.digits, k=16))}"


def encoded(value: object) -> bytes:
    """One line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
