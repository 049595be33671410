/* The load generator. Prints one JSON object at the end; with --pid it reads that process's CPU
 * time (all threads, nanoseconds) at the begin and the end of the window that it counts in.
 *
 *   load closed  N connections, each sends its next request when the answer is there
 *   load open    --rate requests a second, whether answers come or not; latency counts from the
 *                moment a request was due
 *   load sse     N streams; counts events and the time from their sending to their arrival
 *   load hold    opens N idle connections, or N streams with --body; prints "ready" and waits for
 *                the end of its input
 *   load slow    N connections that send a head one byte each --gap-ms; counts those cut off
 *
 * Options: --port N --conns N --seconds S --warmup S --rate N --pid P --body FILE --path PATH
 * --gap-ms N */
#include "bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, HELD_BYTES = 16 << 10, MAX_CONNS = 60000, MAX_STARTING = 64 };
enum mode { CLOSED, OPEN, SSE, HOLD, SLOW };

struct options {
    enum mode mode;
    uint16_t port;
    unsigned conns, rate, pid, gap_ms;
    double seconds, warmup_s;
    const char *body_file, *path;
};

struct conn {
    int fd;
    bool busy, in_body, streaming;
    uint64_t due_ns, body_left;
    size_t sent; /* of the request */
    char *held;  /* an incomplete answer's head, or the tail of a stream's last read */
    size_t held_n;
};

static struct options opt = {
    .conns = 64, .seconds = 1, .warmup_s = 0.3, .gap_ms = 100, .path = "/v1/chat/completions"};
static struct conn *conns;
static struct conn **idle; /* a stack, for open loop */
static size_t n_idle;
static int ep;
static char *read_buf, *request;
static size_t request_n;
static struct hist latency;
static bool counting;
static uint64_t n_done, n_errors, n_events, n_closed, n_streaming;

/* ---- what the measured process used ---- */

static uint64_t task_cpu_ns(const char *path)
{
    char text[128] = "";
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    bool ok = fgets(text, sizeof text, f) != NULL;
    (void)fclose(f);
    return ok ? strtoull(text, NULL, 10) : 0;
}

static uint64_t cpu_ns(void)
{
    char path[320];
    uint64_t sum = 0;
    (void)snprintf(path, sizeof path, "/proc/%u/task", opt.pid);
    DIR *d = opt.pid ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%u/task/%s/schedstat", opt.pid, e->d_name);
        sum += task_cpu_ns(path);
    }
    if (d)
        closedir(d);
    return sum;
}

/* ---- requests and answers ---- */

static void read_request(void)
{
    char *body = NULL;
    size_t n = 0;
    FILE *f = opt.body_file ? fopen(opt.body_file, "r") : NULL;
    if (opt.body_file && !f)
        die("cannot read %s", opt.body_file);
    if (f) {
        body = must_alloc(1, 64u << 20);
        n = fread(body, 1, 64u << 20, f);
        (void)fclose(f);
    }
    request = must_alloc(1, n + 512);
    request_n = (size_t)snprintf(request, 512,
                                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                                 "Accept: application/json\r\nContent-Type: application/json\r\n"
                                 "User-Agent: OpenAI/Python 1.40.0\r\n"
                                 "Authorization: Bearer sk-bench\r\n"
                                 "Accept-Encoding: identity\r\nContent-Length: %zu\r\n\r\n",
                                 opt.path, opt.port, n);
    if (n)
        memcpy(request + request_n, body, n);
    request_n += n;
    free(body);
}

static void watch(struct conn *c, uint32_t events, int how)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    epoll_ctl(ep, how, c->fd, &ev);
}

static void conn_open(struct conn *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("cannot connect to port %u: %s", opt.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

static void conn_send(struct conn *c)
{
    ssize_t n = send(c->fd, request + c->sent, request_n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    bool was_blocked = c->sent > 0;
    if (n > 0)
        c->sent += (size_t)n;
    if (c->sent < request_n)
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    else if (was_blocked)
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void begin(struct conn *c, uint64_t due_ns)
{
    c->due_ns = due_ns;
    c->busy = true;
    c->sent = 0;
    conn_send(c);
}

static void finished(struct conn *c, bool good)
{
    uint64_t now = now_ns();
    c->busy = c->in_body = false;
    if (counting) {
        n_done++;
        n_errors += !good;
        hist_add(&latency, now - c->due_ns);
    }
    if (opt.mode == CLOSED)
        begin(c, now);
    else
        idle[n_idle++] = c;
}

static void reopen(struct conn *c)
{
    bool was_busy = c->busy;
    n_closed++;
    close(c->fd);
    free(c->held);
    conn_open(c);
    if (was_busy)
        finished(c, false);
}

static void hold(struct conn *c, const char *p, size_t n)
{
    if (n > HELD_BYTES)
        die("an answer's head is too long");
    if (!c->held)
        c->held = must_alloc(1, HELD_BYTES);
    memmove(c->held, p, n);
    c->held_n = n;
}

static void on_answer(struct conn *c, const char *p, size_t n)
{
    static bool good = true;
    if (!c->in_body) {
        const char *end = memmem(p, n, "\r\n\r\n", 4);
        if (!end) {
            hold(c, p, n);
            return;
        }
        size_t head = (size_t)(end - p) + 4;
        good = n > 12 && memcmp(p + 9, "200", 3) == 0;
        c->body_left = UINT64_MAX;
        for (const char *at = p; at + 15 < end && c->body_left == UINT64_MAX; at++) {
            if ((*at | 32) == 'c' && strncasecmp(at, "content-length:", 15) == 0)
                c->body_left = strtoull(at + 15, NULL, 10);
        }
        if (c->body_left == UINT64_MAX)
            die("an answer without a length");
        c->held_n = 0;
        c->in_body = true;
        n -= head;
    }
    c->body_left -= n < c->body_left ? n : c->body_left;
    if (c->body_left == 0)
        finished(c, good);
}

/* ---- streams ---- */

static void on_events(struct conn *c, const char *p, size_t n)
{
    enum { LEN = sizeof STAMP_MARK - 1 + STAMP_DIGITS };
    const char *end = p + n, *at = p;
    uint64_t now = now_ns();
    if (!c->streaming) {
        const char *head = memmem(p, n, "\r\n\r\n", 4);
        if (n > 12 && memcmp(p, "HTTP/1.1 ", 9) == 0 && memcmp(p + 9, "200", 3) != 0)
            die("a stream was refused: %.*s", (int)n, p);
        if (!head) {
            hold(c, p, n);
            return;
        }
        c->streaming = true;
        n_streaming++;
        at = head + 4;
    }
    while ((p = memmem(at, (size_t)(end - at), STAMP_MARK, sizeof STAMP_MARK - 1))) {
        if (p + LEN > end)
            break;
        uint64_t sent = strtoull(p + sizeof STAMP_MARK - 1, NULL, 10);
        if (counting) {
            n_events++;
            hist_add(&latency, now > sent ? now - sent : 0);
        }
        at = p + LEN;
    }
    size_t rest = (size_t)(end - at);
    rest = rest < LEN ? rest : LEN - 1;
    hold(c, end - rest, rest);
}

static void on_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, read_buf + c->held_n, READ_BYTES - c->held_n, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        if (opt.mode == SLOW || opt.mode == HOLD) {
            n_closed++;
            watch(c, 0, EPOLL_CTL_DEL);
            close(c->fd);
            c->fd = -1;
        } else if (opt.mode == SSE) {
            die("a stream ended");
        } else {
            reopen(c);
        }
        return;
    }
    if (c->held_n)
        memcpy(read_buf, c->held, c->held_n);
    size_t all = (size_t)n + c->held_n;
    if (opt.mode == SSE || opt.mode == HOLD)
        on_events(c, read_buf, all);
    else if (opt.mode != SLOW)
        on_answer(c, read_buf, all);
}

/* ---- the loop ---- */

static void poll_once(uint64_t until_ns)
{
    struct epoll_event got[256];
    uint64_t now = now_ns(), wait = until_ns > now ? until_ns - now : 0;
    struct timespec t = {(time_t)(wait / NS_PER_S), (long)(wait % NS_PER_S)};
    int n = epoll_pwait2(ep, got, 256, &t, NULL);
    for (int i = 0; i < n; i++) {
        struct conn *c = got[i].data.ptr;
        if (got[i].events & EPOLLOUT)
            conn_send(c);
        if (c->fd >= 0 && (got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            on_readable(c);
    }
}

/* Requests that are due go out on connections that are free; without one they wait, and their
 * waiting counts. */
static uint64_t send_due(uint64_t next_ns, uint64_t gap_ns)
{
    uint64_t now = now_ns();
    while (next_ns <= now && n_idle) {
        begin(idle[--n_idle], next_ns);
        next_ns += gap_ns;
    }
    return next_ns;
}

static void run_until(uint64_t end_ns, uint64_t *io_next_ns)
{
    uint64_t gap_ns = opt.rate ? NS_PER_S / opt.rate : 0;
    while (now_ns() < end_ns) {
        uint64_t until = end_ns;
        if (opt.mode == OPEN) {
            *io_next_ns = send_due(*io_next_ns, gap_ns);
            until = n_idle && *io_next_ns < end_ns ? *io_next_ns : end_ns;
        }
        poll_once(until);
    }
}

static uint64_t seconds_ns(double s)
{
    return (uint64_t)(s * (double)NS_PER_S);
}

static void measure(void)
{
    uint64_t next_ns = now_ns();
    run_until(now_ns() + seconds_ns(opt.warmup_s), &next_ns);
    counting = true;
    n_closed = 0;
    uint64_t cpu = cpu_ns(), start = now_ns();
    run_until(start + seconds_ns(opt.seconds), &next_ns);
    uint64_t took = now_ns() - start;
    cpu = cpu_ns() - cpu;
    uint64_t n = opt.mode == SSE ? n_events : n_done;
    printf("{\"n\":%llu,\"errors\":%llu,\"reconnects\":%llu,\"seconds\":%.4f,\"per_second\":%.1f,"
           "\"cpu_us_each\":%.3f,\"cpu_share\":%.3f,\"p50_us\":%.1f,\"p90_us\":%.1f,"
           "\"p99_us\":%.1f}\n",
           (unsigned long long)n, (unsigned long long)n_errors, (unsigned long long)n_closed,
           (double)took / 1e9, (double)n * 1e9 / (double)took,
           n ? (double)cpu / 1e3 / (double)n : 0, (double)cpu / (double)took,
           hist_us(&latency, 0.5), hist_us(&latency, 0.9), hist_us(&latency, 0.99));
}

static void start_streams(void)
{
    uint64_t end = now_ns() + 60 * NS_PER_S;
    /* As in life, few wait for their first token while many stream. */
    for (unsigned i = 0; i < opt.conns; i++) {
        begin(&conns[i], now_ns());
        while (i + 1 - n_streaming >= MAX_STARTING && now_ns() < end)
            poll_once(now_ns() + NS_PER_S / 100);
    }
    while (n_streaming < opt.conns) {
        if (now_ns() > end)
            die("only %llu of %u streams began", (unsigned long long)n_streaming, opt.conns);
        poll_once(now_ns() + NS_PER_S / 100);
    }
}

/* Keeps what is open open, reading what comes, until its input ends. */
static void wait_for_end(void)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char c;
    printf("ready\n");
    (void)fflush(stdout);
    while (poll(&in, 1, 0) == 0 || read(0, &c, 1) > 0)
        poll_once(now_ns() + NS_PER_S / 50);
    printf("{\"closed\":%llu}\n", (unsigned long long)n_closed);
}

static void trickle(void)
{
    uint64_t start = now_ns(), next = start, first_closed = 0;
    size_t at = 0;
    while (now_ns() < start + seconds_ns(opt.seconds) && n_closed < opt.conns) {
        if (now_ns() >= next) {
            for (unsigned i = 0; i < opt.conns; i++) {
                if (conns[i].fd >= 0)
                    (void)!send(conns[i].fd, request + at % request_n, 1, MSG_NOSIGNAL);
            }
            at++;
            next += opt.gap_ms * (NS_PER_S / 1000);
        }
        poll_once(next);
        if (n_closed && !first_closed)
            first_closed = now_ns() - start;
    }
    printf("{\"conns\":%u,\"closed\":%llu,\"first_closed_s\":%.2f,\"seconds\":%.2f}\n", opt.conns,
           (unsigned long long)n_closed, (double)first_closed / 1e9,
           (double)(now_ns() - start) / 1e9);
}

static void parse_options(int argc, char **argv)
{
    static const char *const modes[] = {"closed", "open", "sse", "hold", "slow"};
    size_t m = 0;
    while (m < 5 && (argc < 2 || strcmp(argv[1], modes[m]) != 0))
        m++;
    if (m == 5)
        die("usage: load closed|open|sse|hold|slow [options]");
    opt.mode = (enum mode)m;
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        unsigned n = (unsigned)strtoul(value, NULL, 10);
        if (strcmp(name, "--port") == 0)
            opt.port = (uint16_t)n;
        else if (strcmp(name, "--conns") == 0)
            opt.conns = n;
        else if (strcmp(name, "--rate") == 0)
            opt.rate = n;
        else if (strcmp(name, "--pid") == 0)
            opt.pid = n;
        else if (strcmp(name, "--gap-ms") == 0)
            opt.gap_ms = n;
        else if (strcmp(name, "--seconds") == 0)
            opt.seconds = strtod(value, NULL);
        else if (strcmp(name, "--warmup") == 0)
            opt.warmup_s = strtod(value, NULL);
        else if (strcmp(name, "--path") == 0)
            opt.path = value;
        else if (strcmp(name, "--body") == 0)
            opt.body_file = value;
        else
            die("load: unknown option %s", name);
    }
    if (!opt.port || !opt.conns || opt.conns > MAX_CONNS || (opt.mode == OPEN && !opt.rate))
        die("load: --port, --conns or --rate is missing or out of range");
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    struct rlimit files = {MAX_CONNS + 100, MAX_CONNS + 100};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    read_buf = must_alloc(1, READ_BYTES);
    read_request();
    ep = epoll_create1(0);
    conns = must_alloc(opt.conns, sizeof *conns);
    idle = must_alloc(opt.conns, sizeof *idle);
    for (unsigned i = 0; i < opt.conns; i++) {
        conn_open(&conns[i]);
        if (i % 200 == 199)
            usleep(2000);
    }
    if (opt.mode == CLOSED) {
        for (unsigned i = 0; i < opt.conns; i++)
            begin(&conns[i], now_ns());
    }
    for (unsigned i = 0; opt.mode == OPEN && i < opt.conns; i++)
        idle[n_idle++] = &conns[i];
    if (opt.mode == SSE || (opt.mode == HOLD && opt.body_file))
        start_streams();
    if (opt.mode == HOLD)
        wait_for_end();
    else if (opt.mode == SLOW)
        trickle();
    else
        measure();
    return 0;
}
