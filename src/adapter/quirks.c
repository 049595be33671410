#include "adapter/quirks.h"

#include "adapter/quirks_priv.h"

static bool host_is(struct tg_str host, struct tg_str suffix)
{
    if (host.n == suffix.n)
        return tg_str_ieq(host, suffix);
    if (host.n <= suffix.n || host.p[host.n - suffix.n - 1] != '.')
        return false;
    return tg_str_ieq(tg_str_from(host, host.n - suffix.n), suffix);
}

static bool has_host(const struct tg_quirks *q, struct tg_str host)
{
    for (const char *const *h = q->hosts; h && *h; h++) {
        if (host_is(host, tg_str_c(*h)))
            return true;
    }
    return false;
}

const struct tg_quirks *tg_quirks_at(size_t i)
{
    return i < tg_quirks_rows_n ? &tg_quirks_rows[i] : NULL;
}

const struct tg_quirks *tg_quirks_find(struct tg_str provider, struct tg_str host)
{
    const struct tg_quirks *q;
    for (size_t i = 0; provider.n && (q = tg_quirks_at(i)); i++) {
        if (tg_str_eq(provider, tg_str_c(q->name)))
            return q;
    }
    for (size_t i = 0; !provider.n && (q = tg_quirks_at(i)); i++) {
        if (has_host(q, host))
            return q;
    }
    return NULL;
}

enum tg_fidelity tg_quirks_fate(const uint8_t *row, const struct tg_quirks *q, enum tg_feature f)
{
    uint64_t bit = 1ull << f;
    if (q && q->native & bit)
        return TG_NATIVE;
    if (q && q->emulated & bit)
        return TG_EMULATED;
    if (q && q->dropped & bit)
        return TG_DROPPED;
    if (q && q->refused & bit)
        return TG_REFUSED;
    return (enum tg_fidelity)row[f];
}

uint64_t tg_quirks_with(uint64_t used, const uint8_t *row, const struct tg_quirks *q,
                        enum tg_fidelity fate)
{
    uint64_t bits = 0;
    for (uint64_t left = used; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (tg_quirks_fate(row, q, (enum tg_feature)i) == fate)
            bits |= 1ull << i;
    }
    return bits;
}

struct tg_str tg_quirks_member(const struct tg_quirks *q, struct tg_str name)
{
    for (const struct tg_rename *r = q ? q->renames : NULL; r && r->from.n; r++) {
        if (tg_str_eq(r->from, name))
            return r->to;
    }
    return name;
}

uint32_t tg_quirks_formats(const struct tg_quirks *q, uint32_t of_adapter)
{
    return q && q->formats ? of_adapter & q->formats : of_adapter;
}

const struct tg_rename *tg_quirks_renames(const struct tg_quirks *q)
{
    return q ? q->renames : NULL;
}

bool tg_quirks_stream_usage(const struct tg_quirks *q)
{
    return !q || !q->no_stream_options;
}
