#include "core/metrics.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

#define MAX_LABELS  3
#define MAX_SERIES  2048
#define LABEL_BYTES 200
#define MAX_LABEL   100 /* bytes of one value, before escaping */
#define N_BUCKETS   16
#define SLOTS       4096 /* open addressing, power of two, never more than half full */

/* Upper bounds in microseconds; the last bucket is +Inf. They span a cached answer to a long
 * generation. */
static const uint64_t bucket_us[N_BUCKETS - 1] = {1000,    2500,    5000,     10000,    25000,
                                                  50000,   100000,  250000,   500000,   1000000,
                                                  2500000, 5000000, 15000000, 60000000, 300000000};
static const char *const bucket_text[N_BUCKETS] = {
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
    "0.5",   "1",      "2.5",   "5",    "15",    "60",   "300", "+Inf"};

struct family {
    const char *name;
    enum tg_metric_type type;
    const char *labels;
    const char *help;
};
static const struct family families[TG_METRIC_FAMILY_COUNT] = {
#define X(id, name, type, labels, help) [TG_METRIC_##id] = {name, TG_METRIC_##type, labels, help},
    TG_METRIC_FAMILIES(X)
#undef X
};

typedef _Atomic uint64_t counter;

/* `key` is written once, before `used` is released; values are written by the owner only. */
struct series {
    atomic_bool used;
    enum tg_metric_family family;
    uint64_t hash;
    uint16_t key_n;
    char key[LABEL_BYTES]; /* values joined by 0x1f, as given */
    counter value;         /* counters, gauges; histograms: sum in us */
    counter *buckets;      /* histograms: N_BUCKETS, not cumulated */
};

struct tg_metrics {
    struct series *slots;
    uint32_t count;
    counter overflow;
};

int tg_metrics_new(struct tg_metrics **out)
{
    struct tg_metrics *m = tg_calloc(1, sizeof *m);
    if (!m)
        return TG_E_NOMEM;
    m->slots = tg_calloc(SLOTS, sizeof *m->slots);
    if (!m->slots) {
        tg_free(m);
        return TG_E_NOMEM;
    }
    *out = m;
    return 0;
}

void tg_metrics_free(struct tg_metrics *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        tg_free(m->slots[i].buckets);
    tg_free(m->slots);
    tg_free(m);
}

/* One writer: a load and a store are enough, and cheaper than an atomic add. */
static void bump(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static size_t make_key(char *key, const struct tg_str *labels, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = labels[i].n < MAX_LABEL ? labels[i].n : MAX_LABEL;
        if (at + len + 1 > LABEL_BYTES)
            len = LABEL_BYTES - at - 1;
        if (len)
            memcpy(key + at, labels[i].p, len);
        at += len;
        if (i + 1 < n && at < LABEL_BYTES)
            key[at++] = 0x1f;
    }
    return at;
}

static struct series *fill(struct tg_metrics *m, struct series *s, enum tg_metric_family f,
                           uint64_t hash, const char *key, size_t key_n)
{
    if (m->count >= MAX_SERIES)
        return NULL;
    if (families[f].type == TG_METRIC_HISTOGRAM) {
        s->buckets = tg_calloc(N_BUCKETS, sizeof *s->buckets);
        if (!s->buckets)
            return NULL;
    }
    s->family = f;
    s->hash = hash;
    s->key_n = (uint16_t)key_n;
    memcpy(s->key, key, key_n);
    m->count++;
    atomic_store_explicit(&s->used, true, memory_order_release);
    return s;
}

/* Labels are names of the configuration and codes of ours, never a client's choice: a hash without
 * a key will do. Eight bytes at a time. */
static uint64_t hash_key(const char *p, size_t n, enum tg_metric_family f)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t h = ((uint64_t)f + 1) * odd + n, word = 0;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * odd;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, p, n);
    h = (h ^ word) * odd;
    return h ^ h >> 32;
}

static struct series *find(struct tg_metrics *m, enum tg_metric_family f,
                           const struct tg_str *labels, size_t n)
{
    TG_UNINITIALIZED char key[LABEL_BYTES];
    size_t key_n = make_key(key, labels, n);
    uint64_t hash = hash_key(key, key_n, f);
    for (size_t i = hash & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1)) {
        struct series *s = &m->slots[i];
        if (!atomic_load_explicit(&s->used, memory_order_relaxed))
            return fill(m, s, f, hash, key, key_n);
        if (s->hash == hash && s->family == f && s->key_n == key_n &&
            memcmp(s->key, key, key_n) == 0)
            return s;
    }
}

void tg_metrics_add(struct tg_metrics *m, enum tg_metric_family f, const struct tg_str *labels,
                    size_t n_labels, uint64_t n)
{
    struct series *s = find(m, f, labels, n_labels);
    bump(s ? &s->value : &m->overflow, s ? n : 1);
}

void tg_metrics_observe_us(struct tg_metrics *m, enum tg_metric_family f,
                           const struct tg_str *labels, size_t n_labels, uint64_t us)
{
    struct series *s = find(m, f, labels, n_labels);
    if (!s) {
        bump(&m->overflow, 1);
        return;
    }
    size_t b = 0;
    while (b < N_BUCKETS - 1 && us > bucket_us[b])
        b++;
    bump(&s->buckets[b], 1);
    bump(&s->value, us);
}

/* ---- rendering ---- */

struct merged {
    const struct series *key; /* whose labels */
    uint64_t value;
    uint64_t buckets[N_BUCKETS];
};

static bool same_series(const struct series *a, const struct series *b)
{
    return a->family == b->family && a->key_n == b->key_n && memcmp(a->key, b->key, a->key_n) == 0;
}

static void merge_one(struct merged *all, size_t *n, size_t cap, const struct series *s)
{
    struct merged *m = NULL;
    for (size_t i = 0; i < *n && !m; i++) {
        if (all[i].key->hash == s->hash && same_series(all[i].key, s))
            m = &all[i];
    }
    if (!m) {
        if (*n == cap)
            return;
        m = &all[(*n)++];
        memset(m, 0, sizeof *m);
        m->key = s;
    }
    m->value += atomic_load_explicit(&s->value, memory_order_relaxed);
    for (size_t b = 0; s->buckets && b < N_BUCKETS; b++)
        m->buckets[b] += atomic_load_explicit(&s->buckets[b], memory_order_relaxed);
}

void tg_metrics_escape(struct tg_buf *out, struct tg_str v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        if (c == '\\' || c == '"')
            (void)tg_buf_char(out, '\\'); /* the caller tests tg_buf_ok(), here and below */
        if (c == '\n')
            (void)tg_buf_lit(out, "\\n");
        else
            (void)tg_buf_char(out, c);
    }
}

/* name{labels[,le="…"]} */
static void write_name(struct tg_buf *out, const struct series *s, const char *suffix,
                       const char *le)
{
    const struct family *f = &families[s->family];
    (void)tg_buf_printf(out, "%s%s", f->name, suffix);
    struct tg_str names = tg_str_c(f->labels), values = tg_str_make(s->key, s->key_n);
    struct tg_str name, value;
    char sep = '{';
    while (tg_str_split(&names, ',', &name)) {
        if (!tg_str_split(&values, 0x1f, &value))
            value = TG_STR("");
        (void)tg_buf_printf(out, "%c%.*s=\"", sep, TG_STR_ARG(name));
        tg_metrics_escape(out, value);
        (void)tg_buf_char(out, '"');
        sep = ',';
    }
    if (le)
        (void)tg_buf_printf(out, "%cle=\"%s\"", sep, le);
    (void)tg_buf_lit(out, "} ");
}

static void write_seconds(struct tg_buf *out, uint64_t us)
{
    (void)tg_buf_printf(out, "%llu.%06llu\n", (unsigned long long)(us / 1000000),
                        (unsigned long long)(us % 1000000));
}

static void write_histogram(struct tg_buf *out, const struct merged *m)
{
    uint64_t total = 0;
    for (size_t b = 0; b < N_BUCKETS; b++) {
        total += m->buckets[b];
        write_name(out, m->key, "_bucket", bucket_text[b]);
        (void)tg_buf_u64(out, total);
        (void)tg_buf_char(out, '\n');
    }
    write_name(out, m->key, "_sum", NULL);
    write_seconds(out, m->value);
    write_name(out, m->key, "_count", NULL);
    (void)tg_buf_u64(out, total);
    (void)tg_buf_char(out, '\n');
}

static void write_family(struct tg_buf *out, enum tg_metric_family f, const struct merged *all,
                         size_t n)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};
    const struct family *fam = &families[f];
    (void)tg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", fam->name, fam->help, fam->name,
                        type_names[fam->type]);
    for (size_t i = 0; i < n; i++) {
        if (all[i].key->family != f)
            continue;
        if (fam->type == TG_METRIC_HISTOGRAM) {
            write_histogram(out, &all[i]);
            continue;
        }
        write_name(out, all[i].key, "", NULL);
        (void)tg_buf_u64(out, all[i].value);
        (void)tg_buf_char(out, '\n');
    }
}

int tg_metrics_render(struct tg_metrics *const *workers, size_t n_workers, struct tg_buf *out)
{
    size_t cap = MAX_SERIES * 2, n = 0;
    struct merged *all = tg_calloc(cap, sizeof *all);
    if (!all)
        return TG_E_NOMEM;
    uint64_t overflow = 0;
    for (size_t w = 0; w < n_workers; w++) {
        overflow += atomic_load_explicit(&workers[w]->overflow, memory_order_relaxed);
        for (size_t i = 0; i < SLOTS; i++) {
            const struct series *s = &workers[w]->slots[i];
            if (atomic_load_explicit(&s->used, memory_order_acquire))
                merge_one(all, &n, cap, s);
        }
    }
    for (int f = 0; f < TG_METRIC_FAMILY_COUNT; f++)
        write_family(out, (enum tg_metric_family)f, all, n);
    tg_free(all);
    tg_metrics_line(out, "llm_gateway_metric_series_dropped_total",
                    "Observations that found no room for their series.", "counter", TG_STR(""),
                    overflow);
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}

void tg_metrics_line(struct tg_buf *out, const char *name, const char *help, const char *type,
                     struct tg_str labels, uint64_t value)
{
    if (help)
        (void)tg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    (void)tg_buf_printf(out, "%s", name);
    if (labels.n)
        (void)tg_buf_printf(out, "{%.*s}", TG_STR_ARG(labels));
    (void)tg_buf_char(out, ' ');
    (void)tg_buf_u64(out, value);
    (void)tg_buf_char(out, '\n');
}
