/* A reader and matcher of GBNF texts for tests, written from llama.cpp's grammars/README.md and
 * independent of the code under test: which texts does a grammar match? Slow and simple: the set of
 * places where a rule that begins at a place can end, remembered. */
#ifndef TG_TEST_GBNF_H
#define TG_TEST_GBNF_H

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/alloc.h"

#define GBNF_MAX_TEXT 1024

struct gbnf_item {
    int kind;      /* '"', '[', 'r' */
    uint32_t c[2]; /* '"': one character; 'r': the rule */
    uint32_t ranges[64][2];
    unsigned n_ranges;
    unsigned min, max; /* max 0: endless */
    bool invert;
};
struct gbnf_alt {
    struct gbnf_item *v;
    unsigned n;
};
struct gbnf_rule {
    char name[24];
    struct gbnf_alt *alts;
    unsigned n;
    bool defined;
};
struct gbnf {
    struct gbnf_rule *rules;
    unsigned n;
    const char *text; /* being matched */
    unsigned len;
    struct gbnf_ends **memo; /* per rule: ends by place */
};
struct gbnf_ends {
    bool known, open;
    uint8_t at[GBNF_MAX_TEXT + 1];
};

static unsigned gbnf_rule_named(struct gbnf *g, const char *p, size_t n)
{
    for (unsigned i = 0; i < g->n; i++)
        if (strlen(g->rules[i].name) == n && memcmp(g->rules[i].name, p, n) == 0)
            return i;
    assert_true(n > 0 && n < sizeof g->rules[0].name);
    g->rules = tg_realloc(g->rules, (g->n + 1) * sizeof *g->rules);
    memset(&g->rules[g->n], 0, sizeof *g->rules);
    memcpy(g->rules[g->n].name, p, n);
    return g->n++;
}

static uint32_t gbnf_utf8(const char **p)
{
    uint8_t b = (uint8_t) * *p;
    int n = b < 0x80 ? 0 : b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
    uint32_t c = n == 0 ? b : b & (0x3F >> n);
    (*p)++;
    while (n-- > 0)
        c = c << 6 | ((uint8_t) * (*p)++ & 0x3F);
    return c;
}

static uint32_t gbnf_char(const char **p)
{
    if (**p != '\\')
        return gbnf_utf8(p);
    char kind = (*p)[1], digits[9] = "";
    *p += 2;
    size_t n = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (n) {
        memcpy(digits, *p, n);
        *p += n;
        return (uint32_t)strtoul(digits, NULL, 16);
    }
    return kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == 'r' ? '\r' : (uint32_t)kind;
}

static struct gbnf_item *gbnf_add(struct gbnf_alt *a, int kind)
{
    if ((a->n & (a->n - 1)) == 0) /* full at 0, 1, 2, 4 … */
        a->v = tg_realloc(a->v, (a->n ? 2 * a->n : 1) * sizeof *a->v);
    memset(&a->v[a->n], 0, sizeof *a->v);
    a->v[a->n].kind = kind;
    a->v[a->n].min = a->v[a->n].max = 1;
    return &a->v[a->n++];
}

static unsigned gbnf_number(const char **p)
{
    unsigned n = 0;
    while (isdigit((unsigned char)**p))
        n = n * 10 + (unsigned)(*(*p)++ - '0');
    return n;
}

static void gbnf_counts(const char **p, struct gbnf_item *it)
{
    assert_non_null(it);
    char c = *(*p)++;
    if (c != '{') {
        it->min = c == '+';
        it->max = c == '?';
        return;
    }
    it->min = gbnf_number(p);
    it->max = it->min;
    if (**p == ',') {
        (*p)++;
        it->max = **p == '}' ? 0 : gbnf_number(p);
        assert_true(it->max == 0 || it->max >= it->min);
    }
    assert_true(it->max < 1000 && it->min < 1000); /* the library refuses 2,000 */
    assert_int_equal(*(*p)++, '}');
}

static const char *gbnf_alternative(struct gbnf *g, const char *p, struct gbnf_alt *a)
{
    struct gbnf_item *last = NULL;
    for (;;) {
        while (*p == ' ')
            p++;
        if (*p == '\n' || *p == '|' || !*p)
            return p;
        if (*p == '"') {
            for (p++; *p != '"';) {
                last = gbnf_add(a, '"');
                last->c[0] = gbnf_char(&p);
            }
            p++;
        } else if (*p == '[') {
            last = gbnf_add(a, '[');
            last->invert = *++p == '^';
            p += last->invert;
            while (*p != ']') {
                assert_true(last->n_ranges < 64);
                uint32_t lo = gbnf_char(&p), hi = lo;
                if (*p == '-') {
                    p++;
                    hi = gbnf_char(&p);
                }
                assert_true(lo <= hi);
                last->ranges[last->n_ranges][0] = lo;
                last->ranges[last->n_ranges++][1] = hi;
            }
            p++;
        } else if (strchr("*+?{", *p)) {
            gbnf_counts(&p, last);
        } else {
            const char *from = p;
            while (isalnum((unsigned char)*p) || *p == '-')
                p++;
            assert_true(p > from);
            unsigned r = gbnf_rule_named(g, from, (size_t)(p - from));
            last = gbnf_add(a, 'r');
            last->c[0] = r;
        }
    }
}

static void gbnf_parse(struct gbnf *g, const char *p)
{
    memset(g, 0, sizeof *g);
    gbnf_rule_named(g, "root", 4);
    while (*p) {
        const char *end = strstr(p, " ::=");
        assert_non_null(end);
        unsigned r = gbnf_rule_named(g, p, (size_t)(end - p));
        assert_false(g->rules[r].defined);
        g->rules[r].defined = true;
        p = end + 4;
        do {
            struct gbnf_alt a = {NULL, 0};
            p = gbnf_alternative(g, p + (*p == '|'), &a);
            struct gbnf_rule *rule = &g->rules[r];
            rule->alts = tg_realloc(rule->alts, (rule->n + 1) * sizeof a);
            rule->alts[rule->n++] = a;
        } while (*p == '|');
        p += *p == '\n';
    }
    for (unsigned i = 0; i < g->n; i++)
        if (!g->rules[i].defined)
            fail_msg("rule %s is not there", g->rules[i].name);
}

static const struct gbnf_ends *gbnf_ends_of(struct gbnf *g, unsigned rule, unsigned at);

/* Where one item that begins at `at` can end. */
static void gbnf_once(struct gbnf *g, const struct gbnf_item *it, unsigned at, uint8_t *out)
{
    if (it->kind == 'r') {
        const struct gbnf_ends *e = gbnf_ends_of(g, it->c[0], at);
        for (unsigned i = at; i <= g->len; i++)
            out[i] |= e->at[i];
        return;
    }
    if (at >= g->len)
        return;
    const char *p = g->text + at;
    uint32_t c = gbnf_utf8(&p);
    bool ok = it->kind == '"' && it->c[0] == c;
    for (unsigned i = 0; i < it->n_ranges; i++)
        ok = ok || (c >= it->ranges[i][0] && c <= it->ranges[i][1]);
    if (ok != it->invert)
        out[p - g->text] = 1;
}

static void gbnf_item_from(struct gbnf *g, const struct gbnf_item *it, uint8_t *set)
{
    uint8_t result[GBNF_MAX_TEXT + 1] = {0};
    for (unsigned round = 0;; round++) {
        bool any = false, grew = false;
        uint8_t next[GBNF_MAX_TEXT + 1] = {0};
        if (round >= it->min)
            for (unsigned i = 0; i <= g->len; i++) {
                grew = grew || (set[i] && !result[i]);
                result[i] |= set[i];
            }
        if (it->max && round == it->max)
            break;
        if (round >= it->min && !grew)
            break;
        for (unsigned i = 0; i <= g->len; i++)
            if (set[i]) {
                any = true;
                gbnf_once(g, it, i, next);
            }
        memcpy(set, next, sizeof next);
        if (!any)
            break;
    }
    memcpy(set, result, sizeof result);
}

static const struct gbnf_ends *gbnf_ends_of(struct gbnf *g, unsigned rule, unsigned at)
{
    if (!g->memo[rule])
        g->memo[rule] = tg_calloc(g->len + 1, sizeof **g->memo);
    struct gbnf_ends *e = &g->memo[rule][at];
    if (e->known)
        return e;
    if (e->open)
        fail_msg("rule %s begins with itself", g->rules[rule].name);
    e->open = true;
    for (unsigned i = 0; i < g->rules[rule].n; i++) {
        const struct gbnf_alt *a = &g->rules[rule].alts[i];
        uint8_t set[GBNF_MAX_TEXT + 1] = {0};
        set[at] = 1;
        for (unsigned k = 0; k < a->n; k++)
            gbnf_item_from(g, &a->v[k], set);
        for (unsigned k = at; k <= g->len; k++)
            e->at[k] |= set[k];
    }
    e->open = false;
    e->known = true;
    return e;
}

static bool gbnf_matches(struct gbnf *g, const char *text)
{
    g->text = text;
    g->len = (unsigned)strlen(text);
    assert_true(g->len <= GBNF_MAX_TEXT);
    g->memo = tg_calloc(g->n, sizeof(void *));
    bool ok = gbnf_ends_of(g, 0, 0)->at[g->len];
    for (unsigned i = 0; i < g->n; i++)
        tg_free(g->memo[i]);
    tg_free(g->memo);
    return ok;
}

static void gbnf_free(struct gbnf *g)
{
    for (unsigned i = 0; i < g->n; i++) {
        for (unsigned k = 0; k < g->rules[i].n; k++)
            tg_free(g->rules[i].alts[k].v);
        tg_free(g->rules[i].alts);
    }
    tg_free(g->rules);
}

#endif
