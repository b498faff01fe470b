// Sends a stream made by bench/stream to a remote-write receiver, as fast as it takes it.
//
//   send --port P [--host H] [--path /api/v1/write] [--type application/x-protobuf] [--encoding
//   snappy] [--connections 4]
//   [--frames-per-step N] [--pause-after STEPS] [--first-rate REQUESTS] [--rate REQUESTS] FILE
//
// Every series stays on one connection, so that its samples arrive in order: frame i of a step
// always uses connection i modulo the number of connections. With --pause-after, when so many steps
// are answered, it prints "paused" and goes on when a line comes in: what the first steps cost
// (making the series) can be told from what the others do, on the same connections. With --rate it
// sends so many requests a second (after the pause; --first-rate: before it, never more), each at
// its time whether or not those before it are answered (one at a time on a connection), and a
// request's latency counts from when it was due. Prints one line: frames, bytes, seconds (since the
// pause), refused, and what latencies were, milliseconds.

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct Frame {
    const uint8_t *at;
    uint32_t len;
} Frame;

typedef struct Sender {
    const char *host, *path, *type, *encoding;
    uint16_t port;
    const Frame *frames;
    size_t count, per_step, connections, index;
    size_t pause_at;  // the frame before which all connections meet
    pthread_barrier_t *meeting;
    double rate, first_rate;  // requests a second of all connections; 0: as fast as answered
    struct timespec *begun;
    double *latencies;  // of each frame, milliseconds
    uint64_t sent, bytes, refused;
    int worst_status;
    char first_refusal[200];
} Sender;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int connect_to(const Sender *sender) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(sender->port)};
    if (fd < 0 || inet_pton(AF_INET, sender->host, &address.sin_addr) != 1) fail("send: address");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("send: connect");
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void write_all(int fd, const void *from, size_t len) {
    const uint8_t *at = from;
    while (len > 0) {
        ssize_t done = send(fd, at, len, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) fail("send: write");
        at += done;
        len -= (size_t)done;
    }
}

// Reads one answer and returns its status; a body is read to its stated end. *closing: the server
// ends the connection after it.
static int read_answer(int fd, char *into, size_t size, bool *closing) {
    size_t have = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = recv(fd, into + have, size - 1 - have, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail("send: the server closed the connection");
        have += (size_t)got;
        into[have] = '\0';
        end = strstr(into, "\r\n\r\n");
        if (end == NULL && have == size - 1) fail("send: an answer with too large a header");
    }
    int status = (int)strtol(into + 9, NULL, 10);
    const char *closes = strcasestr(into, "\r\nconnection: close");
    *closing = closes != NULL && closes < end;
    const char *length = strcasestr(into, "\r\ncontent-length:");
    size_t body = length == NULL || length > end ? 0 : (size_t)strtoul(length + 17, NULL, 10);
    size_t read = have - (size_t)(end + 4 - into);
    while (read < body) {
        char rest[4096];
        size_t want = body - read < sizeof rest ? body - read : sizeof rest;
        ssize_t got = recv(fd, rest, want, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail("send: half an answer");
        read += (size_t)got;
    }
    return status;
}

static double seconds_since(const struct timespec *begun) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) * 1e-9;
}

// All connections have their answers; the first one asks to go on. The clock begins anew.
static void pause_here(Sender *sender) {
    pthread_barrier_wait(sender->meeting);
    if (sender->index == 0) {
        printf("paused\n");
        fflush(stdout);
        char line[16];
        if (fgets(line, sizeof line, stdin) == NULL) fail("send: nothing to go on with");
        clock_gettime(CLOCK_MONOTONIC, sender->begun);
    }
    pthread_barrier_wait(sender->meeting);
}

static void wait_until(const Sender *sender, double due) {
    double left = due - seconds_since(sender->begun);
    if (left > 0) usleep((useconds_t)(left * 1e6));
}

static void *run(void *context) {
    Sender *sender = context;
    int fd = connect_to(sender);
    char head[512], answer[8192];
    bool paused = false;
    double last = -1e9;
    for (size_t i = 0; i < sender->count; i++) {
        if (!paused && i >= sender->pause_at) {
            pause_here(sender);
            paused = true;
        }
        if (i % sender->per_step % sender->connections != sender->index) continue;
        double due = seconds_since(sender->begun);
        bool first_part = !paused && sender->pause_at != SIZE_MAX;
        double rate = first_part ? sender->first_rate : sender->rate;
        if (rate > 0) {
            due = (double)(i - (paused ? sender->pause_at : 0)) / rate;
            // What the receiver limits must not be made up for after it was slow.
            if (first_part) due = fmax(due, last + (double)sender->connections / rate);
            wait_until(sender, due);
            last = seconds_since(sender->begun);
        }
        int len = snprintf(head, sizeof head,
                           "POST %s HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: %s\r\n"
                           "Content-Encoding: %s\r\n"
                           "X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: %u\r\n\r\n",
                           sender->path, sender->host, sender->port, sender->type, sender->encoding,
                           sender->frames[i].len);
        for (int tries = 0;; tries++) {
            write_all(fd, head, (size_t)len);
            write_all(fd, sender->frames[i].at, sender->frames[i].len);
            bool closing;
            int status = read_answer(fd, answer, sizeof answer, &closing);
            if (closing) {
                close(fd);
                fd = connect_to(sender);
            }
            if (status / 100 == 2) break;
            // 429 and 5xx ask to come again, as Prometheus does; anything else is a refusal.
            if ((status == 429 || status / 100 == 5) && tries < 600) {
                usleep(50000);
                continue;
            }
            if (sender->refused++ == 0)
                snprintf(sender->first_refusal, sizeof sender->first_refusal, "%.199s", answer);
            if (status > sender->worst_status) sender->worst_status = status;
            break;
        }
        sender->latencies[i] = (seconds_since(sender->begun) - due) * 1e3;
        sender->sent++;
        sender->bytes += sender->frames[i].len;
    }
    close(fd);
    return NULL;
}

static Frame *load(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *all = malloc(size == 0 ? 1 : size);
    if (all == NULL || fread(all, 1, size, file) != size) fail(path);
    fclose(file);
    Frame *frames = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t at = 0; at + 4 <= size;) {
        uint32_t len;
        memcpy(&len, all + at, 4);
        if (len > size - at - 4) {
            fprintf(stderr, "send: %s ends within a frame\n", path);
            exit(1);
        }
        if (*count == capacity) {
            capacity = capacity == 0 ? 1024 : capacity * 2;
            frames = realloc(frames, capacity * sizeof *frames);
            if (frames == NULL) fail("memory");
        }
        frames[(*count)++] = (Frame){all + at + 4, len};
        at += 4 + len;
    }
    return frames;
}

static const char *option(int argc, char **argv, const char *name, const char *standard) {
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    }
    return standard;
}

static int by_size(const void *a, const void *b) {
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

int main(int argc, char **argv) {
    long port = strtol(option(argc, argv, "--port", "0"), NULL, 10);
    size_t connections = (size_t)strtoul(option(argc, argv, "--connections", "4"), NULL, 10);
    size_t per_step =
        (size_t)strtoul(option(argc, argv, "--frames-per-step", "1000000000"), NULL, 10);
    if (argc < 2 || port <= 0 || port > 65535 || connections == 0 || connections > 64 ||
        per_step == 0) {
        fprintf(stderr,
                "usage: send --port P [--host H] [--path P] [--connections N] [--frames-per-step "
                "N] [--pause-after STEPS] [--first-rate REQUESTS] [--rate REQUESTS] FILE\n");
        return 2;
    }
    size_t count;
    Frame *frames = load(argv[argc - 1], &count);
    Sender senders[64];
    pthread_t threads[64];
    struct timespec begun;
    pthread_barrier_t meeting;
    double *latencies = calloc(count + 1, sizeof *latencies);
    unsigned long pause_after = strtoul(option(argc, argv, "--pause-after", "0"), NULL, 10);
    size_t pause_at = pause_after == 0 ? SIZE_MAX : pause_after * per_step;
    if (pause_at != SIZE_MAX && pause_at >= count) {
        fprintf(stderr, "send: %lu steps are not less than the file has (%zu frames)\n",
                pause_after, count);
        return 2;
    }
    if (latencies == NULL || pthread_barrier_init(&meeting, NULL, (unsigned)connections) != 0)
        fail("memory");
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (size_t i = 0; i < connections; i++) {
        senders[i] = (Sender){.host = option(argc, argv, "--host", "127.0.0.1"),
                              .path = option(argc, argv, "--path", "/api/v1/write"),
                              .type = option(argc, argv, "--type", "application/x-protobuf"),
                              .encoding = option(argc, argv, "--encoding", "snappy"),
                              .port = (uint16_t)port,
                              .frames = frames,
                              .count = count,
                              .per_step = per_step,
                              .connections = connections,
                              .pause_at = pause_at,
                              .meeting = &meeting,
                              .rate = strtod(option(argc, argv, "--rate", "0"), NULL),
                              .first_rate = strtod(option(argc, argv, "--first-rate", "0"), NULL),
                              .begun = &begun,
                              .latencies = latencies,
                              .index = i};
        if (pthread_create(&threads[i], NULL, run, &senders[i]) != 0) fail("thread");
    }
    uint64_t sent = 0, bytes = 0, refused = 0;
    const char *first = "";
    for (size_t i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
        sent += senders[i].sent;
        bytes += senders[i].bytes;
        refused += senders[i].refused;
        if (senders[i].refused > 0) first = senders[i].first_refusal;
    }
    double seconds = seconds_since(&begun);
    size_t first_counted = pause_at == SIZE_MAX ? 0 : pause_at, counted = count - first_counted;
    double *of = latencies + first_counted;
    qsort(of, counted, sizeof *of, by_size);
    printf(
        "{\"frames\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"refused\": %llu, "
        "\"p50\": %.3f, \"p99\": %.3f, \"most\": %.3f}\n",
        (unsigned long long)sent, (unsigned long long)bytes, seconds, (unsigned long long)refused,
        counted == 0 ? 0 : of[counted / 2], counted == 0 ? 0 : of[counted * 99 / 100],
        counted == 0 ? 0 : of[counted - 1]);
    if (refused > 0) fprintf(stderr, "send: first refusal: %s\n", first);
    return refused == 0 ? 0 : 1;
}
