#include "engine/grammar_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/utf8.h"

enum {
    ARENA_FIRST_BYTES = 16 << 10,
    ARENA_MAX_BYTES = 16 << 20,
    BLOCK = 32,       /* repetitions are counted in blocks of this many */
    MAX_DIRECT = 64,  /* fewer are written as they are */
    MAX_BLOCKS = 990, /* the library refuses 2,000 */
};

enum symbol_kind { SYM_LIT, SYM_CLASS, SYM_REF };

struct symbol {
    enum symbol_kind kind;
    struct tg_str lit;
    const struct tg_gchar *chars;
    uint32_t n_chars;
    uint32_t rule, min, max; /* REF */
    struct symbol *next;
    struct tg_galt *alt;      /* REF: the alternative it stands in */
    struct symbol *next_user; /* REF with min > 0: the rule's list of users */
};

struct tg_galt {
    struct symbol *first, *last;
    struct tg_galt *next;
    struct tg_grule *rule;
    uint32_t missing; /* references that may not end yet */
};

struct tg_grule {
    struct tg_galt *first, *last;
    struct symbol *users;
    struct tg_str where;
    struct tg_grule *next_work;
    uint32_t id;
    bool ends;     /* some finite text matches */
    bool empty_ok; /* the empty text matches */
    bool used;
    uint8_t mark; /* search for rules that begin with themselves: 1 open, 2 done */
};

/* ---- building ---- */

static void failed(struct tg_grammar *g, int err)
{
    if (!g->err)
        g->err = err;
}

struct tg_grammar *tg_grammar_new(void)
{
    struct tg_grammar *g = tg_calloc(1, sizeof *g);
    if (!g)
        return NULL;
    tg_arena_init(&g->arena, ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
    tg_grammar_rule(g, TG_STR(""));
    if (!g->err)
        return g;
    tg_grammar_free(g);
    return NULL;
}

void tg_grammar_free(struct tg_grammar *g)
{
    if (!g)
        return;
    tg_arena_fini(&g->arena);
    tg_free(g);
}

uint32_t tg_grammar_rule(struct tg_grammar *g, struct tg_str where)
{
    if (g->err)
        return 0;
    if (g->n_rules == TG_GRAMMAR_MAX_RULES) {
        failed(g, TG_E_FULL);
        return 0;
    }
    struct tg_grule *r = tg_arena_new(&g->arena, struct tg_grule);
    if (!r) {
        failed(g, TG_E_NOMEM);
        return 0;
    }
    r->id = g->n_rules;
    r->where = where;
    g->rules[g->n_rules++] = r;
    return r->id;
}

struct tg_galt *tg_grammar_alt(struct tg_grammar *g, uint32_t rule)
{
    static struct tg_galt nowhere; /* what is appended after a failure is never looked at */
    struct tg_galt *a = g->err ? NULL : tg_arena_new(&g->arena, struct tg_galt);
    if (!a) {
        failed(g, TG_E_NOMEM);
        return &nowhere;
    }
    TG_REQUIRE(rule < g->n_rules);
    struct tg_grule *r = g->rules[rule];
    a->rule = r;
    if (r->last)
        r->last->next = a;
    else
        r->first = a;
    r->last = a;
    return a;
}

static struct symbol *append(struct tg_grammar *g, struct tg_galt *a, enum symbol_kind kind)
{
    if (!g->err && g->n_symbols == TG_GRAMMAR_MAX_SYMBOLS)
        failed(g, TG_E_FULL);
    struct symbol *s = g->err ? NULL : tg_arena_new(&g->arena, struct symbol);
    if (!s) {
        failed(g, TG_E_NOMEM);
        return NULL;
    }
    g->n_symbols++;
    s->kind = kind;
    s->alt = a;
    if (a->last)
        a->last->next = s;
    else
        a->first = s;
    a->last = s;
    return s;
}

void tg_grammar_lit(struct tg_grammar *g, struct tg_galt *a, struct tg_str text)
{
    if (text.n == 0)
        return;
    struct symbol *s = append(g, a, SYM_LIT);
    if (!s)
        return;
    s->lit = tg_arena_dup(&g->arena, text);
    if (!s->lit.p)
        failed(g, TG_E_NOMEM);
}

void tg_grammar_class(struct tg_grammar *g, struct tg_galt *a, const struct tg_gchar *v, size_t n)
{
    struct symbol *s = append(g, a, SYM_CLASS);
    if (!s)
        return;
    struct tg_str copy = tg_arena_dup(&g->arena, tg_str_make((const char *)v, n * sizeof *v));
    if (!copy.p) {
        failed(g, TG_E_NOMEM);
        return;
    }
    s->chars = (const struct tg_gchar *)(const void *)copy.p;
    s->n_chars = (uint32_t)n;
}

static void put_ref(struct tg_grammar *g, struct tg_galt *a, uint32_t rule, uint32_t min,
                    uint32_t max)
{
    struct symbol *s = max ? append(g, a, SYM_REF) : NULL;
    if (!s)
        return;
    TG_REQUIRE(rule < g->n_rules);
    s->rule = rule;
    s->min = min;
    s->max = max;
    g->n_repeats += max == TG_GRAMMAR_ENDLESS ? min : max;
    if (g->n_repeats > TG_GRAMMAR_MAX_REPEATS + g->n_symbols)
        failed(g, TG_E_FULL);
}

void tg_grammar_ref(struct tg_grammar *g, struct tg_galt *a, uint32_t rule)
{
    put_ref(g, a, rule, 1, 1);
}

static uint32_t block_of(struct tg_grammar *g, uint32_t rule, uint32_t size)
{
    uint32_t b = tg_grammar_rule(g, TG_STR(""));
    put_ref(g, tg_grammar_alt(g, b), rule, size, size);
    return b;
}

/* `n` times, exactly. */
static void put_exact(struct tg_grammar *g, struct tg_galt *a, uint32_t rule, uint32_t n,
                      uint32_t block, uint32_t size)
{
    if (n <= MAX_DIRECT) {
        put_ref(g, a, rule, n, n);
        return;
    }
    put_ref(g, a, block, n / size, n / size);
    put_ref(g, a, rule, n % size, n % size);
}

/* Up to `n` times: whole blocks and less than one more, or all blocks and what is left. */
static void put_up_to(struct tg_grammar *g, struct tg_galt *a, uint32_t rule, uint32_t n,
                      uint32_t block, uint32_t size)
{
    if (n <= MAX_DIRECT) {
        put_ref(g, a, rule, 0, n);
        return;
    }
    uint32_t whole = n / size, both = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *some = tg_grammar_alt(g, both);
    put_ref(g, some, block, 0, whole - 1);
    put_ref(g, some, rule, 0, size - 1);
    struct tg_galt *all = tg_grammar_alt(g, both);
    put_ref(g, all, block, whole, whole);
    put_ref(g, all, rule, 0, n % size);
    put_ref(g, a, both, 1, 1);
}

void tg_grammar_rep(struct tg_grammar *g, struct tg_galt *a, uint32_t rule, uint32_t min,
                    uint32_t max)
{
    if (max != TG_GRAMMAR_ENDLESS && max > TG_GRAMMAR_MOST)
        max = TG_GRAMMAR_MOST;
    if (min > TG_GRAMMAR_MOST || min > max) {
        failed(g, min > max ? TG_E_INVALID_VALUE : TG_E_FULL);
        return;
    }
    uint32_t span = max == TG_GRAMMAR_ENDLESS ? 0 : max - min, most = span > min ? span : min;
    uint32_t size = most / MAX_BLOCKS + 1 > BLOCK ? most / MAX_BLOCKS + 1 : BLOCK;
    uint32_t block = most > MAX_DIRECT ? block_of(g, rule, size) : 0;
    put_exact(g, a, rule, min, block, size);
    if (max == TG_GRAMMAR_ENDLESS)
        put_ref(g, a, rule, 0, max);
    else
        put_up_to(g, a, rule, span, block, size);
}

/* ---- cutting ---- */

static void rule_ends(struct tg_grule *r, struct tg_grule **work)
{
    if (r->ends)
        return;
    r->ends = true;
    r->next_work = *work;
    *work = r;
}

/* Links every needed reference to its rule and begins with the alternatives that need none. */
static struct tg_grule *link_users(struct tg_grammar *g)
{
    struct tg_grule *work = NULL;
    for (uint32_t i = 0; i < g->n_rules; i++)
        for (struct tg_galt *a = g->rules[i]->first; a; a = a->next) {
            for (struct symbol *s = a->first; s; s = s->next) {
                if (s->kind != SYM_REF || s->min == 0)
                    continue;
                struct tg_grule *r = g->rules[s->rule];
                s->next_user = r->users;
                r->users = s;
                a->missing++;
            }
            if (a->missing == 0)
                rule_ends(a->rule, &work);
        }
    return work;
}

/* Marks the rules that some finite text matches, and cuts alternatives that none does. */
static void cut_endless(struct tg_grammar *g)
{
    struct tg_grule *work = link_users(g);
    while (work) {
        struct tg_grule *r = work;
        work = r->next_work;
        for (struct symbol *s = r->users; s; s = s->next_user)
            if (--s->alt->missing == 0)
                rule_ends(s->alt->rule, &work);
    }
    for (uint32_t i = 0; i < g->n_rules; i++) {
        struct tg_galt **at = &g->rules[i]->first;
        while (*at) {
            if ((*at)->missing)
                *at = (*at)->next;
            else
                at = &(*at)->next;
        }
    }
}

/* What may be repeated no times does so when it can't be there at all. */
static bool is_there(const struct tg_grammar *g, const struct symbol *s)
{
    return s->kind != SYM_REF || g->rules[s->rule]->ends;
}

static void mark_used(struct tg_grammar *g)
{
    struct tg_grule *work = g->rules[0];
    work->used = true;
    work->next_work = NULL;
    while (work) {
        struct tg_grule *r = work;
        work = r->next_work;
        for (struct tg_galt *a = r->first; a; a = a->next)
            for (struct symbol *s = a->first; s; s = s->next) {
                struct tg_grule *to = s->kind == SYM_REF ? g->rules[s->rule] : NULL;
                if (!to || to->used || !to->ends)
                    continue;
                to->used = true;
                to->next_work = work;
                work = to;
            }
    }
}

/* ---- rules that begin with themselves: the library would refuse them, or never come back ---- */

static bool symbol_may_be_empty(const struct tg_grammar *g, const struct symbol *s)
{
    return s->kind == SYM_REF && (s->min == 0 || g->rules[s->rule]->empty_ok);
}

static bool alt_may_be_empty(const struct tg_grammar *g, const struct tg_galt *a)
{
    for (const struct symbol *s = a->first; s; s = s->next)
        if (!symbol_may_be_empty(g, s))
            return false;
    return true;
}

static void find_empty(struct tg_grammar *g)
{
    enum { PASSES = 64 }; /* deeper chains of empty rules are taken for left recursion's cousins */
    bool more = true;
    for (int pass = 0; more && pass < PASSES; pass++) {
        more = false;
        for (uint32_t i = g->n_rules; i-- > 0;) {
            struct tg_grule *r = g->rules[i];
            for (const struct tg_galt *a = r->first; a && !r->empty_ok; a = a->next)
                r->empty_ok = alt_may_be_empty(g, a);
            more = more || (r->empty_ok && !r->mark);
            r->mark = r->empty_ok;
        }
    }
    if (more)
        failed(g, TG_E_FULL);
    for (uint32_t i = 0; i < g->n_rules; i++)
        g->rules[i]->mark = 0;
}

/* Depth first over first symbols, with a stack of our own. */
struct walk {
    struct tg_grule *rule;
    const struct tg_galt *alt;
    const struct symbol *sym;
};

/* The next symbol that can stand first in the rule; NULL: no more. */
static const struct symbol *next_first(const struct tg_grammar *g, struct walk *w)
{
    for (;;) {
        const struct symbol *s = w->sym;
        if (!s) {
            w->alt = w->alt ? w->alt->next : NULL;
            if (!w->alt)
                return NULL;
            w->sym = w->alt->first;
            continue;
        }
        w->sym = symbol_may_be_empty(g, s) ? s->next : NULL;
        /* An endless repetition of what may be empty begins with itself too. */
        if (s->kind == SYM_REF && is_there(g, s))
            return s;
    }
}

static bool begins_with_itself(struct tg_grammar *g, struct tg_grule *root, struct walk *stack)
{
    size_t n = 0;
    stack[n++] = (struct walk){root, root->first, root->first ? root->first->first : NULL};
    root->mark = 1;
    while (n) {
        const struct symbol *s = next_first(g, &stack[n - 1]);
        if (!s) {
            stack[--n].rule->mark = 2;
            continue;
        }
        struct tg_grule *r = g->rules[s->rule];
        if (r->mark == 1 || (s->max == TG_GRAMMAR_ENDLESS && r->empty_ok))
            return true;
        if (r->mark == 2)
            continue;
        r->mark = 1;
        stack[n++] = (struct walk){r, r->first, r->first ? r->first->first : NULL};
    }
    return false;
}

/* An endless repetition of what may be empty, wherever it stands. */
static bool repeats_nothing(const struct tg_grammar *g)
{
    for (uint32_t i = 0; i < g->n_rules; i++)
        for (const struct tg_galt *a = g->rules[i]->first; a; a = a->next)
            for (const struct symbol *s = a->first; s; s = s->next)
                if (s->kind == SYM_REF && s->max == TG_GRAMMAR_ENDLESS &&
                    g->rules[s->rule]->empty_ok)
                    return true;
    return false;
}

static bool is_left_recursive(struct tg_grammar *g)
{
    struct walk *stack = tg_calloc(g->n_rules, sizeof *stack);
    bool found = false;
    if (!stack) {
        failed(g, TG_E_NOMEM);
        return false;
    }
    for (uint32_t i = 0; i < g->n_rules && !found; i++)
        if (g->rules[i]->used && g->rules[i]->mark == 0)
            found = begins_with_itself(g, g->rules[i], stack);
    tg_free(stack);
    return found || repeats_nothing(g);
}

/* ---- printing ---- */

static void print_point(struct tg_buf *b, uint32_t c)
{
    bool plain = c >= 0x20 && c < 0x7F && c != '"' && c != '\\' && c != '[' && c != ']' &&
                 c != '-' && c != '^';
    if (plain)
        tg_buf_char(b, (char)c);
    else if (c < 0x100)
        tg_buf_printf(b, "\\x%02X", c);
    else
        tg_buf_printf(b, "\\U%08X", c);
}

static void print_lit(struct tg_buf *b, struct tg_str s)
{
    tg_buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c >= 0x80)
            tg_buf_char(b, (char)c); /* the parser decodes UTF-8 */
        else
            print_point(b, c);
    }
    tg_buf_char(b, '"');
}

static void print_name(struct tg_buf *b, uint32_t rule)
{
    if (rule == 0)
        tg_buf_lit(b, "root");
    else
        tg_buf_printf(b, "r%u", rule);
}

static void print_symbol(const struct tg_grammar *g, struct tg_buf *b, const struct symbol *s)
{
    if (s->kind == SYM_LIT) {
        print_lit(b, s->lit);
        return;
    }
    if (s->kind == SYM_CLASS) {
        tg_buf_char(b, '[');
        for (uint32_t i = 0; i < s->n_chars; i++) {
            print_point(b, s->chars[i].lo);
            if (s->chars[i].hi != s->chars[i].lo) {
                tg_buf_char(b, '-');
                print_point(b, s->chars[i].hi);
            }
        }
        tg_buf_char(b, ']');
        return;
    }
    if (!is_there(g, s)) {
        tg_buf_lit(b, "\"\"");
        return;
    }
    print_name(b, s->rule);
    if (s->min == 1 && s->max == 1)
        return;
    if (s->max == TG_GRAMMAR_ENDLESS)
        s->min == 0 ? tg_buf_char(b, '*') : tg_buf_printf(b, "{%u,}", s->min);
    else if (s->min == s->max)
        tg_buf_printf(b, "{%u}", s->min);
    else
        tg_buf_printf(b, "{%u,%u}", s->min, s->max);
}

static void print_rule(const struct tg_grammar *g, struct tg_buf *b, const struct tg_grule *r)
{
    print_name(b, r->id);
    tg_buf_lit(b, " ::=");
    for (const struct tg_galt *a = r->first; a; a = a->next) {
        if (a != r->first)
            tg_buf_lit(b, " |");
        if (!a->first)
            tg_buf_lit(b, " \"\"");
        for (const struct symbol *s = a->first; s; s = s->next) {
            tg_buf_char(b, ' ');
            print_symbol(g, b, s);
        }
    }
    tg_buf_char(b, '\n');
}

/* The part of the schema that was made last among those that nothing can match: parts are made from
 * the outside in. */
static struct tg_str blame(const struct tg_grammar *g)
{
    for (uint32_t i = g->n_rules; i-- > 0;)
        if (!g->rules[i]->ends && g->rules[i]->where.n)
            return g->rules[i]->where;
    return TG_STR("");
}

int tg_grammar_print(struct tg_grammar *g, struct tg_buf *out, struct tg_str *out_where)
{
    *out_where = TG_STR("");
    if (g->err)
        return g->err;
    cut_endless(g);
    if (!g->rules[0]->ends) {
        *out_where = blame(g);
        return TG_E_INVALID_VALUE;
    }
    mark_used(g);
    find_empty(g);
    if (!g->err && is_left_recursive(g))
        return TG_E_INVALID_VALUE;
    if (g->err)
        return g->err;
    size_t before = out->n;
    for (uint32_t i = 0; i < g->n_rules; i++)
        if (g->rules[i]->used)
            print_rule(g, out, g->rules[i]);
    if (!tg_buf_ok(out) || out->n - before > TG_GRAMMAR_MAX_BYTES)
        return tg_buf_ok(out) ? TG_E_FULL : TG_E_NOMEM;
    return 0;
}
