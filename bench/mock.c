/* The provider of the measurements: answers chat completions as cheaply as it can, so that the
 * proxies between are the limit. A body that has "stream":true near its begin gets a stream whose
 * shape stands in the model's name: bench:n=100,d=10000 gives 100 events, one each 10,000 us; every
 * event carries the time of its sending. GET /stats tells requests, connections and resumed TLS
 * handshakes. Options: --port N, --cert FILE --key FILE (TLS), --close (one answer a connection).
 */
#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 65536, READ_BYTES = 256 << 10, HEAD_BYTES = 16 << 10, LOOK_BYTES = 2048 };

struct conn {
    int fd;
    SSL *ssl;
    char *held; /* an incomplete head, and what of the body is looked at */
    size_t held_n;
    uint64_t body_left; /* of the request whose head was read */
    bool in_body, stream, is_stats;
    uint64_t events_left, gap_ns, due_ns;
    size_t heap_at; /* in `heap`, 1-based; 0: not in it */
};

static struct conn *conns[MAX_FDS], *heap[MAX_FDS + 1];
static size_t heap_n;
static int ep;
static SSL_CTX *tls;
static bool close_each;
static uint64_t n_requests, n_accepted, n_dropped_events;
static char *read_buf;
static char answer[1024], stream_head[512];
static size_t answer_n, stream_head_n;

static const char answer_body[] =
    "{\"id\":\"chatcmpl-BenchBenchBenchBenchBench12\",\"object\":\"chat.completion\","
    "\"created\":1700000000,\"model\":\"bench-1-2026-01-01\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"The sea is blue because it absorbs red light and "
    "scatters the rest; the sky above it is blue for a kindred reason, which has a name of its "
    "own.\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":219,\"completion_tokens\":37,\"total_tokens\":256,"
    "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":"
    "{\"reasoning_tokens\":0}},\"system_fingerprint\":\"fp_0123456789\"}";

/* ---- the streams' next events: a binary heap by time ---- */

static void heap_put(size_t at, struct conn *c)
{
    heap[at] = c;
    c->heap_at = at;
}

static void heap_sift(size_t at)
{
    struct conn *c = heap[at];
    for (; at > 1 && heap[at / 2]->due_ns > c->due_ns; at /= 2)
        heap_put(at, heap[at / 2]);
    for (size_t kid; (kid = at * 2) <= heap_n; at = kid) {
        if (kid < heap_n && heap[kid + 1]->due_ns < heap[kid]->due_ns)
            kid++;
        if (heap[kid]->due_ns >= c->due_ns)
            break;
        heap_put(at, heap[kid]);
    }
    heap_put(at, c);
}

static void heap_add(struct conn *c)
{
    heap_put(++heap_n, c);
    heap_sift(heap_n);
}

static void heap_del(struct conn *c)
{
    size_t at = c->heap_at;
    c->heap_at = 0;
    if (at == 0)
        return;
    struct conn *last = heap[heap_n--];
    if (last == c)
        return;
    heap_put(at, last);
    heap_sift(at);
}

/* ---- connections ---- */

static void conn_close(struct conn *c)
{
    heap_del(c);
    if (c->ssl) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->held);
    free(c);
}

/* 0 or more bytes, 0: nothing now, -1: over. */
static ssize_t conn_read(struct conn *c, char *buf, size_t cap, bool *out_over)
{
    *out_over = false;
    if (!c->ssl) {
        ssize_t n = recv(c->fd, buf, cap, 0);
        *out_over = n == 0 || (n < 0 && errno != EAGAIN);
        return n > 0 ? n : 0;
    }
    int n = SSL_read(c->ssl, buf, (int)cap);
    if (n > 0)
        return n;
    int err = SSL_get_error(c->ssl, n);
    *out_over = err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return 0;
}

/* What does not fit the socket's buffer is a slow reader's loss: that connection ends, or, between
 * two events, the event does. */
static bool conn_write(struct conn *c, const char *p, size_t n)
{
    ssize_t rc = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
    return rc == (ssize_t)n;
}

/* ---- answers ---- */

static size_t make_event(char *out, size_t cap)
{
    char json[512];
    int n = snprintf(json, sizeof json,
                     "data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBench12\",\"object\":"
                     "\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
                     "\"bench-1-2026-01-01\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                     "\"" STAMP_MARK "%020llu some words\"},\"logprobs\":null,"
                     "\"finish_reason\":null}]}\n\n",
                     (unsigned long long)now_ns());
    return (size_t)snprintf(out, cap, "%x\r\n%s\r\n", (unsigned)n, json);
}

static const char stream_end[] =
    "76\r\ndata: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":"
    "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\r\n"
    "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

static void send_event(struct conn *c)
{
    char event[640];
    size_t n = make_event(event, sizeof event);
    if (c->events_left-- == 0) {
        heap_del(c);
        if (!conn_write(c, stream_end, sizeof stream_end - 1))
            conn_close(c);
        return;
    }
    if (!conn_write(c, event, n))
        n_dropped_events++;
    c->due_ns += c->gap_ns;
    heap_sift(c->heap_at);
}

static void start_stream(struct conn *c)
{
    static uint64_t phase;
    if (!conn_write(c, stream_head, stream_head_n)) {
        conn_close(c);
        return;
    }
    phase = phase * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's MMIX */
    uint64_t most = NS_PER_S / 100, first = c->gap_ns < most ? c->gap_ns : most;
    c->due_ns = now_ns() + (phase >> 32) * first / UINT32_MAX;
    heap_add(c);
}

static bool send_stats(struct conn *c)
{
    char body[320], all[480];
    long resumed = tls ? SSL_CTX_sess_hits(tls) : 0;
    long good = tls ? SSL_CTX_sess_accept_good(tls) : 0;
    int n = snprintf(body, sizeof body,
                     "{\"requests\":%llu,\"connections\":%llu,\"handshakes\":%ld,\"resumed\":%ld,"
                     "\"dropped_events\":%llu}",
                     (unsigned long long)n_requests, (unsigned long long)n_accepted, good, resumed,
                     (unsigned long long)n_dropped_events);
    int total =
        snprintf(all, sizeof all, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
    return conn_write(c, all, (size_t)total);
}

static void on_request(struct conn *c)
{
    c->in_body = false;
    if (c->stream) {
        n_requests++;
        start_stream(c);
        return;
    }
    n_requests += !c->is_stats;
    bool sent = c->is_stats ? send_stats(c) : conn_write(c, answer, answer_n);
    if (!sent || close_each)
        conn_close(c);
}

/* ---- requests ---- */

static void look_at(struct conn *c, const char *body, size_t n)
{
    n = n < LOOK_BYTES ? n : LOOK_BYTES;
    c->stream = memmem(body, n, "\"stream\":true", 13) != NULL;
    if (!c->stream)
        return;
    c->events_left = number_after(body, n, "n=", 100);
    c->gap_ns = number_after(body, n, "d=", 10000) * NS_PER_US;
}

static void hold(struct conn *c, const char *p, size_t n)
{
    if (n > HEAD_BYTES)
        die("a request's head is too long");
    if (!c->held)
        c->held = must_alloc(1, HEAD_BYTES);
    if (p != c->held)
        memcpy(c->held, p, n);
    c->held_n = n;
}

static uint64_t content_length(const char *p, size_t n)
{
    for (size_t i = 0; i + 16 < n; i++) {
        if ((p[i] | 32) == 'c' && strncasecmp(p + i, "content-length:", 15) == 0)
            return strtoull(p + i + 15, NULL, 10);
    }
    return 0;
}

/* A request begins at p; false: its head, or the part of the body that is looked at, is not all
 * there yet. Requests are never sent ahead, so one read holds at most one. */
static bool on_begin(struct conn *c, const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end)
        return false;
    size_t head = (size_t)(end - p) + 4, here = n - head;
    uint64_t length = content_length(p, head);
    uint64_t needed = length < LOOK_BYTES / 2 ? length : LOOK_BYTES / 2;
    if (here < needed)
        return false;
    c->is_stats = n > 10 && memcmp(p, "GET /stats", 10) == 0;
    look_at(c, p + head, here);
    c->body_left = length - here;
    c->in_body = true;
    return true;
}

static void on_bytes(struct conn *c, char *p, size_t n)
{
    if (c->in_body) {
        c->body_left -= n < c->body_left ? n : c->body_left;
    } else {
        size_t before = c->held_n;
        if (before) {
            if (before + n > HEAD_BYTES)
                n = HEAD_BYTES - before;
            memcpy(c->held + before, p, n);
            p = c->held;
            n += before;
        }
        if (!on_begin(c, p, n)) {
            hold(c, p, n);
            return;
        }
        c->held_n = 0;
        free(c->held);
        c->held = NULL;
    }
    if (c->body_left == 0)
        on_request(c);
}

static void on_readable(struct conn *c)
{
    bool over, again;
    int fd = c->fd;
    do {
        size_t cap = c->held_n ? HEAD_BYTES - c->held_n : READ_BYTES;
        ssize_t n = conn_read(c, read_buf, cap, &over);
        if (over) {
            conn_close(c);
            return;
        }
        if (n > 0)
            on_bytes(c, read_buf, (size_t)n);
        again = n > 0 && conns[fd] == c && (c->ssl ? SSL_pending(c->ssl) > 0 : (size_t)n == cap);
    } while (again);
}

static void on_accept(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FDS)
            die("too many connections");
        struct conn *c = must_alloc(1, sizeof *c);
        c->fd = fd;
        conns[fd] = c;
        n_accepted++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (tls) {
            c->ssl = SSL_new(tls);
            if (!c->ssl)
                die("out of memory");
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
        }
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* ---- main ---- */

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
        die("cannot listen on port %u: %s", port, strerror(errno));
    socklen_t n = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &n);
    printf("%u\n", ntohs(a.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void make_answers(void)
{
    answer_n = (size_t)snprintf(answer, sizeof answer,
                                "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                "Content-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
                                sizeof answer_body - 1, close_each ? "Connection: close\r\n" : "",
                                answer_body);
    stream_head_n = (size_t)snprintf(stream_head, sizeof stream_head,
                                     "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                                     "Content-Type: text/event-stream\r\nCache-Control: no-cache"
                                     "\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void start_tls(const char *cert, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        die("cannot use certificate %s with key %s", cert, key);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void wait_for(struct epoll_event *ev, int cap, int listener)
{
    struct timespec t = {0, 0}, *timeout = NULL;
    if (heap_n) {
        uint64_t now = now_ns(), due = heap[1]->due_ns;
        uint64_t wait = due > now ? due - now : 0;
        t = (struct timespec){(time_t)(wait / NS_PER_S), (long)(wait % NS_PER_S)};
        timeout = &t;
    }
    int n = epoll_pwait2(ep, ev, cap, timeout, NULL);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == listener)
            on_accept(listener);
        else if (conns[ev[i].data.fd])
            on_readable(conns[ev[i].data.fd]);
    }
    uint64_t now = now_ns();
    while (heap_n && heap[1]->due_ns <= now)
        send_event(heap[1]);
}

int main(int argc, char **argv)
{
    const char *cert = NULL, *key = NULL;
    unsigned port = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--close") == 0) {
            close_each = true;
            continue;
        }
        if (strcmp(argv[i], "--port") == 0)
            port = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--cert") == 0)
            cert = value;
        else if (strcmp(argv[i], "--key") == 0)
            key = value;
        else
            die("mock: unknown option %s", argv[i]);
        i++;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    read_buf = must_alloc(1, READ_BYTES);
    make_answers();
    if (cert)
        start_tls(cert, key ? key : cert);
    ep = epoll_create1(0);
    int listener = listen_on((uint16_t)port);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, got[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    for (;;)
        wait_for(got, 256, listener);
}
