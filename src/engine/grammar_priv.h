/* Grammars as a tree of rules, made by the schema converter, cleaned up (what no finite text can
 * match is cut out, what nobody refers to is left out) and printed in GBNF, the notation of
 * llama.cpp's grammars/README.md. Its parser refuses a repetition of 2,000 and reads a larger
 * maximum as none, so repetitions are kept below 1,000 by blocks.
 *
 * Errors are sticky: after a failure every call is harmless and tg_grammar_print() tells. Bounded
 * in rules, symbols, repetitions and output, so that no schema can make the engine build a giant.
 * Thread rule: one thread at a time. Ownership: strings are copied into the grammar's arena. */
#ifndef TG_ENGINE_GRAMMAR_PRIV_H
#define TG_ENGINE_GRAMMAR_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

#define TG_GRAMMAR_MAX_RULES   8192u
#define TG_GRAMMAR_MAX_SYMBOLS 65536u
#define TG_GRAMMAR_MAX_REPEATS \
    65536u /* sum of all repetitions: each becomes rules in the library */
#define TG_GRAMMAR_MAX_BYTES (256u << 10)
#define TG_GRAMMAR_ENDLESS   UINT32_MAX /* as a maximum: no maximum */
#define TG_GRAMMAR_MOST      100000u    /* larger minima are refused, larger maxima become it */

struct tg_gchar { /* both ends are in it; Unicode code points */
    uint32_t lo, hi;
};

struct tg_galt; /* one alternative of a rule, being written from left to right */
struct tg_grule;

struct tg_grammar {
    struct tg_arena arena;
    struct tg_grule *rules[TG_GRAMMAR_MAX_RULES];
    uint32_t n_rules, n_symbols;
    uint64_t n_repeats;
    int err;             /* sticky */
    uint32_t shared[16]; /* the schema converter's: rules made once; 0: not yet */
};

/* Rule 0, the root, is there from the start, without alternatives. NULL: no memory. */
struct tg_grammar *tg_grammar_new(void) TG_WARN_UNUSED;
void tg_grammar_free(struct tg_grammar *g); /* NULL is allowed */
static inline bool tg_grammar_ok(const struct tg_grammar *g)
{
    return g->err == 0;
}

/* A new rule without alternatives (which matches nothing); 0 after a failure. `where` names the
 * part of the schema it stands for, for messages; borrowed for the grammar's life. */
uint32_t tg_grammar_rule(struct tg_grammar *g, struct tg_str where);
/* Adds an empty alternative to a rule; never NULL. Valid for the grammar's life. */
struct tg_galt *tg_grammar_alt(struct tg_grammar *g, uint32_t rule);

/* Appends to an alternative: valid UTF-8 without NUL; one of a class; a rule. */
void tg_grammar_lit(struct tg_grammar *g, struct tg_galt *a, struct tg_str text);
void tg_grammar_class(struct tg_grammar *g, struct tg_galt *a, const struct tg_gchar *v, size_t n);
void tg_grammar_ref(struct tg_grammar *g, struct tg_galt *a, uint32_t rule);
/* The rule min to max times; max may be TG_GRAMMAR_ENDLESS. */
void tg_grammar_rep(struct tg_grammar *g, struct tg_galt *a, uint32_t rule, uint32_t min,
                    uint32_t max);

/* Cuts, checks and appends the GBNF text, its root called "root". TG_E_NOMEM; TG_E_FULL: too large;
 * TG_E_INVALID_VALUE: no finite text matches (*out_where: the part of the schema to blame, "" if
 * unknown), or a rule would begin with itself. Once per grammar. */
int tg_grammar_print(struct tg_grammar *g, struct tg_buf *out,
                     struct tg_str *out_where) TG_WARN_UNUSED;

#endif
