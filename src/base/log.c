#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

/* Two buffers: callers append to one under the mutex while the writer drains the other, so the
 * lock is held for one memcpy. The writer collects for a few milliseconds before it writes: a
 * system call per batch, and under load no wake-up in the caller either. Only a line that finds
 * the writer in its long sleep pays for waking it. */
enum {
    QUEUE_BYTES = 4 * 1024 * 1024, /* queued and not yet written, both buffers together */
    BATCH_BYTES = 64 * 1024,       /* wakes the writer early */
    KEEP_BYTES = 256 * 1024,       /* memory a drained buffer keeps */
    COLLECT_MS = 5,
    LINGER_ROUNDS = 40, /* short sleeps without a line before the long one */
    STOP_MS = 1000,
    POLL_MS = 50,
    WRITE_BYTES = 4096, /* PIPE_BUF: POLLOUT promises room for so much */
    FILE_BYTES = 8192,  /* at once to a file: 15 us, in which a core is not a worker's */
};

enum writer_state { WRITER_BUSY, WRITER_COLLECTS, WRITER_SLEEPS };

struct side {
    char *p;
    size_t n;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    int fd;
    bool regular_file;
    bool running;  /* the queue takes lines; under lock */
    bool stopping; /* under lock */
    uint64_t stop_by_ms;
    enum writer_state state;
    struct side front, back; /* front under lock, back is the writer's */
    size_t back_left;        /* of back, not yet written; under lock for the limit's sake */
    uint64_t reported_drops;
} g = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int min_level = TG_LOG_INFO;
static uint64_t dropped;

bool tg_log_on(enum tg_log_level level)
{
    return (int)level >= __atomic_load_n(&min_level, __ATOMIC_RELAXED) && level < TG_LOG_OFF;
}

void tg_log_set_level(enum tg_log_level level)
{
    __atomic_store_n(&min_level, (int)level, __ATOMIC_RELAXED);
}

static const struct tg_str level_names[] = {
    TG_STR_INIT("DEBUG"), TG_STR_INIT("INFO"), TG_STR_INIT("WARNING"),
    TG_STR_INIT("ERROR"), TG_STR_INIT("OFF"),
};

int tg_log_level_parse(struct tg_str s, enum tg_log_level *out)
{
    if (tg_str_ieq(s, TG_STR("WARN")))
        s = level_names[TG_LOG_WARNING];
    for (size_t i = 0; i < TG_ARRAY_LEN(level_names); i++)
        if (tg_str_ieq(s, level_names[i])) {
            *out = (enum tg_log_level)i;
            return 0;
        }
    return TG_E_INVALID_ARG;
}

uint64_t tg_log_dropped(void)
{
    return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

static TG_COLD void count_drop(void)
{
    __atomic_add_fetch(&dropped, 1, __ATOMIC_RELAXED);
}

/* Real time, not tg_clock: a test's fake clock must not stop the writer. */
static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- output ---- */

/* Waits at most timeout_ms for room. A file always has room; for the others a piece of at most
 * PIPE_BUF behind POLLOUT keeps a blocking descriptor from blocking. */
static bool wait_for_room(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, timeout_ms) > 0;
}

/* Whole lines, about FILE_BYTES of them: another process may append to the same file. */
static size_t some_lines(const char *p, size_t n)
{
    if (n <= FILE_BYTES)
        return n;
    const char *end = memrchr(p, '\n', FILE_BYTES);
    if (!end)
        end = memchr(p + FILE_BYTES, '\n', n - FILE_BYTES);
    return end ? (size_t)(end + 1 - p) : n;
}

/* Writes one piece. Bytes written, 0: no room within timeout_ms, TG_E_IO: the descriptor is gone.
 */
static int write_piece(int fd, bool regular, const char *p, size_t n, int timeout_ms)
{
    if (!regular && !wait_for_room(fd, timeout_ms))
        return 0;
    if (regular)
        n = some_lines(p, n);
    else if (n > WRITE_BYTES)
        n = WRITE_BYTES;
    ssize_t put = write(fd, p, n);
    if (put >= 0)
        return (int)put;
    return errno == EINTR || errno == EAGAIN ? 0 : TG_E_IO;
}

static bool is_regular(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Before start and after stop. Only standard error: the descriptor given to start may be closed
 * and its number somebody's socket by now. Does not wait for a full pipe either. */
static void write_directly(struct tg_str line)
{
    bool regular = is_regular(STDERR_FILENO);
    while (line.n) {
        int put = write_piece(STDERR_FILENO, regular, line.p, line.n, 0);
        if (put <= 0) {
            count_drop();
            return;
        }
        line = tg_str_from(line, (size_t)put);
    }
}

static void add_timestamp(struct tg_buf *b)
{
    char text[32];
    tg_buf_add(b, text, tg_clock_iso(tg_clock_wall_us(), text, sizeof(text)));
}

static void begin_line(struct tg_buf *b, enum tg_log_level level, const char *event)
{
    tg_buf_lit(b, "{\"timestamp\":\"");
    add_timestamp(b);
    tg_buf_lit(b, "\",\"level\":\"");
    tg_buf_str_add(b, level_names[level]);
    tg_buf_lit(b, "\",\"event\":");
    tg_buf_json_str(b, tg_str_c(event));
}

/* ---- the writer ---- */

static void wait_locked(unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&g.wake, &g.lock, &until);
}

/* Under lock: sleeps until a batch is worth writing. False: stopped and nothing is left. */
static bool collect(unsigned *idle_rounds)
{
    if (g.front.n < BATCH_BYTES && !g.stopping) {
        g.state = WRITER_COLLECTS;
        wait_locked(COLLECT_MS);
    }
    while (g.front.n == 0 && !g.stopping && ++*idle_rounds >= LINGER_ROUNDS) {
        g.state = WRITER_SLEEPS;
        pthread_cond_wait(&g.wake, &g.lock);
        g.state = WRITER_COLLECTS;
        if (g.front.n && g.front.n < BATCH_BYTES && !g.stopping)
            wait_locked(COLLECT_MS);
    }
    g.state = WRITER_BUSY;
    return g.front.n || !g.stopping;
}

static uint64_t lines_in(const char *p, size_t n)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

/* Without the lock. Gives up, counting what is lost, when the descriptor is broken or when stop's
 * second is over; false then. */
static bool drain_back(void)
{
    size_t done = 0;
    bool whole = true;
    while (done < g.back.n) {
        if (done && g.regular_file)
            sched_yield(); /* a worker that waits for this core goes first */
        int put = write_piece(g.fd, g.regular_file, g.back.p + done, g.back.n - done, POLL_MS);
        pthread_mutex_lock(&g.lock);
        bool give_up = put < 0 || (put == 0 && g.stopping && real_ms() >= g.stop_by_ms);
        done = give_up ? g.back.n : done + (size_t)put;
        if (give_up) {
            whole = false;
            uint64_t lost = lines_in(g.back.p + g.back.n - g.back_left, g.back_left);
            __atomic_add_fetch(&dropped, lost, __ATOMIC_RELAXED);
        }
        g.back_left = g.back.n - done;
        pthread_mutex_unlock(&g.lock);
    }
    if (g.back.n > KEEP_BYTES)
        (void)madvise(g.back.p + KEEP_BYTES, QUEUE_BYTES - KEEP_BYTES, MADV_DONTNEED);
    g.back.n = 0;
    return whole;
}

/* Under lock. False: no room. */
static bool append_locked(struct tg_str line)
{
    if (line.n > QUEUE_BYTES - g.front.n - g.back_left)
        return false;
    memcpy(g.front.p + g.front.n, line.p, line.n);
    g.front.n += line.n;
    return true;
}

/* Tells the reader of the log that lines are missing, once there is room again. By the writer
 * itself, so that it works after stop has closed the queue for all others. */
static void report_drops(void)
{
    uint64_t now = tg_log_dropped();
    if (now == g.reported_drops)
        return;
    struct tg_buf b;
    tg_buf_init(&b, 1024);
    begin_line(&b, TG_LOG_WARNING, "log_lines_dropped");
    tg_log_i64(&b, "lines", (int64_t)(now - g.reported_drops));
    tg_buf_lit(&b, "}\n");
    pthread_mutex_lock(&g.lock);
    if (tg_buf_ok(&b) && append_locked(tg_buf_str(&b)))
        g.reported_drops = now;
    pthread_mutex_unlock(&g.lock);
    tg_buf_fini(&b);
}

static void *writer_main(void *unused)
{
    unsigned idle_rounds = 0;
    for (;;) {
        pthread_mutex_lock(&g.lock);
        bool more = collect(&idle_rounds);
        struct side filled = g.front;
        g.front = g.back;
        g.back = filled;
        g.back_left = filled.n;
        pthread_mutex_unlock(&g.lock);
        if (!more)
            return NULL;
        if (filled.n == 0)
            continue;
        idle_rounds = 0;
        if (drain_back()) /* else the report would be the next loss to report, for ever */
            report_drops();
    }
}

/* ---- start and stop ---- */

/* With every signal blocked: they are for the threads that know what to do with them, and a
 * broken pipe must come as EPIPE. */
static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&g.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : TG_E_IO;
}

static char *map_queue(void)
{
    void *p = mmap(NULL, QUEUE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void unmap_queues(void)
{
    if (g.front.p)
        munmap(g.front.p, QUEUE_BYTES);
    if (g.back.p)
        munmap(g.back.p, QUEUE_BYTES);
    g.front = g.back = (struct side){NULL, 0};
}

int tg_log_start(int fd, enum tg_log_level level)
{
    if (g.running)
        return TG_E_INVALID_ARG;
    tg_log_set_level(level);
    g.fd = fd;
    g.regular_file = is_regular(fd);
    g.stopping = false;
    g.state = WRITER_BUSY;
    g.back_left = 0;
    g.reported_drops = tg_log_dropped();
    g.front.p = map_queue();
    g.back.p = map_queue();
    if (!g.front.p || !g.back.p) {
        unmap_queues();
        return TG_E_NOMEM;
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g.wake, &attr);
    pthread_condattr_destroy(&attr);
    int rc = start_thread();
    if (rc) {
        pthread_cond_destroy(&g.wake);
        unmap_queues();
        return rc;
    }
    pthread_mutex_lock(&g.lock);
    g.running = true;
    pthread_mutex_unlock(&g.lock);
    return 0;
}

void tg_log_stop(void)
{
    pthread_mutex_lock(&g.lock);
    bool was_running = g.running;
    g.running = false;
    g.stopping = true;
    g.stop_by_ms = real_ms() + STOP_MS;
    if (was_running)
        pthread_cond_signal(&g.wake);
    pthread_mutex_unlock(&g.lock);
    if (!was_running)
        return;
    pthread_join(g.thread, NULL);
    pthread_cond_destroy(&g.wake);
    unmap_queues();
}

/* ---- a line ---- */

void tg_log_begin(struct tg_buf *b, enum tg_log_level level, const char *event)
{
    tg_buf_clear(b);
    if (!tg_log_on(level)) {
        b->failed = true; /* every field is a no-op, and end finds an empty line */
        return;
    }
    begin_line(b, level, event);
    if (!tg_buf_ok(b)) {
        b->n = 0; /* lost already: end must not count it again */
        count_drop();
    }
}

static void add_key(struct tg_buf *b, const char *key)
{
    tg_buf_lit(b, ",\"");
    tg_buf_str_add(b, tg_str_c(key)); /* a literal of ours: nothing to escape */
    tg_buf_lit(b, "\":");
}

void tg_log_str(struct tg_buf *b, const char *key, struct tg_str v)
{
    add_key(b, key);
    tg_buf_json_str(b, v);
}

void tg_log_cstr(struct tg_buf *b, const char *key, const char *v)
{
    if (v)
        tg_log_str(b, key, tg_str_c(v));
    else
        tg_log_raw(b, key, TG_STR("null"));
}

void tg_log_i64(struct tg_buf *b, const char *key, int64_t v)
{
    add_key(b, key);
    tg_buf_i64(b, v);
}

void tg_log_ms(struct tg_buf *b, const char *key, uint64_t us)
{
    unsigned rest = (unsigned)(us % 1000);
    char fraction[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                        (char)('0' + rest % 10)};
    add_key(b, key);
    tg_buf_u64(b, us / 1000);
    tg_buf_add(b, fraction, sizeof(fraction));
}

void tg_log_bool(struct tg_buf *b, const char *key, bool v)
{
    tg_log_raw(b, key, v ? TG_STR("true") : TG_STR("false"));
}

void tg_log_raw(struct tg_buf *b, const char *key, struct tg_str json)
{
    add_key(b, key);
    tg_buf_str_add(b, json);
}

/* True when the queue took the line or dropped it; false: there is no queue. */
static bool enqueue(struct tg_str line)
{
    pthread_mutex_lock(&g.lock);
    bool running = g.running;
    bool taken = running && append_locked(line);
    if (taken &&
        (g.state == WRITER_SLEEPS || (g.state == WRITER_COLLECTS && g.front.n >= BATCH_BYTES))) {
        g.state = WRITER_BUSY; /* one signal is enough */
        pthread_cond_signal(&g.wake);
    }
    pthread_mutex_unlock(&g.lock);
    if (running && !taken)
        count_drop();
    return running;
}

void tg_log_end(struct tg_buf *b)
{
    tg_buf_lit(b, "}\n");
    if (!tg_buf_ok(b)) {
        if (b->n)
            count_drop();
        return;
    }
    if (!enqueue(tg_buf_str(b)))
        write_directly(tg_buf_str(b));
}

void tg_log_msg(enum tg_log_level level, const char *event, const char *fmt, ...)
{
    if (!tg_log_on(level))
        return;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    size_t used = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    struct tg_buf b;
    tg_buf_init(&b, 8192);
    tg_log_begin(&b, level, event);
    tg_log_str(&b, "message", tg_str_make(text, used));
    tg_log_end(&b);
    tg_buf_fini(&b);
}
