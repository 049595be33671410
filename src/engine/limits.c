#include "engine/limits_priv.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/err.h"
#include "base/num.h"

enum {
    DEFAULT_CTX = 4096, /* per request, where the model would take more */
    DEFAULT_SLOTS = 8,
    BATCH_TOKENS = 256, /* prompt tokens in one decode at most */
    MIN_CTX = 64,
};

/* ---- the kernel's texts ---- */

static bool next_line(struct tg_str *rest, struct tg_str *line)
{
    return tg_str_split(rest, '\n', line);
}

uint64_t tg_parse_meminfo(struct tg_str text)
{
    struct tg_str line, key = TG_STR("MemAvailable:"), unit = TG_STR("kB");
    while (next_line(&text, &line)) {
        if (!tg_str_starts(line, key))
            continue;
        struct tg_str v = tg_str_trim(tg_str_from(line, key.n));
        uint64_t kb;
        if (!tg_str_ends(v, unit) ||
            tg_parse_u64(tg_str_trim(tg_str_first(v, v.n - unit.n)), &kb) < 0 ||
            kb > UINT64_MAX / 1024)
            return 0;
        return kb * 1024;
    }
    return 0;
}

uint32_t tg_parse_cpu_max(struct tg_str text)
{
    struct tg_str quota, period = tg_str_trim(text);
    uint64_t q, p;
    if (!tg_str_split(&period, ' ', &quota) || tg_parse_u64(quota, &q) < 0 ||
        tg_parse_u64(period, &p) < 0 || p == 0)
        return 0;
    uint64_t cores = q / p;
    return cores < 1 ? 1 : cores > UINT32_MAX ? UINT32_MAX : (uint32_t)cores;
}

uint64_t tg_parse_memory_max(struct tg_str text)
{
    uint64_t v;
    return tg_parse_u64(tg_str_trim(text), &v) < 0 ? UINT64_MAX : v;
}

static struct tg_str read_small(const char *path, char *buf, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, cap);
    if (fd >= 0)
        close(fd);
    return tg_str_make(buf, n > 0 ? (size_t)n : 0);
}

uint32_t tg_cores_usable(void)
{
    cpu_set_t set;
    char buf[128];
    CPU_ZERO(&set);
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    uint32_t cores = n > 0 ? (uint32_t)n : 1;
    uint32_t quota = tg_parse_cpu_max(read_small("/sys/fs/cgroup/cpu.max", buf, sizeof buf));
    return quota && quota < cores ? quota : cores;
}

uint32_t tg_threads_default(uint32_t asked, uint32_t cores)
{
    if (asked == 0)
        return cores > 1 ? cores - 1 : 1;
    return asked < cores ? asked : cores;
}

uint64_t tg_memory_available(void)
{
    char buf[4096];
    uint64_t have = tg_parse_meminfo(read_small("/proc/meminfo", buf, sizeof buf));
    uint64_t max = tg_parse_memory_max(read_small("/sys/fs/cgroup/memory.max", buf, sizeof buf));
    if (max == UINT64_MAX)
        return have;
    uint64_t used =
        tg_parse_memory_max(read_small("/sys/fs/cgroup/memory.current", buf, sizeof buf));
    uint64_t left = used < max ? max - used : 0;
    return left < have || have == 0 ? left : have;
}

uint64_t tg_memory_address_space(void)
{
    char buf[128];
    struct tg_str pages, rest = read_small("/proc/self/statm", buf, sizeof buf);
    uint64_t n;
    if (!tg_str_split(&rest, ' ', &pages) || tg_parse_u64(pages, &n) < 0)
        return 0;
    return n * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the plan ---- */

/* Scores of one layer without flash attention, activations, and one row of logits a sequence. */
static uint64_t buffer_bytes(const struct tg_llm_shape *s, const struct tg_plan *p)
{
    uint64_t scores = (uint64_t)s->n_head * p->n_batch * p->n_cells * 4;
    uint64_t activations = (uint64_t)p->n_batch * s->n_embd * 4 * 24;
    uint64_t logits = (uint64_t)p->slots * s->n_vocab * 4 * 3;
    return scores + activations + logits;
}

static void estimate(const struct tg_llm_shape *s, struct tg_plan *p)
{
    p->memory_bytes = s->file_bytes + s->kv_bytes_per_token * p->n_cells + buffer_bytes(s, p);
}

static int too_much(const struct tg_plan *p, uint64_t limit, bool by_setting, struct tg_fail *f)
{
    return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                       "the model needs about %llu MB for %u tokens of context, but %s %llu MB: "
                       "lower context_tokens or slots%s",
                       (unsigned long long)(p->memory_bytes >> 20), p->n_cells,
                       by_setting ? "memory_limit allows" : "the machine has",
                       (unsigned long long)(limit >> 20),
                       by_setting ? ", or raise memory_limit" : "");
}

int tg_plan_make(const struct tg_p_init *init, const struct tg_llm_shape *shape, uint32_t cores,
                 uint64_t available, struct tg_fail *f, struct tg_plan *out)
{
    struct tg_plan p = {.slots = init->slots ? init->slots : DEFAULT_SLOTS,
                        .n_batch = BATCH_TOKENS,
                        .threads = tg_threads_default(init->threads, cores)};
    uint32_t train = shape->n_ctx_train ? shape->n_ctx_train : DEFAULT_CTX;
    p.n_ctx = init->n_ctx ? init->n_ctx : train < DEFAULT_CTX ? train : DEFAULT_CTX;
    if (p.n_ctx > train)
        p.n_ctx = train; /* the library would only warn, and the model would talk nonsense */
    if (p.n_ctx < MIN_CTX)
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                           "a context of %u tokens is too small (context_tokens)", p.n_ctx);
    uint64_t wish = init->cache_tokens ? init->cache_tokens : (uint64_t)p.n_ctx * p.slots;
    p.n_cells = wish > INT32_MAX / 2 ? INT32_MAX / 2 : (uint32_t)wish;
    if (p.n_cells < p.n_ctx)
        p.n_cells = p.n_ctx;
    uint64_t room = available / 10 * 8;
    bool by_setting = init->memory_limit_bytes != 0;
    uint64_t limit = by_setting ? init->memory_limit_bytes : room ? room : UINT64_MAX;
    estimate(shape, &p);
    /* A cache that was not asked for shrinks until it fits, down to one request's context. */
    while (p.memory_bytes > limit && !init->cache_tokens && p.n_cells > p.n_ctx) {
        p.n_cells = p.n_cells / 2 > p.n_ctx ? p.n_cells / 2 : p.n_ctx;
        estimate(shape, &p);
    }
    if (p.memory_bytes > limit)
        return too_much(&p, limit, by_setting, f);
    *out = p;
    return 0;
}
