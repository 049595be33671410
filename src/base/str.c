#include "base/str.h"

static inline unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool tg_str_ieq_bytes(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool tg_str_starts(struct tg_str s, struct tg_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool tg_str_istarts(struct tg_str s, struct tg_str prefix)
{
    return s.n >= prefix.n && tg_str_ieq_bytes(s.p, prefix.p, prefix.n);
}

bool tg_str_ends(struct tg_str s, struct tg_str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

ptrdiff_t tg_str_chr(struct tg_str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? hit - s.p : -1;
}

ptrdiff_t tg_str_find(struct tg_str s, struct tg_str needle)
{
    if (needle.n == 0)
        return 0;
    if (s.n < needle.n)
        return -1;
    const char *hit = memmem(s.p, s.n, needle.p, needle.n);
    return hit ? hit - s.p : -1;
}

struct tg_str tg_str_from(struct tg_str s, size_t from)
{
    if (from >= s.n)
        return tg_str_make(s.p ? s.p + s.n : NULL, 0);
    return tg_str_make(s.p + from, s.n - from);
}

struct tg_str tg_str_first(struct tg_str s, size_t n)
{
    return tg_str_make(s.p, n < s.n ? n : s.n);
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct tg_str tg_str_trim(struct tg_str s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool tg_str_split(struct tg_str *rest, char sep, struct tg_str *out_part)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = tg_str_chr(*rest, sep);
    if (at < 0) {
        *out_part = *rest;
        *rest = (struct tg_str){NULL, 0};
        return true;
    }
    *out_part = tg_str_make(rest->p, (size_t)at);
    *rest = tg_str_make(rest->p + at + 1, rest->n - (size_t)at - 1);
    return true;
}

int tg_str_cmp(struct tg_str a, struct tg_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

size_t tg_str_to_c(struct tg_str s, char *out, size_t cap)
{
    if (cap == 0)
        return 0;
    size_t n = s.n < cap - 1 ? s.n : cap - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = 0;
    return n;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned tg_str_distance(struct tg_str a, struct tg_str b, unsigned limit)
{
    enum { MAX = 64 };
    unsigned row[MAX + 1];
    if (a.n > MAX || b.n > MAX)
        return limit;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a.p[i - 1] != b.p[j - 1]));
            diagonal = above;
        }
    }
    return row[b.n] < limit ? row[b.n] : limit;
}
