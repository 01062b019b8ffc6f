"""Writes predictions.csv from the published confusion counts: one row a person, with made-up ids."""

from __future__ import annotations

import csv
from pathlib import Path

NEGATIVE, POSITIVE = "not_rearrested", "rearrested"

COUNTS = {
    "African-American": {"tn": 990, "fp": 805, "fn": 532, "tp": 1369},
    "Caucasian": {"tn": 1139, "fp": 349, "fn": 461, "tp": 505},
}
"""ProPublica, "How We Analyzed the COMPAS Recidivism Algorithm", 2016: two-year recidivism, low against
medium or high score."""

CELLS = {"tn": (NEGATIVE, NEGATIVE), "fp": (NEGATIVE, POSITIVE), "fn": (POSITIVE, NEGATIVE), "tp": (POSITIVE, POSITIVE)}


def write_table(path: Path) -> None:
    """Write the table: id, label (what happened), predicted (what the score said), race."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "label", "predicted", "race"])
        number = 0
        for race, counts in COUNTS.items():
            for cell, count in counts.items():
                for _ in range(count):
                    number += 1
                    writer.writerow([f"r{number:04d}", *CELLS[cell], race])


if __name__ == "__main__":
    write_table(Path(__file__).parent / "predictions.csv")
