/* A load generator for HTTP/1.1 POST requests: one thread, epoll, keep-alive, aware of server-sent events.
 *
 *   load -p PORT -f BODY [-P path] [-c connections] [-d seconds] [-w warm-up seconds] [-r requests/s]
 *        [-s ramp seconds] [-H "Name: value"]...
 *
 * Without -r the loop is closed: each connection sends its next request when the last one is answered. With -r it is
 * open: requests start on a fixed schedule, and a latency counts from the scheduled time, so a slow server can't hide
 * behind a slow client. -s spreads the first request of each connection over so many seconds. Prints one JSON line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef long long nanos;

enum { HEAD_MAX = 8192, BODY_MAX = 1 << 20, EVENTS_MAX = 1024, READ_MAX = 1 << 17 };
enum phase { HEAD, BODY };
enum chunk { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

typedef struct {
    int fd;
    int busy;              /* a request is out */
    enum phase phase;
    char head[HEAD_MAX];
    int head_len;
    int status;
    int chunked;
    int closing;           /* the server said "Connection: close" */
    nanos rest;            /* bytes left of the body, or of the chunk; -1: until the connection closes */
    enum chunk chunk;
    char size[20];
    int size_len;
    int newline;           /* the last byte was a newline: a second one ends an event */
    nanos started, first_byte;
    nanos events;
} connection;

static int epoll_fd, port = 8080, connections_max = 10;
static char *request;
static int request_len;
static connection *connections;

static nanos window_start, window_end;      /* what is measured: after the warm-up */
static unsigned *latencies, *first_bytes;   /* in 100 ns */
static size_t measured, measured_max;
static nanos total, total_events, failed, not_200, window_events;

static nanos now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void dial(connection *c) {
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (void *)&address, sizeof address)) {
        perror("connect");
        exit(2);
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
    c->busy = 0;
}

static void fire(connection *c, nanos at) {
    c->busy = 1;
    c->phase = HEAD;
    c->head_len = c->newline = c->closing = 0;
    c->events = c->first_byte = 0;
    c->started = at;
    for (int sent = 0; sent < request_len;) {
        int n = send(c->fd, request + sent, request_len - sent, MSG_NOSIGNAL);
        if (n <= 0) break;      /* the read side sees the reset and counts it */
        sent += n;
    }
}

static void finish(connection *c, int complete) {
    nanos t = now();
    c->busy = 0;
    if (!complete) {
        failed++;
        return;
    }
    total++;
    if (c->status != 200) not_200++;
    if (t < window_start || t > window_end) return;
    if (measured == measured_max) {
        measured_max = measured_max ? measured_max * 2 : 1 << 16;
        latencies = realloc(latencies, measured_max * sizeof *latencies);
        first_bytes = realloc(first_bytes, measured_max * sizeof *first_bytes);
    }
    latencies[measured] = (t - c->started) / 100;
    first_bytes[measured++] = (c->first_byte - c->started) / 100;
}

/* Counts the events that end in these bytes: two newlines in a row, even across reads. */
static void count_events(connection *c, const char *p, int n, int in_window) {
    const char *end = p + n;
    while (p < end) {
        if (c->newline && *p == '\n') {
            c->events++;
            total_events++;
            window_events += in_window;
            c->newline = 0;
            p++;
            continue;
        }
        c->newline = 0;
        const char *line_end = memchr(p, '\n', end - p);
        if (!line_end) return;
        c->newline = 1;
        p = line_end + 1;
    }
}

static void read_fields(connection *c, char *head_end) {
    c->status = atoi(c->head + 9);
    c->rest = -1;
    c->chunked = 0;
    for (char *line = c->head; line < head_end;) {
        char *line_end = memmem(line, head_end + 2 - line, "\r\n", 2);
        if (!strncasecmp(line, "content-length:", 15)) c->rest = atoll(line + 15);
        else if (!strncasecmp(line, "transfer-encoding:", 18)) c->chunked = 1;
        else if (!strncasecmp(line, "connection: close", 17)) c->closing = 1;
        line = line_end + 2;
    }
}

/* Returns 1 when the last chunk has been read. */
static int read_chunks(connection *c, const char *p, int n, int in_window) {
    const char *end = p + n;
    while (p < end) switch (c->chunk) {
        case CHUNK_SIZE:
            if (*p == '\n') {
                c->size[c->size_len] = 0;
                c->rest = strtoll(c->size, 0, 16);
                c->size_len = 0;
                c->chunk = c->rest ? CHUNK_DATA : TRAILER;
            } else if (c->size_len < (int)sizeof c->size - 2) {
                c->size[c->size_len++] = *p;
            }
            p++;
            break;
        case CHUNK_DATA: {
            int k = end - p < c->rest ? end - p : c->rest;
            count_events(c, p, k, in_window);
            c->rest -= k;
            p += k;
            if (!c->rest) c->chunk = CHUNK_END;
            break;
        }
        case CHUNK_END:
            if (*p++ == '\n') c->chunk = CHUNK_SIZE;
            break;
        case TRAILER:
            if (*p++ == '\n') return 1;
            break;
        }
    return 0;
}

/* Returns 1 when the response is complete. */
static int feed(connection *c, const char *p, int n, int in_window) {
    if (c->phase == HEAD) {
        int before = c->head_len, room = HEAD_MAX - 1 - before, k = n < room ? n : room;
        memcpy(c->head + before, p, k);
        c->head_len += k;
        char *head_end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
        if (!head_end) return 0;
        int used = (int)(head_end - c->head) + 4 - before;
        if (!c->first_byte) c->first_byte = now();
        read_fields(c, head_end);
        p += used;
        n -= used;
        if (c->status == 100) {
            c->head_len = 0;
            return n > 0 ? feed(c, p, n, in_window) : 0;
        }
        c->phase = BODY;
        c->chunk = CHUNK_SIZE;
        c->size_len = 0;
        if (!c->chunked && c->rest == 0) return 1;
    }
    if (c->chunked) return read_chunks(c, p, n, in_window);
    count_events(c, p, n, in_window);
    if (c->rest < 0) return 0;
    c->rest -= n;
    return c->rest <= 0;
}

static int compare(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const unsigned *sorted, double q) {
    if (!measured) return 0;
    size_t i = q * measured;
    return sorted[i < measured ? i : measured - 1] / 10000.0;
}

static void build_request(const char *path, const char *file, const char *fields) {
    static char body[BODY_MAX];
    FILE *f = fopen(file, "r");
    if (!f) {
        perror(file);
        exit(2);
    }
    int body_len = fread(body, 1, sizeof body, f);
    fclose(f);
    request = malloc(body_len + HEAD_MAX);
    request_len = sprintf(request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 2.8.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version: 2.8.0\r\n"
        "X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nAccept-Encoding: gzip, deflate\r\n%s"
        "Content-Length: %d\r\n\r\n", path, port, fields, body_len);
    memcpy(request + request_len, body, body_len);
    request_len += body_len;
}

static void report(double seconds) {
    qsort(latencies, measured, sizeof *latencies, compare);
    qsort(first_bytes, measured, sizeof *first_bytes, compare);
    printf("{\"measured\":%zu,\"total\":%lld,\"total_events\":%lld,\"failed\":%lld,\"not_200\":%lld,\"rate\":%.1f,"
           "\"events_rate\":%.1f,\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f,"
           "\"first_byte_p50_ms\":%.4f,\"first_byte_p99_ms\":%.4f}\n",
           measured, total, total_events, failed, not_200, measured / seconds, window_events / seconds,
           quantile_ms(latencies, .5), quantile_ms(latencies, .9), quantile_ms(latencies, .99),
           quantile_ms(latencies, 1), quantile_ms(first_bytes, .5), quantile_ms(first_bytes, .99));
}

int main(int argc, char **argv) {
    double seconds = 5, warm = 1, rate = 0, ramp = 0;
    char *path = "/v1/chat/completions", *file = 0, fields[4096] = "";
    for (int o; (o = getopt(argc, argv, "p:P:c:d:w:r:s:f:H:")) != -1;) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'P': path = optarg; break;
        case 'c': connections_max = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 's': ramp = atof(optarg); break;
        case 'f': file = optarg; break;
        case 'H':
            strncat(fields, optarg, sizeof fields - strlen(fields) - 3);
            strcat(fields, "\r\n");
            break;
        default: return 2;
        }
    if (!file) {
        fprintf(stderr, "load: -f BODY is missing\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    build_request(path, file, fields);

    epoll_fd = epoll_create1(0);
    connections = calloc(connections_max, sizeof *connections);
    int *idle = malloc(connections_max * sizeof *idle), idle_len = 0, fired = 0;
    for (int i = 0; i < connections_max; i++) dial(&connections[i]);
    if (rate) for (int i = 0; i < connections_max; i++) idle[idle_len++] = i;

    nanos start = now(), next = start, scheduled = 0;
    window_start = start + warm * 1e9;
    window_end = window_start + seconds * 1e9;
    static struct epoll_event ready[EVENTS_MAX];
    static char buffer[READ_MAX];
    for (nanos t; (t = now()) < window_end;) {
        struct timespec timeout = {0, 50000000};
        if (rate) {
            while (next <= t && idle_len) {
                fire(&connections[idle[--idle_len]], next);
                next = start + (nanos)(++scheduled * 1e9 / rate);
            }
            if (idle_len && next - t < timeout.tv_nsec) timeout.tv_nsec = next > t ? next - t : 0;
        } else if (fired < connections_max) {
            while (fired < connections_max && t - start >= (nanos)(ramp * 1e9 * fired / connections_max))
                fire(&connections[fired++], now());
            timeout.tv_nsec = 1000000;
        }
        int n = epoll_pwait2(epoll_fd, ready, EVENTS_MAX, &timeout, 0);
        for (int i = 0; i < n; i++) {
            connection *c = ready[i].data.ptr;
            int got = recv(c->fd, buffer, sizeof buffer, 0), done = 0, redial = 0;
            if (got <= 0) {
                int until_close = c->phase == BODY && !c->chunked && c->rest < 0;
                if (c->busy) finish(c, until_close), done = 1;
                redial = 1;
            } else if (c->busy && feed(c, buffer, got, t >= window_start)) {
                finish(c, 1);
                done = 1;
                redial = c->closing;
            }
            if (redial) {
                close(c->fd);
                dial(c);
            }
            if (!done) continue;
            if (rate) idle[idle_len++] = c - connections;
            else if (now() < window_end) fire(c, now());
        }
    }
    report(seconds);
    return 0;
}
