/* The inside of the schema converter. A view is a set of schema objects that must all hold for one
 * value, after $ref and allOf were followed; each becomes one rule. Equal views are one, which is
 * what makes recursive schemas finite. Views wait in a queue, so that nesting costs no stack.
 * Thread rule: one conversion is one thread's. */
#ifndef TG_ENGINE_SCHEMA_IN_PRIV_H
#define TG_ENGINE_SCHEMA_IN_PRIV_H

#include "engine/schema_priv.h"
#include "json/json.h"

enum {
    TG_SCHEMA_MEMBERS = 32, /* schema objects in one view */
    TG_SCHEMA_VIEWS = 4096,
    TG_SCHEMA_BUCKETS = 512,
    TG_SCHEMA_VALUES = 4096, /* of an enum */
};

enum tg_jtype {
    TG_JT_NULL = 1,
    TG_JT_BOOL = 2,
    TG_JT_INT = 4,
    TG_JT_FRACTION = 8, /* numbers that are not whole */
    TG_JT_STRING = 16,
    TG_JT_ARRAY = 32,
    TG_JT_OBJECT = 64,
    TG_JT_NUMBER = TG_JT_INT | TG_JT_FRACTION,
    TG_JT_ALL = 127,
};

struct tg_sview {
    const struct tg_json *m[TG_SCHEMA_MEMBERS];
    uint8_t used[TG_SCHEMA_MEMBERS]; /* bit 0: its anyOf was chosen from, bit 1: oneOf */
    bool open[TG_SCHEMA_MEMBERS];    /* its $ref or allOf is being followed */
    uint32_t n;
    bool never; /* `false` is among them */
    uint32_t rule;
    struct tg_str where;
    struct tg_sview *next_hash, *next_queue;
};

/* Rules that many views share. */
struct tg_scommon {
    uint32_t ws, space, chr, hex, digit, string, number, integer, boolean, value, object, array;
};

struct tg_schema_conv {
    struct tg_grammar *g;
    struct tg_arena arena; /* the parsed schema, views */
    const struct tg_json *root;
    struct tg_str where; /* of the root */
    bool strict;
    struct tg_buf *lost;
    struct tg_fail *f;
    int err; /* sticky */
    struct tg_scommon common;
    struct tg_sview *buckets[TG_SCHEMA_BUCKETS];
    struct tg_sview *first, **last;
    uint32_t n_views;
    uint64_t work; /* names and values compared so far, about */
    struct {       /* strings by length, found again */
        uint32_t min, max, rule;
    } lengths[32];
    uint32_t n_lengths;
};

/* ---- schema.c ---- */
/* Fails the conversion; the message is about the field where.key. */
void tg_sc_fail(struct tg_schema_conv *c, int err, struct tg_str where, const char *key,
                const char *why);
/* A keyword that is not held: refused or noted. */
void tg_sc_lost(struct tg_schema_conv *c, struct tg_str where, const char *key);
/* Counts `n` comparisons about to be made: a small schema can ask for very many, and a loop waits.
 * False: too many, the conversion has failed. */
bool tg_sc_work(struct tg_schema_conv *c, uint64_t n);
struct tg_str tg_sc_path(struct tg_schema_conv *c, struct tg_str where, const char *word,
                         struct tg_str name);
/* The rule of the values that all these schemas accept. */
uint32_t tg_sc_rule(struct tg_schema_conv *c, const struct tg_json *const *schemas, size_t n,
                    struct tg_str where);
/* The member `key` of the i-th schema of a view. */
static inline const struct tg_json *tg_sv_get(const struct tg_sview *v, uint32_t i,
                                              struct tg_str key)
{
    return tg_json_get(v->m[i], key);
}
bool tg_sv_has(const struct tg_sview *v, struct tg_str key);

/* ---- schema_obj.c ---- */
void tg_sc_object(struct tg_schema_conv *c, const struct tg_sview *v);
void tg_sc_array(struct tg_schema_conv *c, const struct tg_sview *v);

/* ---- schema_val.c ---- */
void tg_scommon_make(struct tg_grammar *g, struct tg_scommon *out);
void tg_sc_string(struct tg_schema_conv *c, const struct tg_sview *v);
/* enum and const; `types` is what the view's types allow. */
void tg_sc_values(struct tg_schema_conv *c, const struct tg_sview *v, unsigned types);
/* Alternatives of `rule` that spell the texts; sorts and thins them out. */
void tg_sc_trie(struct tg_grammar *g, uint32_t rule, struct tg_str *texts, size_t n);
/* The tightest whole-number limits of the keywords min_key and max_key. */
void tg_sc_limits(struct tg_schema_conv *c, const struct tg_sview *v, const char *min_key,
                  const char *max_key, uint32_t *out_min, uint32_t *out_max);

/* ---- schema_num.c ---- */
void tg_sc_number(struct tg_schema_conv *c, const struct tg_sview *v, bool whole);
/* Whether a number's text keeps the view's limits. */
bool tg_sc_number_fits(struct tg_schema_conv *c, const struct tg_sview *v,
                       const struct tg_json *number);

/* ---- schema_regex.c ---- */
/* The inside of a JSON string that an ECMA-262 pattern matches (somewhere, unless anchored).
 * TG_E_UNSUPPORTED_PARAMETER: not a pattern of the subset; TG_E_NOMEM. */
int tg_regex_rule(struct tg_grammar *g, const struct tg_scommon *common, struct tg_str pattern,
                  uint32_t *out_rule) TG_WARN_UNUSED;

#endif
