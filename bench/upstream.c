/* A provider that answers at once: OpenAI's chat completions from constants. One thread, epoll, keep-alive.
 *
 *   upstream PORT
 *
 * A text `fake-N-D` anywhere in the request body asks for N content events, D ms apart (0: the whole stream in one
 * write); without it 50 and 0. `"stream": true` gives server-sent events (N + 3: role, N tokens, finish, [DONE], and
 * one more with the usage if `include_usage` is asked for), anything else a body of about 800 bytes.
 * GET /stats answers the counters {"requests", "streams", "open"}.
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

enum { EVENTS_MAX = 1024, INPUT_FIRST = 4096 };

#define DATE "Date: Mon, 23 Nov 2026 06:00:00 GMT\r\n"
#define COMMON "Connection: keep-alive\r\nx-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 12\r\n"
#define NAMES "\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\"," \
    "\"system_fingerprint\":\"fp_0123456789\","
#define USAGE(completion, sum) "\"usage\":{\"prompt_tokens\":42,\"completion_tokens\":" completion \
    ",\"total_tokens\":" sum ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0}," \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0," \
    "\"rejected_prediction_tokens\":0}}"

static const char ANSWER[] =
    "{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012\",\"object\":\"chat.completion\"," NAMES
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The gateway answered through the "
    "fake upstream. This is a sentence to make it long enough.\",\"refusal\":null,\"annotations\":[]},"
    "\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE("18", "60") "}";

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    COMMON "\r\n";

#define EVENT "{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012\",\"object\":\"chat.completion.chunk\"," NAMES
#define DELTA(delta, finish) EVENT "\"choices\":[{\"index\":0,\"delta\":" delta \
    ",\"logprobs\":null,\"finish_reason\":" finish "}],\"usage\":null}"

/* Complete chunks, framing included. */
typedef struct { char bytes[1024]; int len; } piece;
static piece role, token, stop, usage, done;
static char response[2048];
static int response_len;

typedef struct connection {
    int fd;
    char *in;
    int in_len, in_max;
    char *out;
    int out_len, out_max, sent;
    int writing;                        /* EPOLLOUT is on */
    int streaming, step, tokens, asked_usage;
    nanos delay, due;                   /* of the next event */
    int queued;
    struct connection *next, *previous; /* in the queue of due events */
} connection;

static int epoll_fd;
static connection *first, *last;        /* sorted by `due` */
static nanos requests, streams, open_connections;

static nanos now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void make_piece(piece *p, const char *json, const char *tail) {
    char frame[900];
    int n = sprintf(frame, "data: %s\n\n", json);
    p->len = sprintf(p->bytes, "%x\r\n%s\r\n%s", n, frame, tail);
}

static void make_answers(void) {
    response_len = sprintf(response,
        "HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/json\r\nContent-Length: %d\r\n" COMMON
        "x-ratelimit-remaining-requests: 9999\r\n\r\n%s", (int)sizeof ANSWER - 1, ANSWER);
    make_piece(&role, DELTA("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null"), "");
    make_piece(&token, DELTA("{\"content\":\" token\"}", "null"), "");
    make_piece(&stop, DELTA("{}", "\"stop\""), "");
    make_piece(&usage, EVENT "\"choices\":[]," USAGE("50", "92") "}", "");
    make_piece(&done, "[DONE]", "0\r\n\r\n");
}

/* -- the queue of paced streams -- */

static void unqueue(connection *c) {
    if (!c->queued) return;
    if (c->previous) c->previous->next = c->next; else first = c->next;
    if (c->next) c->next->previous = c->previous; else last = c->previous;
    c->next = c->previous = 0;
    c->queued = 0;
}

static void queue(connection *c) {
    connection *before = last;
    while (before && before->due > c->due) before = before->previous;
    c->previous = before;
    c->next = before ? before->next : first;
    if (c->next) c->next->previous = c; else last = c;
    if (before) before->next = c; else first = c;
    c->queued = 1;
}

/* -- output -- */

static void put(connection *c, const char *bytes, int n) {
    if (c->out_len + n > c->out_max) {
        c->out_max = (c->out_len + n) * 2;
        c->out = realloc(c->out, c->out_max);
    }
    memcpy(c->out + c->out_len, bytes, n);
    c->out_len += n;
}

static void want_write(connection *c, int wanted) {
    if (c->writing == wanted) return;
    c->writing = wanted;
    struct epoll_event e = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static int flush(connection *c) {
    while (c->sent < c->out_len) {
        int n = send(c->fd, c->out + c->sent, c->out_len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return -1;
            want_write(c, 1);
            return 0;
        }
        c->sent += n;
    }
    c->sent = c->out_len = 0;
    want_write(c, 0);
    return 0;
}

/* Puts the next event of the stream; returns 1 after the last one. */
static int put_event(connection *c) {
    int step = c->step++;
    if (step == c->tokens + 2 && !c->asked_usage) step = c->step++;
    const piece *p = step == 0 ? &role : step <= c->tokens ? &token : step == c->tokens + 1 ? &stop
        : step == c->tokens + 2 && c->asked_usage ? &usage : &done;
    put(c, p->bytes, p->len);
    return p == &done;
}

/* -- requests -- */

static void hang_up(connection *c) {
    unqueue(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
    open_connections--;
}

static int wants_stream(const char *body, int n) {
    const char *p = memmem(body, n, "\"stream\"", 8);
    if (!p) return 0;
    for (p += 8; *p == ' ' || *p == ':';) p++;
    return *p == 't';
}

static void answer_stream(connection *c, const char *body, int n) {
    int delay_ms = 0;
    const char *marker = memmem(body, n, "fake-", 5);
    c->tokens = 50;
    if (marker) sscanf(marker, "fake-%d-%d", &c->tokens, &delay_ms);
    c->asked_usage = memmem(body, n, "include_usage", 13) != 0;
    c->delay = delay_ms * 1000000LL;
    c->step = 0;
    streams++;
    put(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    if (!c->delay) {
        while (!put_event(c)) {}
        return;
    }
    put_event(c);
    c->streaming = 1;
    c->due = now() + c->delay;
    queue(c);
}

static void answer_stats(connection *c) {
    char body[256], text[512];
    int n = sprintf(body, "{\"requests\":%lld,\"streams\":%lld,\"open\":%lld}", requests, streams, open_connections);
    n = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
    put(c, text, n);
}

/* Takes one request from the input: 1 done, 0 incomplete, -1 the connection is broken. */
static int take(connection *c) {
    char *head_end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!head_end) return 0;
    int head_len = head_end - c->in + 4, length = 0, chunked = 0, size;
    for (char *line = c->in; line < head_end;) {
        char *line_end = memmem(line, head_end + 2 - line, "\r\n", 2);
        if (!strncasecmp(line, "content-length:", 15)) length = atoi(line + 15);
        else if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = 1;
        line = line_end + 2;
    }
    if (chunked) {
        char *end = memmem(c->in + head_len - 2, c->in_len - head_len + 2, "\r\n0\r\n\r\n", 7);
        if (!end) return 0;
        size = end + 7 - c->in;
    } else {
        size = head_len + length;
        if (c->in_len < size) return 0;
    }
    requests++;
    const char *body = c->in + head_len;
    if (!strncmp(c->in, "GET ", 4)) answer_stats(c);
    else if (wants_stream(body, size - head_len)) answer_stream(c, body, size - head_len);
    else put(c, response, response_len);
    memmove(c->in, c->in + size, c->in_len - size);
    c->in_len -= size;
    return flush(c) < 0 ? -1 : 1;
}

static void welcome(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->in_max = INPUT_FIRST;
        c->in = malloc(c->in_max);
        open_connections++;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void receive(connection *c) {
    if (c->in_max - c->in_len < INPUT_FIRST / 2) {
        c->in_max *= 2;
        c->in = realloc(c->in, c->in_max);
    }
    int n = recv(c->fd, c->in + c->in_len, c->in_max - c->in_len - 1, 0), taken = 1;
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        hang_up(c);
        return;
    }
    if (n < 0) return;
    c->in_len += n;
    c->in[c->in_len] = 0;
    while (c->in_len && !c->streaming && (taken = take(c)) > 0) {}
    if (taken < 0) hang_up(c);
}

static void send_due_events(void) {
    nanos t = now();
    while (first && first->due <= t) {
        connection *c = first;
        unqueue(c);
        if (put_event(c)) {
            c->streaming = 0;
        } else {
            c->due += c->delay;
            queue(c);
        }
        if (flush(c) < 0) hang_up(c);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: upstream PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    make_answers();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("upstream: bind");
        return 1;
    }
    epoll_fd = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = 0};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    static struct epoll_event ready[EVENTS_MAX];
    for (;;) {
        int timeout_ms = -1;
        if (first) {
            nanos rest = first->due - now();
            timeout_ms = rest <= 0 ? 0 : (rest + 999999) / 1000000;
        }
        int n = epoll_wait(epoll_fd, ready, EVENTS_MAX, timeout_ms);
        for (int i = 0; i < n; i++) {
            connection *c = ready[i].data.ptr;
            if (!c) welcome(listener);
            else if ((ready[i].events & EPOLLOUT) && flush(c) < 0) hang_up(c);
            else if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
        send_due_events();
    }
}
