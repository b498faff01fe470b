#!/usr/bin/env python3
"""Hostile input (RELIABILITY, section 5): whatever is sent, the answer is quick and names what is wrong, and nothing else changes.

    limits_test.py TRACEO [--only part]

Parts, each a function below: bodies, rows, lengths, http, idle, queries, answers, metadata, tenants, slow, replay, quota, orders, keys, plaintext. After every bad request a `Guard`
looks: a known series can be written and asked for, no series came or went, memory did not grow beyond a margin, the
answer took about a second at most. Bombs and broken messages are built here by hand, byte by byte.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import time
import urllib.parse

from hostile import (MB, Guard, Ingest, Slow, pairs, post, sample, snappy_bomb, snappy_repeated, talk, whole, zstd_block, zstd_bomb,
                     zstd_frame)
from traceo import WRITE_HEADERS, Server, Tap, binary, field, free_port, series, snappy, varint, write

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LENGTHS = [0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1]


# ---- Bodies -------------------------------------------------------------------------------------


def packed(encoding):
    return {**WRITE_HEADERS, "Content-Encoding": encoding}


def bodies(tap, guard):
    port = guard.server.port
    row = b"".join(series({"__name__": "never", "n": str(i)}, [(guard.at_ms, 1.0)]) for i in range(40))
    send = lambda body, headers=WRITE_HEADERS: lambda: post(port, body, headers)

    def cut(packer, encoding):
        full = packer(row)
        for length in sorted({1, 2, 3, 5, 8, 13, 21, len(full) // 4, len(full) // 2, len(full) - 8, len(full) - 2, len(full) - 1}):
            yield f"{encoding} cut at {length} of {len(full)}", send(full[:length], packed(encoding)), "snappy|gzip|zstd"

    guard.all_refused("bodies cut off anywhere are 400 and name their format",
                      [*cut(snappy, "snappy"), *cut(gzip.compress, "gzip"),
                       *cut(lambda b: zstd_frame([zstd_block(0, len(b), b, 1)], len(b)), "zstd")], 400)
    guard.all_refused("plain protobuf cut off anywhere is 400", [
        (f"protobuf cut at {length}", send(snappy(series({"__name__": "never", "n": "1"}, [(guard.at_ms, 1.0)])[:length])), "protobuf|label|name")
        for length in range(1, 40, 3)], 400)
    guard.refused("an empty body says what is missing", send(b""), 400, "snappy")
    guard.all_refused("encodings and types not known are 415 and named", [
        (str(headers), send(snappy(row), {**WRITE_HEADERS, **headers}), says) for headers, says in [
            ({"Content-Encoding": "br"}, "br"), ({"Content-Encoding": "gzip, snappy"}, "gzip, snappy"),
            ({"Content-Encoding": "snappy, snappy"}, "snappy"), ({"Content-Encoding": "x" * 5000}, "snappy"),
            ({"Content-Type": "application/json"}, "x-protobuf"), ({"Content-Type": "text/plain; charset=utf-8"}, "x-protobuf"),
            ({"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, "io.prometheus.write.v2.Request")]], 415)

    # Before the body is read: only the head is sent.
    head = "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n"
    only_head = lambda more: lambda: talk(port, (head + more + "\r\n\r\n").encode(), 5, whole)
    guard.all_refused("a body over the limit is 413 before it is sent", [
        (more, only_head(more), "HTTP_BODY_BYTES") for more in [
            f"Content-Length: {16 * MB + 1}", f"Content-Length: {1 << 40}", f"Content-Length: {(1 << 63) - 10}",
            f"Content-Length: {1 << 33}\r\nExpect: 100-continue"]], 413)
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    guard.refused("a chunked body over the limit is 413",
                  lambda: talk(port, (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk * 258, 10, whole), 413, "HTTP_BODY_BYTES",
                  margin=96 * MB)

    guard.all_refused("snappy that lies about its length is refused", [
        (f"states {stated}", send(varint(stated) + snappy(row)[2:]), "snappy|decompress") for stated in LENGTHS + [64 * MB, 64 * MB + 1]], [400, 413])
    guard.all_refused("snappy with wild elements is 400", [
        (piece.hex(), send(varint(100) + piece), "snappy") for piece in [
            b"\xfc\xff\xff\xff\xff", b"\xfc\xff\xff\xff\x7f", b"\xfe\x00\x00", b"\xff\xff\xff\xff\xff", b"\x01\x01", b"\x00a\xfe\x00\x00",
            b"\x00a" + b"\xfe\x02\x00"]], 400)
    ratio = "BODY_DECOMPRESSED_(RATIO|BYTES)"
    guard.all_refused("bombs are 413 and name the limit", [
        ("gzip 200 MiB", send(gzip.compress(bytes(200 * MB), 9), packed("gzip")), ratio),
        ("gzip in many members", send(gzip.compress(bytes(MB), 9) * 128, packed("gzip")), ratio),
        ("zstd 70 MiB", send(zstd_bomb(70), packed("zstd")), ratio),
        ("zstd that states 70 MiB", send(zstd_bomb(70, 70 * MB), packed("zstd")), ratio),
        ("zstd in many frames", send(zstd_bomb(1) * 70, packed("zstd")), ratio),
        ("zstd that states 2^63", send(zstd_bomb(1, 1 << 63), packed("zstd")), ratio),
        ("snappy 65 MiB", send(snappy_bomb(65)), ratio)], 413, margin=96 * MB)
    guard.all_refused("zstd with lies in its frame is refused", [
        ("a window of 2 TiB", send(b"\x28\xb5\x2f\xfd\x00\xff" + zstd_block(1, 100, b"\0", 1), packed("zstd")), "zstd"),
        ("a size stated too small", send(zstd_bomb(1, 10), packed("zstd")), "zstd"),
        ("a reserved block", send(zstd_frame([zstd_block(3, 10, b"", 1)]), packed("zstd")), "zstd"),
        ("a dictionary", send(b"\x28\xb5\x2f\xfd\x03\x68\x01\x02\x03\x04" + zstd_block(1, 100, b"\0", 1), packed("zstd")), "zstd"),
        ("a skippable frame that is cut", send(b"\x50\x2a\x4d\x18" + struct.pack("<I", 1 << 31), packed("zstd")), "")], 400)
    guard.all_refused("a body of countless empty parts does not take long", [
        ("empty gzip members", send(gzip.compress(b"") * 700_000, packed("gzip")), ""),
        ("empty zstd frames", send(zstd_frame([zstd_block(0, 0, b"", 1)], 0) * 1_000_000, packed("zstd")), ""),
        ("skippable zstd frames", send(zstd_frame([zstd_block(0, 0, b"", 1)], 0) + (b"\x50\x2a\x4d\x18" + bytes(4)) * 1_900_000, packed("zstd")), "")],
        [204, 400, 413], margin=80 * MB)
    # Two bytes on the wire, fifty in memory.
    label = field(1, field(1, b"__name__") + field(2, b"never"))
    many = 30 * MB
    inside = lambda piece: snappy_repeated(b"\x0a" + varint(len(label) + 2 * many) + label, piece, many)
    guard.all_refused("a body of countless empty rows is 413 and names the limit", [
        (what, send(body), "WRITE_BATCH_BYTES") for what, body in [
            ("short metadata", snappy_repeated(b"", b"\x1a\x03\x12\x01a", 12 * MB)), ("empty samples", inside(b"\x12\x00")),
            ("empty exemplars", inside(b"\x1a\x00")), ("empty histograms", inside(b"\x22\x00")),
            ("series of an empty sample", snappy_repeated(b"", b"\x0a\x02\x12\x00", many // 2))]], 413, margin=320 * MB)
    guard.refused("countless bad rows cost one message", send(snappy_repeated(b"", b"\x0a\x02\x12\x00", 1_600_000)), 400, "1600000 bad_labels|__name__",
                  margin=320 * MB)
    guard.all_refused("rows of nothing are nothing", [
        (what, send(snappy_repeated(b"", piece, many)), "") for what, piece in [("series", b"\x0a\x00"), ("metadata", b"\x1a\x00")]], 204, margin=80 * MB)


# ---- Rows ---------------------------------------------------------------------------------------


def rows(tap, guard):
    port, at_ms = guard.server.port, guard.at_ms
    name, now = (b"__name__", b"never"), sample(at_ms)
    many = lambda count: [name] + sorted((b"l%05d" % i, b"v") for i in range(count - 1))
    wrong = {
        "labels out of order": (pairs((b"b", b"1"), name) + now, "sorted"),
        "a label twice": (pairs(name, (b"a", b"1"), (b"a", b"2")) + now, "twice"),
        "__name__ twice": (pairs(name, name) + now, "twice"),
        "an empty label name": (pairs((b"", b"1"), name) + now, "no name"),
        "an empty label value": (pairs(name, (b"a", b"")) + now, "empty value"),
        "an empty metric name": (pairs((b"__name__", b"")) + now, "empty value"),
        "no __name__": (pairs((b"a", b"1")) + now, "__name__"),
        "no labels": (now, "__name__"),
        "a value that is not UTF-8": (pairs(name, (b"a", b"\xff\xfe")) + now, "UTF-8"),
        "a value with half a character": (pairs(name, (b"a", b"\xe2\x82")) + now, "UTF-8"),
        "a value with a surrogate": (pairs(name, (b"a", b"\xed\xa0\x80")) + now, "UTF-8"),
        "a name that is not UTF-8": (pairs(name, (b"a\xc0\x80", b"1")) + now, "UTF-8"),
        "41 labels": (pairs(*many(41)) + now, "SERIES_LABELS"),
        "10,000 labels": (pairs(*many(10_000)) + now, "SERIES_LABELS"),
        "a name of 257 bytes": (pairs(name, (b"a" * 257, b"1")) + now, "LABEL_NAME_BYTES"),
        "a value of 2049 bytes": (pairs(name, (b"a", b"1" * 2049)) + now, "LABEL_VALUE_BYTES"),
        "more than 8 KiB of labels": (pairs(name, *[(b"l%d" % i, b"v" * 2000) for i in range(5)]) + now, "SERIES_LABELS_BYTES"),
        "a label of another wire type": (pairs(name) + field(1, b"\x08\x01\x12\x01a") + now, "canonical"),
        "a label as a number": (b"\x08\x05" + now, "__name__"),
        "an unknown field in a label": (pairs(name) + field(1, field(1, b"a") + field(2, b"1") + field(3, b"x")) + now, "canonical"),
        "labels behind samples, twice": (pairs(name) + now + pairs(name), "twice"),
        "the year 1900": (pairs(name) + sample(-2208988800000), "SAMPLE_AGE_PAST_MS"),
        "the year 2200": (pairs(name) + sample(7258118400000), "SAMPLE_AGE_FUTURE_MS"),
        "INT64_MIN": (pairs(name) + sample(-(1 << 63)), "SAMPLE_AGE_PAST_MS"),
        "INT64_MAX": (pairs(name) + sample((1 << 63) - 1), "SAMPLE_AGE_FUTURE_MS"),
        "a time in nanoseconds": (pairs(name) + sample(at_ms * 1000_000), "clock and unit"),
        "a histogram in the year 2200": (pairs(name) + field(4, b"\x78" + varint(7258118400000)), "SAMPLE_AGE_FUTURE_MS"),
        "a histogram over its size": (pairs(name) + field(4, b"\x78" + varint(at_ms) + field(20, bytes(70_000))), "HISTOGRAM_BYTES"),
    }
    guard.all_refused("a wrong row is refused by name", [
        (what, lambda body=body: post(port, snappy(field(1, body)), WRITE_HEADERS), says) for what, (body, says) in wrong.items()], [400, 413])

    bad = []
    for number, (what, (body, says)) in enumerate(wrong.items()):
        mark = str(number)
        mixed = (series({"__name__": "mixed", "side": "before", "n": mark}, [(at_ms, number)]) + field(1, body) +
                 series({"__name__": "mixed", "side": "after", "n": mark}, [(at_ms, number)]))
        answer = post(port, snappy(mixed), WRITE_HEADERS)
        kept = guard.server.query(f'mixed{{n="{mark}"}}', at_ms / 1000)["result"]
        if answer.status != 400 or not re.search(says, answer.text) or len(kept) != 2:
            bad.append(f"{what}: {len(kept)} of 2 good rows are kept; {answer}")
    tap.check(not bad, f"a mixed request keeps its good rows and names the first fault ({len(wrong)})", "\n".join(bad))

    # Retention is judged by the store, which must not make a series for what it then refuses.
    guard.series = guard.count_series()
    old = sample(at_ms - 90 * 86400_000)
    guard.refused("a new series that is older than the retention is refused and not made", lambda: post(port, snappy(field(1, pairs(name) + old)), WRITE_HEADERS),
                  400, 'never.*older than the retention')
    guard.refused("an old sample of a known series is named", lambda: post(port, snappy(field(1, pairs((b"__name__", b"guard"), (b"who", b"known")) + old)),
                                                                           WRITE_HEADERS), 400, "guard.*older than the retention")
    conflict = lambda: post(port, snappy(field(1, pairs((b"__name__", b"guard"), (b"who", b"known")) + sample(guard.at_ms, -1.0))), WRITE_HEADERS)
    guard.refused("another value at a time that is taken is named", conflict, 400, "guard.*another value is stored at [0-9]+ ms")

    # Every limit reached exactly is fine.
    fine = [pairs(*many(40)), pairs(name, (b"a" * 256, b"1")), pairs(name, (b"a", b"1" * 2048)), pairs((b"__name__", "größe".encode()))]
    answers = [post(port, snappy(field(1, row + now)), WRITE_HEADERS) for row in fine]
    tap.check(all(answer.status == 204 for answer in answers), "40 labels, 256 and 2048 bytes, a name beyond ASCII are welcome",
              "\n".join(map(str, answers)))
    guard.series = guard.count_series()

    answer = post(port, snappy(field(1, pairs((b"__name__", b"without_samples"))) + field(3, b"")), WRITE_HEADERS)
    tap.check(answer.status == 204 and guard.count_series() == guard.series, "a series without samples makes no series",
              f"{guard.series} series, then {guard.count_series()}: {answer}")
    guard.series = guard.count_series()

    # What hangs on a good row and is broken itself: the row may stay, later questions must not break.
    hangers = [field(3, pairs((b"t", b"\xff")) + b"\x11" + struct.pack("<d", 1.0) + b"\x18" + varint(at_ms)),
               field(3, b"\x0a\x03abc\x18" + varint(at_ms)), field(3, pairs((b"b", b"1"), (b"a", b"1")) + b"\x18" + varint(at_ms)),
               field(4, b"\x78" + varint(at_ms) + field(11, b"\xff" * 9)), field(4, b"\x78" + varint(at_ms) + b"\x18" + varint(1 << 40)),
               field(4, b"\x78" + varint(at_ms) + field(11, b"\x08" + varint((1 << 32) - 1) + b"\x10" + varint((1 << 32) - 1)))]
    bad = []
    for number, hanger in enumerate(hangers):
        row = field(1, pairs((b"__name__", b"hanger"), (b"n", b"%d" % number)) + (b"" if hanger[0] == 0x22 else now) + hanger)
        answer = post(port, snappy(row), WRITE_HEADERS)
        asked = []
        for path in ("query_exemplars?query=hanger&start=0&end=9999999999", f"query?query=hanger[1h]&time={at_ms / 1000}",
                     f"query?query=histogram_quantile(0.9,hanger)&time={at_ms / 1000}", f"query?query=rate(hanger[1h])&time={at_ms / 1000}"):
            status = "nothing"
            try:
                status, body = guard.server.get("/api/v1/" + path)
                json.loads(body.decode())
            except (OSError, ValueError) as error:
                status = f"{status} and no JSON: {error!r}"
            asked.append(status)
        if answer.status not in (204, 400) or any(status not in (200, 422) for status in asked):
            bad.append(f"{number}: questions answer {asked}; {answer}")
        if guard.server.process.poll() is not None:
            bad.append(f"the server died with {guard.server.process.returncode}:\n{guard.server.tail()}")
            break
    tap.check(not bad and guard.server.process.poll() is None, "broken exemplars and histograms do not break questions", "\n".join(bad))
    guard.series = guard.count_series()


def lengths(tap, guard):
    """Each length field of a message replaced by each unlikely length."""
    port, at_ms = guard.server.port, guard.at_ms
    cases = []

    def with_length(number, content, length):
        return varint(number << 3 | 2) + varint(length) + content

    name, value, good = field(1, b"a"), field(2, b"1"), field(1, field(1, b"__name__") + field(2, b"never"))
    for length in LENGTHS:
        shapes = {
            "time series": with_length(1, good + sample(at_ms), length),
            "label": field(1, good + with_length(1, name + value, length) + sample(at_ms)),
            "label name": field(1, good + field(1, with_length(1, b"abc", length) + value) + sample(at_ms)),
            "label value": field(1, good + field(1, name + with_length(2, b"abc", length)) + sample(at_ms)),
            "sample": field(1, good + with_length(2, sample(at_ms)[2:], length)),
            "exemplar": field(1, good + with_length(3, field(1, name + value) + b"\x18" + varint(at_ms), length)),
            "histogram": field(1, good + with_length(4, b"\x78" + varint(at_ms), length)),
            "metadata": with_length(3, field(2, b"never"), length),
            "metadata family": field(3, with_length(2, b"never", length)),
            "unknown field": with_length(15, b"x", length),
        }
        for shape, body in shapes.items():
            if shape == "unknown field" and length == 1:
                continue  # well formed
            cases.append((f"{shape} of length {length}", lambda body=body: post(port, snappy(body), WRITE_HEADERS), ""))
    zero = [case for case in cases if case[0].endswith("of length 0")]
    guard.all_refused("every length field refuses lengths that cannot be", [case for case in cases if case not in zero], 400)
    guard.all_refused("lengths of zero are refused or empty", zero, [204, 400])


# ---- HTTP ---------------------------------------------------------------------------------------


def http(tap, guard):
    """Every request is followed by a second one on the same connection, which must never be answered."""
    port = guard.server.port
    smuggled = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: 1\r\n\r\n"
    get, ready = b"GET /-/ready HTTP/1.1\r\n", b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n"
    put = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    chunked = put + b"Transfer-Encoding: chunked\r\n\r\n"
    wrong = {
        "Content-Length and Transfer-Encoding": (put + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "exclude"),
        "Transfer-Encoding and Content-Length": (put + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "exclude"),
        "two Content-Lengths": (put + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nquery=1", ""),
        "two equal Content-Lengths": (put + b"Content-Length: 7\r\nContent-Length: 7\r\n\r\nquery=1", ""),
        "a list of Content-Lengths": (put + b"Content-Length: 7, 7\r\n\r\nquery=1", "Content-Length"),
        "Content-Length -1": (put + b"Content-Length: -1\r\n\r\n", "Content-Length"),
        "Content-Length +7": (put + b"Content-Length: +7\r\n\r\nquery=1", "Content-Length"),
        "Content-Length 0x7": (put + b"Content-Length: 0x7\r\n\r\nquery=1", "Content-Length"),
        "Content-Length 2^63": (put + b"Content-Length: 9223372036854775808\r\n\r\n", "Content-Length"),
        "Content-Length 2^64+7": (put + b"Content-Length: 18446744073709551623\r\n\r\nquery=1", "Content-Length"),
        "an empty Content-Length": (put + b"Content-Length: \r\n\r\n", "Content-Length"),
        "two Transfer-Encodings": (put + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", ""),
        "gzip, chunked": (put + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "chunked"),
        "xchunked": (put + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "chunked"),
        "chunked in HTTP/1.0": (put.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "1.0"),
        "a chunk size over 64 bits": (chunked + b"10000000000000007\r\nquery=1\r\n0\r\n\r\n", ""),
        "a negative chunk size": (chunked + b"-1\r\n", ""),
        "a chunk size 0x7": (chunked + b"0x7\r\nquery=1\r\n0\r\n\r\n", ""),
        "a chunk longer than its size": (chunked + b"3\r\nquery=1\r\n0\r\n\r\n", ""),
        "a chunk size with a bare LF": (chunked + b"7\nquery=1\r\n0\r\n\r\n", ""),
        "a chunk extension without end": (chunked + b"7;" + b"x" * 70_000, ""),
        "trailers without end": (chunked + b"7\r\nquery=1\r\n0\r\n" + b"X: y\r\n" * 20_000, ""),
        "a bare LF": (b"GET /-/ready HTTP/1.1\nHost: localhost\n\n", "bare LF"),
        "a bare CR": (b"GET /-/ready HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n", "CR"),
        "a folded header": (ready + b"X-A: b\r\n c\r\n\r\n", "folded"),
        "a blank before the colon": (put + b"Content-Length : 7\r\n\r\nquery=1", "blank"),
        "a header without a colon": (ready + b"X-A b\r\n\r\n", "NAME: VALUE"),
        "a header without a name": (ready + b": b\r\n\r\n", "NAME: VALUE"),
        "NUL in a header": (ready + b"X-A: b\0c\r\n\r\n", "control byte"),
        "NUL in the target": (b"GET /-/rea\0dy HTTP/1.1\r\nHost: localhost\r\n\r\n", "control byte"),
        "no Host": (get + b"\r\n", "Host"),
        "two Hosts": (ready + b"Host: other\r\n\r\n", "host|Host"),
        "a Host that is none": (get + b"Host: a b/c\r\n\r\n", "Host"),
        "a target with another host": (b"GET http://other.example/-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n", "another host"),
        "%2F in the path": (b"GET /api%2Fv1/query?query=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "encoded slash"),
        "dot segments": (b"GET /api/v1/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "segment"),
        "encoded dot segments": (b"GET /api/v1/%2e%2e/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "segment"),
        "%00 in the path": (b"GET /api/v1/query%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", "control byte"),
        "% without digits": (b"GET /api/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "%"),
        "a backslash": (b"GET /api\\v1\\query HTTP/1.1\r\nHost: localhost\r\n\r\n", "backslash"),
        "a fragment": (b"GET /-/ready#x HTTP/1.1\r\nHost: localhost\r\n\r\n", "percent-encoded"),
        "an unknown method": (b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", "method"),
        "two blanks": (b"GET  /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n", ""),
        "HTTP/0.9": (b"GET /-/ready\r\n\r\n", "METHOD TARGET"),
        "HTTP/1.9": (b"GET /-/ready HTTP/1.9\r\nHost: localhost\r\n\r\n", "HTTP/1.1"),
        "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), ""),
        "129 headers": (ready + b"".join(b"X-%d: y\r\n" % i for i in range(128)) + b"\r\n", "HTTP_HEADER_COUNT"),
        "headers of 200 KiB": (ready + b"X: " + b"y" * 200 * 1024 + b"\r\n\r\n", "HTTP_"),
        "a request line of 130 KiB": (b"GET /-/ready?" + b"x" * 130 * 1024 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP_REQUEST_LINE_BYTES"),
        "another expectation": (put + b"Expect: 200-maybe\r\nContent-Length: 7\r\n\r\nquery=1", "expectation"),
    }
    guard.all_refused("a malformed request gets one answer with a reason, and what follows it none", [
        (what, lambda sent=sent: talk(port, sent + smuggled, 3), says) for what, (sent, says) in wrong.items()],
        [400, 413, 414, 417, 431, 501, 505], within_s=1.0)
    paths = [f"/api/v1/label/{name}/values" for name in ("%FF", "U__zz", "a" * 3000, "%E2%82", "")] + ["/" + "a/" * 20_000, "/api/v1/nothing"]
    guard.all_refused("paths to nothing", [(path[:40], lambda path=path: talk(
        port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), 5), "") for path in paths], [200, 400, 404])
    hosts = [b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example:4310", b"169.254.169.254"]
    guard.all_refused("without keys, only names of loopback are answered", [
        (host.decode(), lambda host=host: talk(port, b"GET /api/v1/labels HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n", 5), "Host")
        for host in hosts], 403)


def idle(tap, guard):
    port, held = guard.server.port, []
    try:
        for number in range(300):
            held.append(socket.create_connection(("127.0.0.1", port)))
            if number % 3 == 0:
                held[-1].sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
            elif number % 3 == 1:
                held[-1].sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        took, problem = [], None
        for _ in range(40):
            begun = time.monotonic()
            problem = problem or guard.alive()
            took.append(time.monotonic() - begun)
        tap.check(problem is None and sorted(took)[-4] < 0.5, "300 connections that do nothing disturb no good client", f"{problem} {max(took):.3f} s")
    finally:
        for peer in held:
            peer.close()


# ---- Queries ------------------------------------------------------------------------------------


def queries(tap, guard):
    """Each ends soon, with an answer or an error that says why, while others write."""
    server, at_ms = guard.server, guard.at_ms
    rows = b"".join(series({"__name__": "wide", "n": str(i), "long": "a" * 100 + str(i % 7)},
                           [(at_ms - 1000 * (10 - k), float(k)) for k in range(10)]) for i in range(3000))
    status, answer = write(guard.connection, rows)
    tap.check(status == 204, "3000 series to ask for", answer)
    status, answer = write(guard.connection, series({"__name__": "text", "long": "a" * 2000}, [(at_ms, 1.0)]) +
                           series({"__name__": "beside"}, [(at_ms, 1.0)]))
    guard.series = guard.count_series()
    now = at_ms / 1000

    def nested(function, inner, depth):
        for _ in range(depth):
            inner = function.format(inner)
        return inner

    ask = lambda expression, **more: ("query", {"query": expression, "time": now, **more})
    span = lambda expression, start, end, step, **more: ("query_range", {"query": expression, "start": start, "end": end, "step": step, **more})
    ten = "$1" * 10
    no, yes, either = [400, 413, 422, 503], [200], [200, 400, 422, 503]
    death = [
        (no, "text over 1 MiB", ask("1+" * (1 << 19) + "1"), "QUERY_TEXT_BYTES|HTTP_BODY_BYTES"),
        (no, "a tree too deep", ask("1 or " * 100_000 + "1"), "QUERY_DEPTH|NESTING|between|scalar"),
        (no, "a long sum of series", ask("wide + " * 100_000 + "wide"), "QUERY_DEPTH"),
        (no, "10,000 parentheses", ask("(" * 10_000 + "1" + ")" * 10_000), "NESTING_QUERY"),
        (no, "100,000 open parentheses", ask("(" * 100_000), "NESTING_QUERY"),
        (no, "10,000 signs", ask("-" * 10_000 + "1"), "NESTING_QUERY|QUERY_DEPTH"),
        (no, "10,000 functions", ask("abs(" * 10_000 + "wide" + ")" * 10_000), "NESTING_QUERY"),
        (no, "10,000 powers", ask("2^" * 10_000 + "2"), "NESTING_QUERY|QUERY_DEPTH"),
        (no, "10,000 subqueries", ask("wide" + "[1m:1s]" * 10_000), ""),
        (no, "10,000 braces", ask("{" * 10_000), ""),
        (yes, "a regex that backtracks elsewhere", ask('count(text{long=~"(a+)+b|(a|a)*c|(a|aa)+$"})'), ""),
        (no, "a regex of {1000} repeats", ask('wide{long=~"((a{1000}){1000}){1000}"}'), "regex|repetition|REGEX"),
        (no, "a regex of a large class", ask('wide{long=~"(?i)[\\\\pL]{1000}x"}'), "QUERY_REGEX_STATES|too large"),
        (no, "a regex of 10,000 groups", ask('wide{long=~"' + "(" * 10_000 + "a" + ")" * 10_000 + '"}'), "regex|nest|REGEX"),
        (no, "a regex of 20,000 alternatives", ask('wide{long=~"' + "|".join("[a-z]" + hashlib.md5(b"%d" % i).hexdigest()[:12] for i in range(20_000)) + '"}'), "REGEX"),
        (no, "a regex in label_replace", ask('label_replace(wide, "d", "$1", "long", "(.{1000}){1000}")'), "regex|repetition|REGEX"),
        (no, "11,002 points", span("1", 0, 11_001, 1), "11,?000|QUERY_POINTS"),
        (yes, "11,000 points", span("1", 0, 10_999, 1), ""),
        (no, "a step of nothing", span("1", 0, 10, 0), "step"),
        (no, "a negative step", span("1", 0, 10, -1), "step"),
        (no, "a step of NaN", span("1", 0, 10, "NaN"), "step"),
        (no, "a step of 1e300", span("1", 0, 10, "1e300"), "step"),
        (either, "a step under a millisecond", span("1", 0, 10, "0.0001"), ""),
        (no, "an end before the start", span("1", 10, 0, 1), "end|start"),
        (no, "a start of -Inf", span("1", "-Inf", 0, 1), "start"),
        (no, "an end of 1e300", span("1", 0, "1e300", 1), "end"),
        (either, "the ends of time", span("wide", -9223372036854775, 9223372036854775, "1000y"), ""),
        (no, "everything", span('{__name__=~".+",__name__!="hanger"}', now - 10, now, 1), "query.samples|samples"),
        (no, "everything, raw", ask('{__name__=~".+",__name__!="hanger"}[1y]'), "query.samples|samples"),
        (no, "topk with a huge k", ask("count(topk(1e300, guard))"), "overflows"),
        (no, "topk with k over 64 bits", ask("count(topk(18446744073709551616, guard))"), "overflows"),
        (yes, "topk with the largest k", ask('count(topk(9223372036854774784, wide{n=~"1.*"}))'), ""),
        (either, "topk with NaN", ask("topk(NaN, guard)"), ""),
        (either, "topk with -Inf", ask("bottomk(-Inf, guard)"), ""),
        (either, "limitk with a huge k", ask("limitk(1e300, guard)"), ""),
        (no, "label_replace that grows tenfold ten times", ask(
            nested(f'label_replace({{}}, "long", "{ten}", "long", "(.*)")', "text", 10)), "memory|LABEL_VALUE_BYTES|bytes"),
        (no, "label_join that grows fourfold thirty times", ask(
            nested('label_join({}, "long", "", "long", "long", "long", "long")', "text", 30)), "memory|LABEL_VALUE_BYTES|bytes"),
        (no, "a subquery of a millisecond over a year", ask("max_over_time(wide[1y:1ms])"), "points|steps|samples|time|memory|limit"),
        (no, "subqueries in subqueries", ask(nested("max_over_time({}[1d:1s])", "wide", 8)), "points|steps|samples|time|memory|limit"),
        (no, "a subquery per point", span("sum(max_over_time(wide[1h:100ms]))", now - 10_000, now, 1), "samples|time|memory|limit"),
        (either, "a subquery of a constant per point", span("sum(max_over_time(vector(1)[1h:100ms]))", now - 10_000, now, 1), ""),
        (no, "a range of a step over all", span("sum(rate(wide[100y]))", now - 10_000, now, 1), "samples|time|memory|limit"),
        (either, "1000 terms at 11,000 points", span("+".join(["vector(1)"] * 500), 0, 10_999, 1), ""),
        (either, "each with each", ask("wide + on() group_left wide"), ""),
        (either, "a filter over many", ask(" or ".join(["wide"] * 100)), ""),
        (either, "quantiles", ask("quantile_over_time(1e300, guard[1y])"), ""),
        (either, "an offset at the end of time", ask("guard offset 290000000y"), ""),
        (either, "an @ at the end of time", ask("guard @ 1e300"), ""),
        (either, "a range at the end of time", ask("rate(guard[290000000y])"), ""),
        (no, "a time that is none", ("query", {"query": "guard", "time": "1e300"}), "time"),
        (no, "NUL", ask("gu\0ard"), ""),
        (either, "not UTF-8", ask(b'guard{a="\xff"}'), ""),
        (either, "an answer that would not be UTF-8", ask(b'label_replace(guard, "a", "\xff", "", "")'), ""),
        (either, "a separator that is not UTF-8", ask(b'label_join(guard, "a", "\xff", "who", "who")'), ""),
        (either, "an escaped byte", ask('label_replace(guard, "a", "\\xff", "", "")'), ""),
        (either, "half a character captured", ask('label_replace(label_replace(guard, "a", "ä", "", ""), "b", "$1", "a", "(?s)(\\C).*")'), ""),
        (either, "a wide answer", ask('count_values("v", wide) or wide or label_replace(wide, "x", "y", "", "")'), ""),
        (no, "1,000,000 matches", ("series", [("match[]", f'{{a="{i}"}}') for i in range(50_000)]), ""),
        (no, "a bad selector", ("series", {"match[]": "{" * 5000}), ""),
        (either, "values of a label as a bomb", ("labels", {"match[]": '{__name__=~"(.*.*.*.*)+x"}'}), ""),
    ]
    beside = Ingest(server, at_ms)
    beside.start()
    path = lambda what: "/api/v1/" + what
    for statuses in (no, yes, either):
        cases = [(name, lambda what=what, form=form: post(server.port, urllib.parse.urlencode(form).encode(), FORM, path(what)), says)
                 for wanted, name, (what, form), says in death if wanted is statuses]
        word = {id(no): "are refused with a reason", id(yes): "are answered", id(either): "end well"}[id(statuses)]
        guard.all_refused(f"queries of death {word}", cases, statuses, margin=300 * MB, within_s=QUERY_TIMEOUT_S + 1.5)
    beside.stop = True
    beside.join()
    tap.check(not beside.failed and beside.worst_s < 2, f"ingest goes on beside them: {beside.sent} writes, the slowest {beside.worst_s:.2f} s",
              beside.failed[:5])


def answers(tap, guard):
    """Clients that ask for much and do not read it, or ask without end."""
    server, at_ms = guard.server, guard.at_ms
    everything = urllib.parse.quote('{__name__=~"wide|guard|text",n!="1"}')
    head = f"GET /api/v1/query_range?query={everything}&start={at_ms // 1000 - 10}&end={at_ms // 1000}&step=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    held = []
    try:
        before = guard.memory("VmRSS")
        for _ in range(20):
            peer = socket.create_connection(("127.0.0.1", server.port))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.settimeout(1)
            try:
                peer.sendall(head * 200)
            except OSError:
                pass
            held.append(peer)
        time.sleep(1)
        problem, grown = guard.alive(), guard.memory("VmRSS") - before
        tap.check(problem is None and grown < 200 * MB, "clients that ask again and again and read nothing cost little", f"{problem}, {grown // MB} MiB")
    finally:
        for peer in held:
            peer.close()
    many = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n" * 990
    answer = talk(server.port, many + b"BAD\r\n\r\n", 10, lambda raw: b" 400 " in raw[-2000:])
    tap.check(answer.count == 991, "990 requests in one go are answered, the bad one behind them is refused", answer.count)
    many = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_500
    answer = talk(server.port, many, 10, lambda raw: raw.lower().count(b"connection: close") > 0)
    tap.check(answer.count == 1_000, "a connection ends after HTTP_KEEP_ALIVE_REQUESTS", answer.count)


def metadata(tap, guard):
    """More families than METADATA_FAMILIES, in one body and again."""
    flood = lambda from_: snappy(b"".join(field(3, b"\x08\x01" + field(2, b"family_%07d" % i) + field(4, b"h" * 20)) for i in range(from_, from_ + 150_000)))
    bodies_ = [flood(0), flood(150_000)]
    guard.all_refused("more metadata than METADATA_FAMILIES is left out", [
        (f"body {i}", lambda body=body: post(guard.server.port, body, WRITE_HEADERS), "") for i, body in enumerate(bodies_)], 204, margin=200 * MB)
    status, body = guard.server.get("/api/v1/metadata")
    families = len(json.loads(body)["data"])
    tap.check(status == 200 and families <= 100_000, "no more families than METADATA_FAMILIES are kept", families)


def tenants(tap, guard):
    """Names of tenants come from a header, and become folders."""
    names = ["..", "../x", "a/b", "a\\b", ".", "a" * 300, "", " ", "a|b", "con\t", "ä", "%2e%2e", "a,b", "*", "-rf", "traceo/../x"]
    row = snappy(series({"__name__": "m"}, [(guard.at_ms, 1.0)]))
    folder = pathlib.Path(guard.server.folder)
    before = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}
    bad = []
    for name in names:
        answer = post(guard.server.port, row, {**WRITE_HEADERS, "X-Scope-OrgID": name})
        if answer.status not in (204, 400, 403) or (answer.status == 204 and re.search(r"[./\\|*% ]", name.strip())):
            bad.append(f"{name!r}: {answer}")
    after = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}
    outside = [path for path in after - before if not path.startswith("data/")]
    tap.check(not bad and not outside, "names of tenants that are none are refused", "\n".join(bad + outside))
    guard.series = guard.count_series()


def replay(tap, guard):
    """After kill -9 the log, which holds much of what was sent, gives the same again."""
    known, before = f"guard@{guard.at_ms / 1000}", guard.count_series()
    value = guard.server.query(known, guard.at_ms / 1000)["result"][0]["value"][1]
    families = guard.server.get("/api/v1/metadata")[1]
    exemplars = guard.server.get("/api/v1/query_exemplars?query=hanger&start=0&end=9999999999")
    guard.server.kill()
    guard.server.start()
    guard.connection = guard.server.connect()
    tap.check(guard.server.query(known, guard.at_ms / 1000)["result"][0]["value"][1] == value, "after kill -9 the known series is as it was")
    tap.check(guard.count_series() == before, "after kill -9 there are as many series", f"{before} before, {guard.count_series()} after")
    tap.check(guard.server.get("/api/v1/query_exemplars?query=hanger&start=0&end=9999999999") == exemplars and
              len(guard.server.get("/api/v1/metadata")[1]) == len(families), "after kill -9 exemplars and metadata are as they were")
    tap.check(guard.alive() is None, "and it goes on")


# ---- Quotas -------------------------------------------------------------------------------------


def quota(tap):
    """Far more new series in a second than series.new_per_s."""
    server = Server()
    try:
        server.start()
        guard = Guard(tap, server)
        times = sample(guard.at_ms)
        rows = lambda body: b"".join(
            field(1, pairs((b"__name__", b"new"), (b"n", b"%02d%06d" % (body, i))) + times) for i in range(16_000))
        sent = [snappy(rows(body)) for body in range(20)]
        known = snappy(rows(0))
        begun, answers = time.monotonic(), []
        connection = server.connect()
        for body in sent:
            connection.request("POST", "/api/v1/write", body, WRITE_HEADERS)
            answer = connection.getresponse()
            answers.append((answer.status, answer.getheader("Retry-After"), answer.read().decode(errors="replace")))
        problem = guard.alive()
        connection.request("POST", "/api/v1/write", known, WRITE_HEADERS)
        again = connection.getresponse()
        again_body = again.read()
        took_s = time.monotonic() - begun
        refused = [answer for answer in answers if answer[0] != 204]
        made = guard.count_series() - 1
        allowed = 100_000 * (1 + took_s)
        print(f"# 320,000 new series in {took_s:.2f} s: {made} made, {len(refused)} bodies refused")
        if took_s > 2.2:
            tap.skip("the quota of new series", f"this machine needs {took_s:.1f} s for them")
        else:
            tap.check(made <= allowed, "no more new series than series.new_per_s allow", f"{made} of {allowed:.0f}")
            tap.check(refused and all("series.new_per_s" in text for _, _, text in refused) and
                      all(status in (400, 429) for status, _, _ in refused), "new series over the quota are refused by name", refused[:3])
            tap.check(all(after for status, after, _ in refused if status == 429), "429 says when to come again", refused[:3])
        tap.check(problem is None, "a known series flows while new ones are refused", problem)
        tap.check(again.status == 204, "a body of known series is welcome", f"{again.status} {again_body[:300]!r}")
        server.kill()  # so that the log has to tell
        server.start()
        guard.connection = server.connect()
        tap.check(guard.count_series() - 1 == made, "what was refused stays refused after a restart", f"{made} then {guard.count_series() - 1}")
    finally:
        server.close()


# ---- Orders -------------------------------------------------------------------------------------


def orders(tap):
    """Times of one series in the orders that cost most: none holds a loop for long."""
    server, count = Server(), 40_000
    try:
        server.start()
        guard = Guard(tap, server)
        base_ms = guard.at_ms - 3600_000
        labels = lambda name: pairs((b"__name__", name))
        one = lambda at_ms: sample(at_ms)
        native = lambda at_ms: field(4, b"\x08\x01\x19" + struct.pack("<d", 1.0) + b"\x78" + varint(at_ms))
        shuffled = [base_ms + i * 7919 % count for i in range(count)]
        bombs = {
            "rising": (one, [base_ms + i for i in range(count)]),
            "rising again": (one, [base_ms + i for i in range(count)]),
            "falling": (one, [base_ms - i for i in range(count)]),
            "in any order": (one, shuffled),
            "native histograms, falling": (native, [base_ms - i for i in range(count)]),
            "native histograms in any order": (native, shuffled),
        }
        slow = []
        for what, (make, times) in bombs.items():
            name = what.split(",")[0].removesuffix(" again").replace(" ", "_").encode()
            body = field(1, labels(name) + b"".join(make(at_ms) for at_ms in times))
            begun = time.monotonic()
            status, answer = write(server.connect(), body)
            took_s = time.monotonic() - begun
            if status != 204 or took_s > 2:
                slow.append(f"{what}: {status} after {took_s:.2f} s, {answer[:200]!r}")
        tap.check(not slow, f"{count} samples of one series in {len(bombs)} orders take no time to speak of", "\n".join(slow))
        problem = guard.alive()
        tap.check(problem is None, "and known series flow", problem)
    finally:
        server.close()


# ---- Keys ---------------------------------------------------------------------------------------


def key_add(server, *flags):
    done = subprocess.run([binary(), "key", "add", "--data", os.path.join(server.folder, "data"), *flags], capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise RuntimeError(f"key add: {done.stderr}")
    return done.stdout.strip()


def fetch(server, method, path, headers=None, body=None):
    connection = server.connect()
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def keys(tap):
    server = Server()
    try:
        alpha = key_add(server, "--name", "alpha", "--tenant", "alpha")
        beta = key_add(server, "--name", "beta", "--tenant", "beta")
        reader = key_add(server, "--name", "reader", "--tenant", "alpha", "--permissions", "read_metrics")
        writer = key_add(server, "--name", "writer", "--tenant", "alpha", "--permissions", "write_metrics")
        operator = key_add(server, "--name", "operator", "--tenant", "*", "--permissions", "read_metrics,write_metrics,read_status,admin")
        brief = key_add(server, "--name", "brief", "--tenant", "alpha", "--expires", "1s")
        bearer = lambda key, **more: {"Authorization": "Bearer " + key, **more}
        server.start()
        document = json.loads(fetch(server, "GET", "/api/v1/openapi.json", bearer(operator))[1])
        routes = [(method.upper(), path.replace("{name}", "job")) for path, methods in document["paths"].items()
                  for method in methods if method in ("get", "post", "put", "head", "delete")]
        public = {"/-/healthy", "/-/ready"}
        # The page's own files are open (it asks for the key itself), and gRPC asks for a key only where gRPC is spoken.
        opened = {path for path, methods in document["paths"].items() for row in methods.values() if isinstance(row, dict) and row.get("security") == []}
        # Clients of InfluxDB look whether it is there before they show a token.
        pings = {"/ping", "/health", "/api/v2/ping", "/api/v2/health"}
        tap.check(opened == public | pings | {"/ui", "/ui/{path}", "/grpc.health.v1.Health/Check"}, "few routes are open, and they are known", opened)
        closed = [route for route in routes if route[1] not in opened]
        tap.check(len(closed) > 20, f"the OpenAPI document lists the routes ({len(closed)})", routes)

        id_, secret = alpha.rsplit("_", 1)
        basic = lambda text: {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
        nobody = {
            "no key": {}, "an empty key": {"Authorization": "Bearer "}, "a wrong secret": bearer(id_ + "_" + "0" * 64),
            "a key with a tail": bearer(alpha + "0"), "a key in capitals": bearer(alpha.upper()), "only the id": bearer(id_),
            "two keys": bearer(alpha + " " + alpha), "Basic without a key": basic("admin:admin"), "a wrong X-API-Key": {"X-API-Key": "x" * 5000},
            "an injected id": bearer("traceo_' OR 1=1 --____" + secret), "only a tenant": {"X-Scope-OrgID": "alpha"},
        }
        bad, words = [], set()
        for method, path in closed + [("GET", "/no/such/path"), ("GET", "/prometheus/api/v1/labels"), ("DELETE", "/api/v1/write"),
                                      ("GET", f"/api/v1/query?query=1&api_key={alpha}"), ("OPTIONS", "/api/v1/query")]:
            for who, headers in nobody.items() if path in ("/api/v1/query", "/api/v1/write", "/metrics") else [("no key", {})]:
                status, text = fetch(server, method, path, headers)
                # OTLP says it in its own message, with the same words.
                said = re.search(r"a valid API key is needed[^\"]*", text)
                words.add((said[0] if said else text) if method != "HEAD" else "")
                if status != 401:
                    bad.append(f"{method} {path} with {who}: {status} {text[:200]}")
        tap.check(not bad, "without a valid key every route is 401", "\n".join(bad[:10]))
        tap.check(len(words - {""}) == 1, "a refusal says the same, whatever was wrong", "\n".join(words))
        tap.check(all(fetch(server, "GET", path)[0] == 200 for path in public), "health and readiness need no key")

        now_ms = int(time.time() * 1000)
        hidden = (field(1, pairs((b"__name__", b"hidden_metric"), (b"hidden_label", b"hidden_value")) + sample(now_ms) +
                        field(3, pairs((b"trace_id", b"hidden_trace")) + b"\x11" + struct.pack("<d", 1.0) + b"\x18" + varint(now_ms))) +
                  field(3, b"\x08\x02" + field(2, b"hidden_metric") + field(4, b"hidden help")))
        send = lambda headers: fetch(server, "POST", "/api/v1/write", {**WRITE_HEADERS, **headers}, snappy(hidden))
        tap.check(send(bearer(alpha))[0] == 204, "a key of a tenant writes")
        tap.check(send(bearer(reader))[0] == 403, "a key that may only read does not write", send(bearer(reader)))
        status_paths = ["/metrics", "/api/v1/status/config", "/api/v1/status/flags", "/api/v1/status/runtimeinfo"]
        lacks = [("GET", "/api/v1/labels", writer), ("GET", "/api/v1/query?query=1", writer), ("POST", "/-/reload", alpha), ("POST", "/-/reload", reader),
                 ("POST", "/api/traceo/v1/flush", alpha)] + [("GET", path, alpha) for path in status_paths]
        answers = [(method, path, fetch(server, method, path, bearer(key))) for method, path, key in lacks]
        tap.check(all(answer[0] == 403 and "permission" in answer[1] for _, _, answer in answers), "a permission that is missing is 403 and named", answers)
        bad = [f"{name}: {send({**bearer(beta), 'X-Scope-OrgID': name})}" for name in ("alpha", "default", "traceo", "*", "alpha|beta", "../alpha", "BETA")
               if send({**bearer(beta), "X-Scope-OrgID": name})[0] not in (400, 403)]
        bad += [f"{method} {path}" for method, path in closed if method == "GET" and
                fetch(server, method, path, bearer(beta, **{"X-Scope-OrgID": "alpha"}))[0] != 403]
        tap.check(not bad, "a tenant that the key does not open is refused on every route", "\n".join(bad))

        asked = ["query?query=hidden_metric", 'query?query={__name__=~".%2B"}', "query?query=count({__name__!=''})", "labels", "label/__name__/values",
                 "label/hidden_label/values", "series?match[]={__name__=~'.%2B'}", "metadata", "query_exemplars?query=hidden_metric&start=0&end=9999999999",
                 "status/tsdb", f"query_range?query=hidden_metric&start={now_ms // 1000 - 60}&end={now_ms // 1000 + 60}&step=10"]
        asked = ["/api/v1/" + path.replace("{", "%7B").replace("}", "%7D").replace("'", "%22").replace('"', "%22") for path in asked]
        theirs = [(path, fetch(server, "GET", path, bearer(alpha))) for path in asked]
        unseen = [row for row in theirs if row[1][0] != 200 or not re.search("hidden|\"1\"", row[1][1])]
        tap.check(not unseen, "the tenant sees its own in every way of asking", unseen)
        leaks = []
        for who, headers in {"beta": bearer(beta), "operator elsewhere": bearer(operator, **{"X-Scope-OrgID": "beta"}), "operator": bearer(operator)}.items():
            for path in asked:
                status, text = fetch(server, "GET", path, headers)
                if status != 200 or "hidden" in text.replace("hidden_metric\" is not", "") or '"value":[' in text:
                    leaks.append(f"{who} {path}: {status} {text[:300]}")
        for path in status_paths:
            status, text = fetch(server, "GET", path, bearer(operator))
            if status != 200 or "hidden" in text or "alpha" in text:
                leaks.append(f"operator {path}: {status}")
        tap.check(not leaks, "another tenant sees nothing of it in any way of asking", "\n".join(leaks[:10]))
        status, text = fetch(server, "GET", asked[0], bearer(operator, **{"X-Scope-OrgID": "alpha"}))
        tap.check(status == 200 and "hidden_value" in text, "a key for all chooses a tenant by the header", text)

        revoked = subprocess.run([binary(), "key", "revoke", id_.split("_")[1], "--data", os.path.join(server.folder, "data")], capture_output=True, timeout=20)
        begun = time.monotonic()
        while fetch(server, "GET", "/api/v1/labels", bearer(alpha))[0] == 200 and time.monotonic() - begun < 5:
            time.sleep(0.1)
        tap.check(revoked.returncode == 0 and fetch(server, "GET", "/api/v1/labels", bearer(alpha))[0] == 401, "a revoked key is 401 within seconds")
        tap.check(fetch(server, "GET", "/api/v1/labels", bearer(brief))[0] == 401, "an expired key is 401")

        server.stop()
        secrets = {key.rsplit("_", 1)[1].encode() for key in (alpha, beta, reader, writer, operator, brief)}
        found = [str(file) for file in pathlib.Path(server.folder).rglob("*") if file.is_file() and any(secret in file.read_bytes() for secret in secrets)]
        tap.check(not found, "no secret stands in the log or in any file", found)
    finally:
        server.close()


# ---- Plaintext ----------------------------------------------------------------------------------


def is_closed(peer, timeout_s):
    peer.settimeout(timeout_s)
    try:
        return peer.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def plaintext(tap):
    """The port of Graphite: so many connections and no more, and none for ever."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    port, now_s, held = free_port(), int(time.time()), []
    server = Server("--graphite.listen", f"127.0.0.1:{port}", "--graphite.idle_timeout", "3s")

    def value(name):
        found = re.search(rf"^{name} (\S+)$", server.get("/metrics")[1].decode(), re.M)
        return float(found[1]) if found else None

    def wait(what, timeout_s=10):
        begun = time.monotonic()
        while not what() and time.monotonic() - begun < timeout_s:
            time.sleep(0.02)
        return what()

    def stored(expression):
        found = json.loads(server.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))[1])["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    try:
        server.start()
        for number in range(1024):
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(f"held.n{number} {number} {now_s}\n".encode())
        tap.check(wait(lambda: value("traceo_graphite_connections") == 1024), "1024 connections are open", value("traceo_graphite_connections"))
        extra = socket.create_connection(("127.0.0.1", port))
        extra.sendall(f"extra 1 {now_s}\n".encode())
        tap.check(is_closed(extra, 2), "one more is closed at once")
        held[0].sendall(f"still 1 {now_s}\n".encode())
        tap.check(wait(lambda: stored("still") == 1), "those that are open go on", stored("still"))
        # The source table names the limit; the refused line is nowhere.
        sources = server.get("/api/traceo/v1/sources")[1].decode()
        tap.check("LISTEN_CONNECTIONS" in sources and stored("extra") is None, "the refused one is explained to whoever asks", sources)
        tap.check(stored('count({__name__=~"held_n.*"})') == 1024, "and what all of them sent is there")
        # Most say nothing more; one goes on in the middle of its line, one leaves a half line behind.
        half, slow = held[1], held[2]
        half.sendall(b"half.line 12")
        begun = time.monotonic()
        while time.monotonic() - begun < 4.5:
            slow.sendall(b"s")
            time.sleep(0.3)
        slow.sendall(f"low 7 {now_s}\n".encode())
        tap.check(is_closed(held[100], 2) and is_closed(half, 2), "who is silent for graphite.idle_timeout is closed")
        tap.check(not is_closed(slow, 0.1) and wait(lambda: value("traceo_graphite_connections") == 1), "who speaks is not, however slowly",
                  value("traceo_graphite_connections"))
        names = [name for name in json.loads(server.get("/api/v1/label/__name__/values")[1])["data"] if "low" in name or "half" in name]
        tap.check(wait(lambda: value("traceo_graphite_lines_refused_total") == 1) and len(names) == 1 and names[0].endswith("slow"),
                  "a whole line that came slowly is stored, a half one is counted and is not", names)
        tap.check("graphite.idle_timeout" in server.get("/api/traceo/v1/sources")[1].decode(), "and it is explained")
        again = socket.create_connection(("127.0.0.1", port))
        again.sendall(f"again 1 {now_s}\n".encode())
        tap.check(wait(lambda: stored("again") == 1), "there is room again")
        again.close()
        tap.check(server.stop() == 0, "the server ends well", server.tail())
    finally:
        for peer in held:
            peer.close()
        server.close()


# ---- All ----------------------------------------------------------------------------------------

QUERY_TIMEOUT_S = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--only", default="", help="a part's name")
    options = parser.parse_args()
    tap = Tap()
    parts = [bodies, rows, lengths, http, idle, queries, answers, metadata, tenants]
    server = Server("--query.memory", "200MiB", "--query.samples", "20000", "--query.timeout", f"{QUERY_TIMEOUT_S}s")
    try:
        server.start()
        slow = Slow(server.port)
        slow.start()
        guard = Guard(tap, server)
        for part in parts:
            if options.only in part.__name__:
                begun = time.monotonic()
                part(tap, guard)
                print(f"# {part.__name__} took {time.monotonic() - begun:.1f} s")
        if options.only in "slow":
            slow.report(tap)
        if options.only in "replay":
            replay(tap, guard)
        if not options.only:
            tap.check(server.stop() == 0, "the server ends well after all of it", server.tail())
    finally:
        server.close()
    for part in (quota, orders, keys, plaintext):
        if options.only in part.__name__:
            part(tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
