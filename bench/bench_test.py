#!/usr/bin/env python3
"""Tests of what measures, as TAP: a measure that is wrong is worse than none.

    bench_test.py SEND STREAM        the programs bench/send and bench/stream
"""

import http.server
import io
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import record  # noqa: E402
import rows  # noqa: E402
import shared  # noqa: E402
import stages  # noqa: E402

PROGRAMS = {}


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def unpack(data):
    """Snappy, by its format: literals, and copies with one or two bytes of offset."""
    length, at = read_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            size = tag >> 2
            if size >= 60:
                more = size - 59
                size = int.from_bytes(data[at:at + more], "little")
                at += more
            out += data[at:at + size + 1]
            at += size + 1
            continue
        size, offset = ((tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]) if kind == 1 else ((tag >> 2) + 1, data[at] | data[at + 1] << 8)
        at += kind
        for _ in range(size):
            out.append(out[-offset])
    assert len(out) == length
    return bytes(out)


def fields(data):
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 2:
            size, at = read_varint(data, at)
            yield key >> 3, data[at:at + size]
            at += size
        elif key & 7 == 1:
            yield key >> 3, struct.unpack("<d", data[at:at + 8])[0]
            at += 8
        else:
            value, at = read_varint(data, at)
            yield key >> 3, value


def frames(data):
    at = 0
    while at < len(data):
        size = struct.unpack("<I", data[at:at + 4])[0]
        yield data[at + 4:at + 4 + size]
        at += 4 + size


def samples(stream):
    """[(labels, value, time_ms)] of a stream of remote write 1.0."""
    found = []
    for frame in frames(stream):
        for _, series in fields(unpack(frame)):
            labels, value, at_ms = {}, None, None
            for number, body in fields(series):
                if number == 1:
                    pair = dict(fields(body))
                    labels[pair[1].decode()] = pair[2].decode()
                else:
                    sample = dict(fields(body))
                    value, at_ms = sample[1], sample[2]
            found.append((labels, value, at_ms))
    return found


def packed_page(job, time_ms, page):
    body = zlib.compress(page.encode())
    head = {"job": job, "instance": "h:1", "time_ms": time_ms, "seconds": 0.25, "bytes": len(body)}
    return json.dumps(head).encode() + b"\n" + body


def test_recording_becomes_remote_write():
    page = '# HELP a b\na{le="1",job="x",q="a \\"b\\" \\\\ \\n {c}"} 1.5\nb NaN\nc{} +Inf\n'
    with tempfile.NamedTemporaryFile() as file:
        file.write(packed_page("two", 2000, page) + packed_page("one", 1000, "") + packed_page("cut", 3000, page)[:-3])
        file.flush()
        out = io.BytesIO()
        counts = record.make_stream(file.name, out)
    found = samples(out.getvalue())
    assert counts == (11, 11, 2), counts
    assert [at for _, _, at in found] == [1000] * 4 + [2000] * 7
    assert found[0][0]["__name__"] == "up" and found[0][1] == 0, "a page that did not come is down"
    labels, value, _ = found[4]
    assert value == 1.5 and labels == {"__name__": "a", "job": "two", "instance": "h:1", "le": "1", "exported_job": "x",
                                       "q": 'a "b" \\ \n {c}'}, labels
    assert list(labels) == sorted(labels)
    assert found[5][1] != found[5][1] and found[6][1] == float("inf")


def test_faulty_row_is_named():
    with tempfile.NamedTemporaryFile() as file:
        file.write(packed_page("node", 1, "what is this\n"))
        file.flush()
        try:
            record.make_stream(file.name, io.BytesIO())
        except SystemExit as stopped:
            assert "what is this" in str(stopped)
        else:
            raise AssertionError("a row that is none was taken")


def test_marks_are_judged():
    results = {"known": {"traceo": [{"cpu": 100, "rate": 1}, {"cpu": 200, "rate": 1}, {"cpu": 100, "rate": 1}],
                         "victoria": [{"cpu": 900, "rate": 1}, {"cpu": 1400, "rate": 1}, {"cpu": 1000, "rate": 1}],
                         "prometheus": [{"cpu": 2400, "rate": 1}] * 3}}
    row = next(row for row in rows.ROWS if row.task == "known" and row.how)
    assert rows.ratios(row, "victoria", results) == [9, 7, 10], "a ratio is made within a round"
    assert rows.judged(row, row.must, results) == [("victoria", 9, True, 8), ("prometheus", 24, False, 25)]
    text = "\n".join(rows.table(results, rows.SIZES["short"]))
    assert "victoria ≥ 8 ✓" in text and "prometheus ≥ 25 **no**" in text and "×9 (7 to 10)" in text, text
    share = rows.Row("new", "rss", "", "share", {"victoria": 0.45}, {"": 0.05})
    results = {"new": {"traceo": [{"rss": 40}], "victoria": [{"rss": 100}]}}
    assert rows.judged(share, share.must, results) == [("victoria", 0.4, True, 0.45)]
    assert not rows.judged(share, share.goal, results)[0][2]


def test_every_row_has_its_task():
    for row in rows.ROWS:
        servers = rows.TASKS[row.task][1]
        for column in [*row.must, *row.goal]:
            assert column == "" or column in servers, (row.title, column)


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes requests, remembers when; each `slow`-th takes 100 ms."""
    protocol_version = "HTTP/1.1"
    times, slow = [], 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Sink.times.append(time.monotonic())
        if Sink.slow and len(Sink.times) % Sink.slow == 0:
            time.sleep(0.1)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def with_sink(work, slow=0):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    Sink.times, Sink.slow = [], slow
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with tempfile.NamedTemporaryFile() as file:
        file.write((struct.pack("<I", 3) + b"abc") * 40)
        file.flush()
        try:
            return work(server.server_port, file.name)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def test_sender_waits_at_its_pause():
    def work(port, path):
        sender = subprocess.Popen([PROGRAMS["send"], "--port", str(port), "--connections", "4", "--frames-per-step", "10", "--pause-after", "2",
                                   path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert sender.stdout.readline() == "paused\n"
        before = len(Sink.times)
        time.sleep(0.2)
        assert len(Sink.times) == before == 20, "two steps, all answered, and nothing during the pause"
        out, _ = sender.communicate("\n")
        assert sender.returncode == 0 and len(Sink.times) == 40 and json.loads(out)["frames"] == 40
    with_sink(work)


def test_sender_counts_from_when_a_request_was_due():
    def work(port, path):
        out = subprocess.run([PROGRAMS["send"], "--port", str(port), "--connections", "1", "--rate", "100", path], capture_output=True, text=True,
                             check=True).stdout
        took = Sink.times[-1] - Sink.times[0]
        assert 0.3 < took < 30, took  # 40 requests, 100 a second: never faster
        return json.loads(out)
    found = with_sink(work, slow=10)
    assert found["most"] >= 100, "an answer that takes 100 ms is seen"
    # Those behind it on the connection were due meanwhile and waited: far more than one in ten is late.
    assert found["p50"] > 20, found


def test_noise_is_noise():
    def values(noise):
        out = subprocess.run([PROGRAMS["stream"], "--series", "50", "--steps", "20", "--start-ms", "1000", "--noise", noise], capture_output=True,
                             check=True).stdout
        return [value for _, value, _ in samples(out)]
    small, doubles = values("small"), values("doubles")
    assert len(small) == len(doubles) == 1000
    assert all(value == int(value) and 0 <= value < 100 for value in small) and len(set(small)) == 100
    assert len(set(doubles)) == 1000 and all(0 <= value < 1 for value in doubles)
    wrong = subprocess.run([PROGRAMS["stream"], "--start-ms", "1", "--noise", "loud"], capture_output=True)
    assert wrong.returncode == 2


SCRIPT = """http-1 
\t         d1234 __memmove_avx512 (/usr/lib/libc.so.6)
\t         12345 registry_predict+0x10 (/x/traceo)
\t         22345 serve (/x/traceo)

log 
\tffffffff81 tcp_sendmsg ([kernel.kallsyms])
\t         12345 log_append (/x/traceo)

http-1 
\t         d1234 operator<< <a b>(int) (/usr/lib/libsnappy.so.1)
\t         12345 snappy_decode.constprop.0 (/x/traceo)

house 
\t         d1234 bitpack (/x/traceo)
\t         d1234 values_encode (/x/traceo)
\t         12345 tail_pack (/x/traceo)
"""
FILES = {"registry_predict": "src/store/series/registry.c", "serve": "src/server/remote_write.c", "log_append": "src/store/log/log.c",
         "snappy_decode": "src/codec/compress.c", "bitpack": "src/store/index/bitpack.c", "tail_pack": "src/store/series/page.c"}


def test_stacks_are_read_and_have_their_stage():
    found = stages.read_script(SCRIPT)
    assert [thread for thread, _ in found] == ["http-1", "log", "http-1", "house"]
    assert found[2][1][0] == ("operator<< <a b>(int)", "/usr/lib/libsnappy.so.1")
    assert [stages.stage_of(stack, FILES) for _, stack in found] == ["resolve", "kernel: sockets", "unpack", "pack"]
    assert stages.shares(found, lambda thread, stack: stages.stage_on(thread, stack, FILES)) == dict.fromkeys(["resolve", "kernel: sockets", "unpack", "pack"], 0.25)
    cut_off = [("values_encode", "/x/traceo")]
    assert stages.stage_on("http-1", cut_off, FILES) == "pack" and stages.stage_on("house", cut_off, FILES) == "seal"
    assert stages.stage_of([("who", "/x/traceo")], FILES) == "other"
    assert "http-1;serve;registry_predict;__memmove_avx512 1" in stages.folded(found)


def test_flame_graph_is_whole():
    found = stages.read_script(SCRIPT)
    root = xml.etree.ElementTree.fromstring(stages.flame_svg(found, FILES, "a <title> & more"))
    space = "{http://www.w3.org/2000/svg}"
    frames_drawn = {group.find(f"{space}title").text: float(group.find(f"{space}rect").get("width")) for group in root.iter(f"{space}g")}
    assert frames_drawn["all: 100.00% (other)"] == stages.WIDTH
    assert frames_drawn["http-1: 50.00% (other)"] == stages.WIDTH / 2
    assert frames_drawn["registry_predict: 25.00% (resolve)"] == stages.WIDTH / 4
    assert "operator<< <a b>(int): 25.00% (unpack)" in frames_drawn


def test_shuffled_requests_keep_their_series():
    def requests(*more):
        out = subprocess.run([PROGRAMS["stream"], "--series", "100", "--steps", "3", "--batch", "50", "--start-ms", "1000", *more],
                             capture_output=True, check=True).stdout
        return [[json.dumps(labels) for labels, _, _ in samples(struct.pack("<I", len(frame)) + frame)] for frame in frames(out)]
    straight, drawn = requests(), requests("--shuffle")
    assert straight[0] == straight[2] == straight[4] and straight[1] == straight[3]
    assert all(sorted(drawn[i]) == sorted(straight[i]) for i in range(6)), "no series changes its connection"
    assert drawn[0] != drawn[2] != drawn[4] and drawn[0] != straight[0]


def test_lines_that_threads_share_are_told_from_their_own():
    text = """thread http-0 7 1000 6 1
thread http-1 8 1000 2 0
thread log 9 10 1 0
syscall 7 202 1
locked 1000 10 7 4 LOG_BUFFER -
locked 1008 20 8 2 - -
locked 2000 10 7 2 - -
locked 3000 30 9 1 - SERIES_GENERATION
"""
    symbols = {0x10: ("pthread_mutex_lock", "libc.so.6"), 0x20: ("head_append", "traceo"), 0x30: ("pthread_rwlock_rdlock", "libc.so.6")}
    threads, calls, locked = shared.read_lines(text, symbols.get)
    assert calls == {("http", 202): 1}
    found = shared.shared_lines(locked)
    assert list(found) == [0x1000 >> 6], "only the line that two threads locked"
    assert found[0x1000 >> 6] == {7: {"lock LOG_BUFFER": 4}, 8: {"head_append": 2}}
    assert locked[3][3] == "lock SERIES_GENERATION"
    table = "\n".join(shared.lines_table((threads, calls, locked), 2, 10))
    assert "| lock LOG_BUFFER 2.00, head_append 1.00 | 2 http | 3.00 | 0.00 |" in table and "100 instructions a sample" in table, table


def main():
    PROGRAMS["send"], PROGRAMS["stream"] = sys.argv[1:3]
    tests = [(name[5:].replace("_", " "), test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {name}")
        except Exception as found:  # an answer for each test, whatever went wrong
            failed += 1
            print(f"not ok {number} - {name}\n# {type(found).__name__}: {found}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
