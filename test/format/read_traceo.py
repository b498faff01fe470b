#!/usr/bin/env python3
"""Reads a data directory of Traceo on which no server runs, from the FORMAT.md files alone: a stranger's reader, nothing of Traceo's code in it.

    read_traceo.py DATA [--tenant NAME] [--starts] [--exemplars] [--metadata] [--tiers]    samples in blocks, as `traceo export` prints them
    read_traceo.py DATA --log                                                    records of the log and what was sent in them

Every checksum of what is read is checked. Damage is said on standard error, exit code 1; a newer format is exit code 3.
Floats and native histograms are lines as docs/migrate.md has them; the flags add lines of starts, exemplars, metadata and windows of tiers.
"""

import argparse
import base64
import json
import math
import pathlib
import sqlite3
import sys

from block import Block, Series
from columns import STALE
from cursor import Damaged, TooNew, double_of, expect, expect_crc
from histograms import histogram_of_protobuf, protobuf_of_histogram
from manifest import Manifest
from segments import TYPES, read_log, refused_rows, sent

METADATA_TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")


class Tenant:
    """All blocks of one tenant, as its manifest has them: what answers of a server without heads are made of."""

    def __init__(self, folder, number):
        self.folder, self.number = pathlib.Path(folder), number
        path = self.folder / "tenants" / str(number) / "MANIFEST"
        self.manifest = Manifest(path.read_bytes(), f"tenants/{number}/MANIFEST") if path.exists() else None

    def blocks(self):
        """(row of the manifest, block), first stored first."""
        for row in sorted(self.manifest.blocks, key=lambda row: row.order) if self.manifest else []:
            yield row, self.block(row, 0)

    def block(self, row, tier_ms):
        name = f"objects/{self.number}/{row.name}"
        data = (self.folder / name).read_bytes()
        expect(len(data) == row.bytes, f"{name}: {len(data)} bytes, the manifest states {row.bytes}")
        expect_crc(data, row.crc, name)
        block = Block(data, name)
        stated = row.earliest, row.latest, row.series, row.samples
        found = tuple(block.totals[total] for total in ("earliest", "latest", "series", "samples"))
        expect(stated == found, f"{name}: earliest, latest, series, samples are {found}, the manifest states {stated}")
        expect(block.tier_ms == tier_ms, f"{name}: windows of {block.tier_ms} ms, the manifest states {tier_ms}")
        return block

    def tiers(self):
        """(day, length of a window, [(labels, {end: window})]): without the windows that deletes touch."""
        for (day, length_ms), rows in self.manifest.tiers_by_day().items() if self.manifest else []:
            found = []
            for row in rows:
                deletes = [delete for delete in self.manifest.deletes if row.number < delete.before]
                found += [(labels, windows_left(windows, length_ms, [delete for delete in deletes if delete.means(labels)]))
                          for labels, windows in self.block(row, length_ms).windows()]
            expect(len({tuple(sorted(labels.items())) for labels, _ in found}) == len(found), f"day {day}: a series is in two blocks of a tier")
            yield day, length_ms, found

    def series(self):
        """All of them by their labels; of two samples with one time that of the lower order stays."""
        merged = {}
        for row, block in self.blocks():
            deletes = [delete for delete in self.manifest.deletes if row.number < delete.before]
            for series in block.series():
                key = tuple(sorted(series.labels.items()))
                add_series(merged.setdefault(key, ({}, {}, {})), series, [delete for delete in deletes if delete.means(series.labels)])
        return [series_of(dict(key), *kinds) for key, kinds in sorted(merged.items()) if any(kinds)]

    def metadata(self):
        """{family: (type, help, unit)}; what was stored last counts."""
        return {family: (METADATA_TYPES[kind], help_text, unit) for _, block in self.blocks() for kind, family, help_text, unit in block.metadata()}


def windows_left(windows, length_ms, deletes):
    return {end_ms: window for end_ms, window in windows.items()
            if not any(delete.first_ms <= end_ms and delete.last_ms > end_ms - length_ms for delete in deletes)}


def add_series(kinds, series, deletes):
    """Of samples, of histograms and of exemplars with one time, what was stored first stays."""
    for kind, rows in zip(kinds, (series.samples, series.histograms, series.exemplars)):
        for row in rows:
            if not any(delete.first_ms <= row[0] <= delete.last_ms for delete in deletes):
                kind.setdefault(row[0], row)


def series_of(labels, *kinds):
    out = Series(labels)
    out.samples, histograms, out.exemplars = ([row for _, row in sorted(kind.items())] for kind in kinds)
    out.histograms = [(time_ms, row if isinstance(row, dict) else histogram_of_protobuf(row)) for time_ms, row in histograms]
    return out


def tenants(folder):
    """{name: Tenant} of a data directory."""
    with sqlite3.connect(f"file:{pathlib.Path(folder).absolute() / 'catalog.db'}?mode=ro", uri=True) as catalog:
        return {name: Tenant(folder, number) for number, name in catalog.execute("SELECT id, name FROM tenant ORDER BY id")}


# ---- Lines ----------------------------------------------------------------------------------------


def line(**parts):
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def number_of(bits):
    """A value in JSON, as /api/v1/export has it: null is the stale marker, and what JSON has no number for is a word."""
    value = double_of(bits)
    if bits == STALE:
        return None
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def shown(value):
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def sample_lines(series):
    if series.samples:
        yield line(metric=series.labels, values=[number_of(bits) for _, bits, _ in series.samples], timestamps=[row[0] for row in series.samples])
    if series.histograms:
        yield line(metric=series.labels, histograms=[[time_ms, histogram_text(histogram)] for time_ms, histogram in series.histograms])


def histogram_text(histogram):
    """Base64 of what remote write sends of it, but for its time, which stands before it."""
    return base64.b64encode(protobuf_of_histogram({**histogram, "time": 0})).decode()


def start_line(series):
    if any(start is not None for _, _, start in series.samples):
        yield line(metric=series.labels, starts=[start for _, _, start in series.samples], timestamps=[row[0] for row in series.samples])


def exemplar_line(series):
    if series.exemplars:
        yield line(metric=series.labels, exemplars=[[time_ms, number_of(bits), labels] for time_ms, (bits, labels) in series.exemplars])


def tenant_lines(tenant, options):
    for series in tenant.series():
        yield from sample_lines(series)
        if options.starts:
            yield from start_line(series)
        if options.exemplars:
            yield from exemplar_line(series)
    for _, length_ms, all_series in tenant.tiers():
        for labels, windows in all_series if options.tiers else []:
            yield line(metric=labels, tier=length_ms, windows=[[end_ms, {part: shown(value) for part, value in window.items()}] for end_ms, window in windows.items()])
    if options.metadata:
        for family, (kind, help_text, unit) in sorted(tenant.metadata().items()):
            yield line(family=family, type=kind, help=help_text, unit=unit)


def log_lines(folder):
    records, gaps = read_log(pathlib.Path(folder) / "log")
    for record in records:
        yield line(sequence=record.sequence, tenant=record.tenant, type=TYPES[record.type], arrival=record.arrival_ms, refused=refused_rows(record))
        for series in sent(record):
            yield from sample_lines(series)
            yield from start_line(series)
            yield from exemplar_line(series)
    for first, behind in gaps:
        yield line(lost=[first, behind - 1])


def print_lines(options):
    if options.log:
        lines = log_lines(options.data)
    else:
        found = tenants(options.data)
        if options.tenant not in found:
            raise SystemExit(f"read_traceo: there is no tenant {options.tenant} in {options.data}, only {', '.join(found)}")
        lines = tenant_lines(found[options.tenant], options)
    for text in lines:
        print(text)


def main():
    parser = argparse.ArgumentParser(description="Reads a data directory of Traceo on which no server runs.")
    parser.add_argument("data", help="the data directory")
    parser.add_argument("--tenant", default="default", help="whose blocks")
    parser.add_argument("--log", action="store_true", help="the log instead of the blocks")
    for kind in ("starts", "exemplars", "metadata", "tiers"):
        parser.add_argument("--" + kind, action="store_true", help=f"lines of {kind}, too")
    try:
        print_lines(parser.parse_args())
    except (Damaged, OSError) as fault:
        print(f"read_traceo: {fault}", file=sys.stderr)
        return 1
    except TooNew as fault:
        print(f"read_traceo: {fault}; a newer reader is needed", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
