#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "json/json_priv.h"

enum { FEW = 32 };

static TG_COLD int duplicate(struct tg_str key, const char *where, struct tg_fail *f)
{
    char quoted[64], param[96];
    tg_fail_quote(key, quoted, sizeof(quoted));
    snprintf(param, sizeof(param), "%s%s%s", where, where[0] ? "." : "", quoted);
    return tg_fail_param(f, TG_E_DUPLICATE_KEY, param, "the key \"%s\" is given twice%s%s", quoted,
                         where[0] ? " in " : "", where);
}

/* Length, first and last bytes: enough to tell the keys of an ordinary request apart. */
static unsigned quick_hash(struct tg_str s)
{
    if (s.n == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.p;
    return (unsigned)(p[0] * 7U + p[s.n - 1] * 31U + p[s.n / 2] * 57U + s.n * 101U) & 255;
}

/* Few members: a bit set says "not seen before" for nearly all; who collides is compared with all
 * before it, at most FEW. */
static int check_few(const struct tg_json *obj, const char *where, struct tg_fail *f)
{
    uint64_t seen[4] = {0};
    TG_UNINITIALIZED struct tg_str names[FEW];
    struct tg_json_iter it = tg_json_iter(obj);
    while (tg_json_next(&it)) {
        unsigned h = quick_hash(it.name);
        uint64_t bit = (uint64_t)1 << (h & 63);
        if (seen[h >> 6] & bit)
            for (size_t i = 0; i < it.index; i++)
                if (tg_str_eq(names[i], it.name))
                    return duplicate(it.name, where, f);
        seen[h >> 6] |= bit;
        names[it.index] = it.name;
    }
    return 0;
}

/* Many: a table with the process's keyed hash, so that nobody can choose keys that collide. */
static int check_many(const struct tg_json *obj, const char *where, struct tg_fail *f)
{
    size_t cap = 4 * FEW;
    while (cap < 2 * tg_json_count(obj))
        cap *= 2;
    struct tg_str *table = tg_calloc(cap, sizeof(*table));
    if (!table)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory to check the JSON");
    int rc = 0;
    struct tg_json_iter it = tg_json_iter(obj);
    while (rc == 0 && tg_json_next(&it)) {
        size_t i = tg_hash(it.name) & (cap - 1);
        while (table[i].p && !tg_str_eq(table[i], it.name))
            i = (i + 1) & (cap - 1);
        if (table[i].p)
            rc = duplicate(it.name, where, f);
        table[i] = it.name;
    }
    tg_free(table);
    return rc;
}

int tg_json_check_duplicates(const struct tg_json *obj, const char *where, struct tg_fail *f)
{
    if (!tg_json_is_obj(obj) || tg_json_count(obj) < 2)
        return 0;
    return tg_json_count(obj) <= FEW ? check_few(obj, where, f) : check_many(obj, where, f);
}

int tg_json_check_request(const struct tg_json_doc *doc, struct tg_str list, struct tg_fail *f)
{
    const struct tg_json *root = tg_json_root(doc);
    int rc = tg_json_check_duplicates(root, "", f);
    const struct tg_json *items = tg_json_get(root, list);
    if (rc || !tg_json_is_arr(items))
        return rc;
    struct tg_json_iter it = tg_json_iter(items);
    while (tg_json_next(&it)) {
        if (tg_json_check_duplicates(it.value, "", NULL) == 0)
            continue;
        /* Once more for the message: its path is formatted only when there is something to say. */
        char where[64], name[40];
        snprintf(where, sizeof(where), "%s[%zu]", tg_fail_quote(list, name, sizeof(name)),
                 it.index);
        return tg_json_check_duplicates(it.value, where, f);
    }
    return 0;
}
