#include "dialect/body_priv.h"

#include <stdio.h>

#include "base/err.h"

/* ---- checking ---- */

static TG_COLD int bad_type(const struct tg_field_rule *r, const struct tg_json *v,
                            const char *want, struct tg_fail *f)
{
    return tg_fail_param(f, TG_E_INVALID_VALUE, r->name.p, "'%s' must be %s, not %s", r->name.p,
                         want, tg_json_type_name(tg_json_type(v)));
}

static TG_COLD int bad_range(const struct tg_field_rule *r, struct tg_fail *f)
{
    if (r->max >= 1e15)
        return tg_fail_param(f, TG_E_INVALID_VALUE, r->name.p, "'%s' must be at least %.15g",
                             r->name.p, r->min);
    return tg_fail_param(f, TG_E_INVALID_VALUE, r->name.p, "'%s' must be between %.15g and %.15g",
                         r->name.p, r->min, r->max);
}

static int check_int(const struct tg_field_rule *r, const struct tg_json *v, struct tg_fail *f)
{
    int64_t i;
    int rc = tg_json_i64(v, &i);
    if (rc == TG_E_INVALID_ARG)
        return tg_fail_param(f, TG_E_INVALID_VALUE, r->name.p, "'%s' must be a whole number",
                             r->name.p);
    if (rc && (r->min == r->max || r->max >= 1e15))
        return tg_fail_param(f, TG_E_INVALID_VALUE, r->name.p, "'%s' is out of range", r->name.p);
    if (rc || (r->min < r->max && ((double)i < r->min || (double)i > r->max)))
        return bad_range(r, f);
    return 0;
}

static int check_number(const struct tg_field_rule *r, const struct tg_json *v, struct tg_fail *f)
{
    double d;
    int rc = tg_json_double(v, &d);
    if (rc == TG_E_INVALID_ARG)
        return bad_type(r, v, "a number", f);
    return rc || !(d >= r->min && d <= r->max) ? bad_range(r, f) : 0;
}

/* Types a check allows, as bits of 1 << tg_json_type, and their name. */
static const struct {
    unsigned types;
    const char *name;
} allowed[] = {
    [TG_CHECK_ANY] = {~0u, ""},
    [TG_CHECK_STRING] = {1u << TG_JSON_STRING, "a string"},
    [TG_CHECK_BOOL] = {1u << TG_JSON_BOOL, "a boolean"},
    [TG_CHECK_INT] = {1u << TG_JSON_NUMBER, "a whole number"},
    [TG_CHECK_NUMBER] = {1u << TG_JSON_NUMBER, "a number"},
    [TG_CHECK_OBJECT] = {1u << TG_JSON_OBJECT, "an object"},
    [TG_CHECK_ARRAY] = {1u << TG_JSON_ARRAY, "an array"},
    [TG_CHECK_STRING_OR_OBJECT] = {1u << TG_JSON_STRING | 1u << TG_JSON_OBJECT,
                                   "a string or an object"},
    [TG_CHECK_STRING_OR_ARRAY] = {1u << TG_JSON_STRING | 1u << TG_JSON_ARRAY,
                                  "a string or an array"},
    [TG_CHECK_STRINGS] = {1u << TG_JSON_STRING | 1u << TG_JSON_ARRAY,
                          "a string or an array of strings"},
};

static int check_strings(const struct tg_field_rule *r, const struct tg_json *v, struct tg_fail *f)
{
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        if (!tg_json_is_str(it.value))
            return tg_fail_param(f, TG_E_INVALID_VALUE, r->name.p, "'%s' must hold strings only",
                                 r->name.p);
    }
    return 0;
}

static int check_value(const struct tg_field_rule *r, const struct tg_json *v, struct tg_fail *f)
{
    unsigned check = r->check & ~(unsigned)(TG_CHECK_NOT_NULL | TG_CHECK_REFUSED);
    if (r->check & TG_CHECK_REFUSED)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, r->name.p,
                             "'%s' can't be chosen by a client of this gateway", r->name.p);
    if (tg_json_is_nil(v) && !(r->check & TG_CHECK_NOT_NULL))
        return 0;
    if (!(allowed[check].types & 1u << tg_json_type(v)))
        return bad_type(r, v, allowed[check].name, f);
    if (check == TG_CHECK_INT)
        return check_int(r, v, f);
    if (check == TG_CHECK_NUMBER)
        return check_number(r, v, f);
    if (check == TG_CHECK_STRINGS)
        return check_strings(r, v, f);
    return 0;
}

static const struct tg_field_rule *find_rule(const struct tg_field_table *t, struct tg_str name)
{
    for (size_t i = 0; i < t->n && t->rules[i].name.n <= name.n; i++) {
        if (t->rules[i].name.n == name.n && memcmp(t->rules[i].name.p, name.p, name.n) == 0)
            return &t->rules[i];
    }
    return NULL;
}

int tg_body_open(struct tg_arena *a, struct tg_str text, const struct tg_field_table *t,
                 struct tg_body **out, struct tg_fail *f)
{
    struct tg_body *b = tg_arena_new(a, struct tg_body);
    if (!b)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    int rc = tg_json_parse(a, text, NULL, &b->doc, f);
    if (rc)
        return rc;
    b->root = tg_json_root(b->doc);
    if (!tg_json_is_obj(b->root))
        return tg_fail_set(f, TG_E_INVALID_VALUE, "the body must be a JSON object, not %s",
                           tg_json_type_name(tg_json_type(b->root)));
    rc = tg_json_check_request(b->doc, t->list, f);
    if (rc)
        return rc;
    struct tg_json_iter it = tg_json_iter(b->root);
    while (tg_json_next(&it)) {
        const struct tg_field_rule *r = find_rule(t, it.name);
        if (!r)
            continue;
        rc = check_value(r, it.value, f);
        if (rc)
            return rc;
        b->v[r->id] = it.value;
    }
    *out = b;
    return 0;
}

void tg_body_fill_call(const struct tg_dialect *d, struct tg_str text, struct tg_body *b,
                       struct tg_call *out)
{
    *out = (struct tg_call){
        .dialect = d,
        .body = text,
        .model = tg_body_str(b, TG_F_MODEL),
        .stream = tg_body_true(b, TG_F_STREAM),
        .include_usage = tg_body_include_usage(b),
        .user = tg_body_str(b, TG_F_USER),
        .metadata = tg_body_raw(b, TG_F_METADATA),
        .parsed = b,
    };
}

struct tg_chat_req tg_call_request(const struct tg_call *call)
{
    return (struct tg_chat_req){
        .dialect = call->dialect->name,
        .wire = call->dialect->format,
        .task = call->dialect->task,
        .model = call->model,
        .stream = call->stream,
        .include_usage = call->include_usage,
        .tool_choice.parallel = -1,
        .format.strict = -1,
        .reasoning = {.budget_tokens = -1, .show = -1},
        .inputs = {.dimensions = -1, .top_n = -1},
        .user = call->user,
        .metadata = call->metadata,
    };
}

/* ---- reading ---- */

struct tg_str tg_body_str(const struct tg_body *b, enum tg_field id)
{
    return tg_json_str(b->v[id]);
}

bool tg_body_true(const struct tg_body *b, enum tg_field id)
{
    return tg_json_true(b->v[id]);
}

bool tg_body_include_usage(const struct tg_body *b)
{
    return tg_json_true(tg_json_get(b->v[TG_F_STREAM_OPTIONS], TG_STR("include_usage")));
}

struct tg_str tg_body_raw(const struct tg_body *b, enum tg_field id)
{
    return tg_json_is_nil(b->v[id]) ? TG_STR("") : tg_json_raw(b->doc, b->v[id]);
}

static int read_double(const struct tg_body *b, enum tg_field id, const char *name, unsigned bit,
                       double *out, struct tg_sampling *s, struct tg_fail *f)
{
    if (tg_json_is_nil(b->v[id]))
        return 0;
    if (tg_json_double(b->v[id], out))
        return tg_fail_param(f, TG_E_INVALID_VALUE, name, "'%s' must be a number", name);
    s->has |= bit;
    return 0;
}

static int read_int(const struct tg_body *b, enum tg_field id, const char *name, unsigned bit,
                    int64_t *out, struct tg_sampling *s, struct tg_fail *f)
{
    if (tg_json_is_nil(b->v[id]))
        return 0;
    if (tg_json_i64(b->v[id], out))
        return tg_fail_param(f, TG_E_INVALID_VALUE, name, "'%s' must be a whole number", name);
    s->has |= bit;
    return 0;
}

static int read_stops(const struct tg_body *b, struct tg_sampling *s, struct tg_fail *f)
{
    const struct tg_json *v = b->v[TG_F_STOP];
    if (tg_json_is_str(v))
        s->stops[s->n_stops++] = tg_json_str(v);
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        if (s->n_stops == TG_CHAT_MAX_STOPS)
            return tg_fail_param(f, TG_E_INVALID_VALUE, "stop", "'stop' has more than %d entries",
                                 TG_CHAT_MAX_STOPS);
        s->stops[s->n_stops++] = tg_json_str(it.value);
    }
    return 0;
}

int tg_body_sampling(const struct tg_body *b, struct tg_sampling *s, struct tg_fail *f)
{
    const struct {
        enum tg_field id;
        const char *name;
        unsigned bit;
        double *out;
    } doubles[] = {
        {TG_F_TEMPERATURE, "temperature", TG_HAS_TEMPERATURE, &s->temperature},
        {TG_F_TOP_P, "top_p", TG_HAS_TOP_P, &s->top_p},
        {TG_F_MIN_P, "min_p", TG_HAS_MIN_P, &s->min_p},
        {TG_F_PRESENCE, "presence_penalty", TG_HAS_PRESENCE, &s->presence_penalty},
        {TG_F_FREQUENCY, "frequency_penalty", TG_HAS_FREQUENCY, &s->frequency_penalty},
        {TG_F_REPEAT, "repeat_penalty", TG_HAS_REPEAT, &s->repeat_penalty},
        {TG_F_REPETITION, "repetition_penalty", TG_HAS_REPEAT, &s->repeat_penalty},
    };
    const struct {
        enum tg_field id;
        const char *name;
        unsigned bit;
        int64_t *out;
    } ints[] = {
        {TG_F_MAX_TOKENS, "max_tokens", TG_HAS_MAX_TOKENS, &s->max_tokens},
        {TG_F_MAX_COMPLETION_TOKENS, "max_completion_tokens", TG_HAS_MAX_TOKENS, &s->max_tokens},
        {TG_F_TOP_K, "top_k", TG_HAS_TOP_K, &s->top_k},
        {TG_F_N, "n", TG_HAS_N, &s->n},
        {TG_F_SEED, "seed", TG_HAS_SEED, &s->seed},
    };
    int rc = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(doubles) && !rc; i++)
        rc = read_double(b, doubles[i].id, doubles[i].name, doubles[i].bit, doubles[i].out, s, f);
    for (size_t i = 0; i < TG_ARRAY_LEN(ints) && !rc; i++)
        rc = read_int(b, ints[i].id, ints[i].name, ints[i].bit, ints[i].out, s, f);
    if (rc)
        return rc;
    s->max_tokens_is_completion = !tg_json_is_nil(b->v[TG_F_MAX_COMPLETION_TOKENS]);
    s->logit_bias = tg_body_raw(b, TG_F_LOGIT_BIAS);
    return read_stops(b, s, f);
}

/* ---- what is kept as it is ---- */

static size_t copy_members(struct tg_json_doc *doc, const struct tg_json *obj,
                           bool (*skip)(struct tg_str name, const void *ctx), const void *ctx,
                           char *out)
{
    const char *text = tg_json_text(doc).p;
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(obj);
    while (tg_json_next(&it)) {
        if (skip(it.name, ctx))
            continue;
        struct tg_json_span k = tg_json_span(doc, it.key), v = tg_json_span(doc, it.value);
        size_t len = v.at + v.n - k.at;
        if (n) {
            if (out)
                out[n] = ',';
            n++;
        }
        if (out)
            memcpy(out + n, text + k.at, len);
        n += len;
    }
    return n;
}

int tg_body_extra(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *obj,
                  bool (*skip)(struct tg_str name, const void *ctx), const void *ctx,
                  struct tg_extra *out)
{
    size_t n = copy_members(doc, obj, skip, ctx, NULL);
    out->members = TG_STR("");
    if (n == 0)
        return 0;
    char *p = tg_arena_alloc(a, n);
    if (!p)
        return TG_E_NOMEM;
    copy_members(doc, obj, skip, ctx, p);
    out->members = tg_str_make(p, n);
    return 0;
}

struct known {
    struct tg_str words; /* with blanks between them */
    const struct tg_json *obj;
};

static bool is_known(struct tg_str name, const void *ctx)
{
    const struct known *k = ctx;
    struct tg_str rest = k->words, word;
    while (rest.n && tg_str_split(&rest, ' ', &word)) {
        if (word.n && tg_str_eq(word, name))
            return true;
    }
    return tg_json_is_nil(tg_json_get(k->obj, name));
}

int tg_body_unknown(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *obj,
                    const char *known, struct tg_extra *out)
{
    struct known k = {.words = tg_str_c(known), .obj = obj};
    return tg_body_extra(a, doc, obj, is_known, &k, out);
}

static bool is_numbered(struct tg_str name, const void *ctx)
{
    const struct tg_field_rule *r = find_rule(ctx, name);
    return r && r->id != TG_F_NONE;
}

int tg_body_top_extra(struct tg_arena *a, const struct tg_body *b, const struct tg_field_table *t,
                      struct tg_extra *out)
{
    return tg_body_extra(a, b->doc, b->root, is_numbered, t, out);
}

int tg_body_one_message(struct tg_arena *a, struct tg_str system, struct tg_str text,
                        struct tg_chat_req *out)
{
    size_t n = system.n ? 2 : 1;
    struct tg_message *m = tg_arena_array(a, n, sizeof(*m));
    struct tg_part *p = tg_arena_array(a, n, sizeof(*p));
    if (!m || !p)
        return TG_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        m[i].role = i + 1 < n ? TG_ROLE_SYSTEM : TG_ROLE_USER;
        m[i].parts = &p[i];
        m[i].n_parts = 1;
        p[i].kind = TG_PART_TEXT;
        p[i].text = i + 1 < n ? system : text;
    }
    out->messages = m;
    out->n_messages = n;
    return 0;
}
