"""Make examples/orders.csv: the orders of a web shop that does not exist. The same bytes on every run.

python examples/make_orders.py [FILE]
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ORDERS = 50_000
EXPORTED_TWICE = 0.004
"""Share of rows that the export wrote twice, as exports do."""

HEADER = (
    "order_id", "ordered_at", "shipped_on", "country", "city", "category", "product", "quantity", "unit_price",
    "discount", "total", "paid", "rating", "remark",
)  # fmt: skip

# Country, city, weight.
PLACES = (
    ("DE", "Köln", 18), ("DE", "Berlin", 22), ("FR", "Paris", 16), ("FR", "Saint-Étienne", 5), ("PL", "Łódź", 9),
    ("CZ", "Plzeň", 5), ("ES", "A Coruña", 6), ("PT", "São Brás de Alportel", 2), ("DK", "Aarhus", 6),
    ("SE", "Malmö", 7), ("GR", "Θεσσαλονίκη", 4), ("JP", "京都市", 5), ("IE", "Cork", 4),
    ("TR", "İzmir", 3), ("CH", "Zürich", 8),
)  # fmt: skip

# Category, product, price in cents, weight.
PRODUCTS = (
    ("kitchen", "Espresso cups, set of 4", 2490, 14),
    ("kitchen", "Chef's knife 20 cm", 5900, 8),
    ("kitchen", "Kettle 1.7 l", 3995, 10),
    ("office", "Monitor arm", 8900, 6),
    ("office", "Notebook A5, dotted", 1190, 24),
    ("office", 'Screen 27"', 23900, 5),
    ("garden", "Watering can 10 l", 1895, 9),
    ("garden", "Secateurs", 2750, 6),
    ("garden", "Hose 25 m, with reel", 4999, 4),
    ("toys", "Wooden train", 3450, 9),
    ("toys", "Jigsaw, 1,000 pieces", 1599, 12),
    ("books", "Atlas of islands", 2800, 5),
    ("books", "Bread, from scratch", 2400, 7),
    ("sale", "Mystery box", 500, 3),
)

REMARKS = (
    "gift wrap, please", "leave at the back door", "call on arrival\nring twice", 'write "fragile" on the box',
    "livraison après 18 h", "bitte nicht knicken", "🎁",
)  # fmt: skip


class Dice:
    """Draws from ``random()`` alone, the one generator whose sequence Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def below(self, number: int) -> int:
        return int(self._random() * number)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]


def orders(dice: Dice) -> Iterator[tuple[str, ...]]:
    """Yield the rows, oldest first; every so often one of them twice."""
    places = [(country, city) for country, city, weight in PLACES for _ in range(weight)]
    products = [(category, name, cents) for category, name, cents, weight in PRODUCTS for _ in range(weight)]
    at = datetime(2024, 1, 1, 0, 3)  # noqa: DTZ001 - the shop's own clock
    for number in range(ORDERS):
        at += timedelta(seconds=dice.below(2 * 17 * 60))
        country, city = dice.pick(places)
        category, product, cents = dice.pick(products)
        quantity = 1 if dice.chance(0.62) else 1 + dice.below(9)
        price = cents * (100 + dice.below(13)) // 100
        percent = dice.pick((5, 10, 10, 20)) if dice.chance(0.18) else 0
        shipped = dice.chance(0.93)
        row = (
            str(1_000_001 + number),
            at.isoformat(timespec="seconds"),
            (at + timedelta(days=1 + dice.below(6))).date().isoformat() if shipped else "",
            country,
            city,
            category,
            product,
            str(quantity),
            _euros(price),
            f"0.{percent:02}" if percent else "",
            _euros(quantity * price * (100 - percent) // 100),
            "true" if shipped or dice.chance(0.6) else "false",
            str(5 - min(dice.below(6), dice.below(5))) if shipped and dice.chance(0.3) else "",
            dice.pick(REMARKS) if dice.chance(0.03) else "",
        )
        yield row
        if dice.chance(EXPORTED_TWICE):
            yield row


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def write(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(orders(Dice(seed=2024)))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("orders.csv"))
