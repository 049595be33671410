#include "chat/fidelity.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/fail.h"
#include "json/json.h"

#define MAX_NAMED      16
#define MAX_NAME_BYTES 64

static const char *const names[TG_FEATURE_COUNT] = {
#define X(id, name, what) name,
    TG_FEATURES(X)
#undef X
};
static const char *const whats[TG_FEATURE_COUNT] = {
#define X(id, name, what) what,
    TG_FEATURES(X)
#undef X
};

const char *tg_feature_name(enum tg_feature f)
{
    TG_REQUIRE((size_t)f < TG_FEATURE_COUNT);
    return names[f];
}

const char *tg_feature_what(enum tg_feature f)
{
    TG_REQUIRE((size_t)f < TG_FEATURE_COUNT);
    return whats[f];
}

const char *tg_fidelity_name(enum tg_fidelity f)
{
    static const char *const text[] = {"unset", "native", "emulated", "dropped", "refused"};
    TG_REQUIRE((size_t)f < TG_ARRAY_LEN(text));
    return text[f];
}

/* ---- what a request uses ---- */

#define BIT(id) TG_FEATURE_BIT(id)

static uint64_t media_features(const struct tg_part *p)
{
    static const uint64_t of[3][3] = {
        {BIT(IMAGE), BIT(IMAGE_URL), BIT(IMAGE_FILE)},
        {BIT(DOCUMENT), BIT(DOCUMENT_URL), BIT(DOCUMENT_FILE)},
        {BIT(AUDIO), BIT(AUDIO), BIT(AUDIO)},
    };
    uint64_t bits = of[p->kind - TG_PART_IMAGE][p->media.source];
    return p->kind == TG_PART_IMAGE && p->media.detail.n ? bits | BIT(IMAGE_DETAIL) : bits;
}

static uint64_t opaque_features(const struct tg_part *p)
{
    switch (p->opaque) {
    case TG_OPAQUE_NONE:
        return p->kind == TG_PART_REASONING ? BIT(REASONING) : 0;
    case TG_OPAQUE_SIGNED:
    case TG_OPAQUE_REDACTED:
        return BIT(SIGNED);
    case TG_OPAQUE_ENCRYPTED:
        return BIT(ENCRYPTED);
    case TG_OPAQUE_THOUGHT:
        return BIT(THOUGHT);
    }
    TG_UNREACHABLE();
}

static uint64_t result_features(const struct tg_part *p)
{
    uint64_t bits = p->is_error ? BIT(RESULT_ERROR) : 0;
    for (size_t i = 0; i < p->n_parts; i++) {
        const struct tg_part *inner = &p->parts[i];
        if (inner->kind == TG_PART_IMAGE || inner->kind == TG_PART_DOCUMENT)
            bits |= BIT(RESULT_MEDIA) | media_features(inner);
        if (inner->kind == TG_PART_RAW)
            bits |= BIT(RAW_PART);
        if (inner->cache_hint.n)
            bits |= BIT(CACHE_HINT);
        if (inner->kind == TG_PART_DOCUMENT && inner->extra.members.n)
            bits |= BIT(EXTRA);
    }
    return bits;
}

static uint64_t part_features(const struct tg_part *p)
{
    uint64_t bits = p->cache_hint.n ? BIT(CACHE_HINT) : 0;
    switch (p->kind) {
    case TG_PART_TEXT:
    case TG_PART_TOOL_CALL:
    case TG_PART_REASONING:
        return bits | opaque_features(p);
    case TG_PART_DOCUMENT:
        bits |= p->extra.members.n ? BIT(EXTRA) : 0;
        return bits | media_features(p);
    case TG_PART_IMAGE:
    case TG_PART_AUDIO:
        return bits | media_features(p);
    case TG_PART_TOOL_RESULT:
        return bits | result_features(p);
    case TG_PART_REFUSAL:
        return bits | BIT(REFUSAL);
    case TG_PART_RAW:
        return bits | BIT(RAW_PART);
    }
    TG_UNREACHABLE();
}

static uint64_t message_features(const struct tg_message *m)
{
    uint64_t bits = m->name.n && m->role != TG_ROLE_TOOL ? BIT(NAME) : 0; /* that is the tool's */
    if (m->role == TG_ROLE_SYSTEM)
        bits |= BIT(SYSTEM);
    if (m->role == TG_ROLE_DEVELOPER)
        bits |= BIT(DEVELOPER);
    for (size_t i = 0; i < m->n_parts; i++)
        bits |= part_features(&m->parts[i]);
    return bits;
}

static uint64_t sampling_features(const struct tg_sampling *s)
{
    static const uint64_t of[] = {
        BIT(TEMPERATURE), BIT(TOP_P),      BIT(TOP_K),      BIT(MIN_P), BIT(PRESENCE),
        BIT(FREQUENCY),   BIT(REPETITION), BIT(MAX_TOKENS), BIT(SEED),
    };
    uint64_t bits = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(of); i++) {
        if (s->has & 1u << i)
            bits |= of[i];
    }
    if (s->has & TG_HAS_N && s->n > 1)
        bits |= BIT(N);
    if (s->has & TG_HAS_LOGPROBS && s->logprobs)
        bits |= BIT(LOGPROBS);
    if (s->has & TG_HAS_TOP_LOGPROBS && s->top_logprobs > 0)
        bits |= BIT(TOP_LOGPROBS);
    if (s->n_stops)
        bits |= BIT(STOP);
    return s->logit_bias.n ? bits | BIT(LOGIT_BIAS) : bits;
}

static uint64_t tool_features(const struct tg_chat_req *r)
{
    static const uint64_t of_choice[] = {
        [TG_TOOL_CHOICE_UNSET] = 0,
        [TG_TOOL_CHOICE_AUTO] = BIT(TOOL_CHOICE),
        [TG_TOOL_CHOICE_NONE] = BIT(TOOL_CHOICE),
        [TG_TOOL_CHOICE_REQUIRED] = BIT(TOOL_REQUIRED),
        [TG_TOOL_CHOICE_NAMED] = BIT(TOOL_NAMED),
        [TG_TOOL_CHOICE_RAW] = BIT(TOOL_CHOICE_RAW),
    };
    uint64_t bits = of_choice[r->tool_choice.kind];
    if (r->tool_choice.parallel >= 0)
        bits |= BIT(PARALLEL);
    for (size_t i = 0; i < r->n_tools; i++) {
        bits |= r->tools[i].is_function ? BIT(TOOLS) : BIT(TOOL_TYPES);
        if (r->tools[i].strict > 0)
            bits |= BIT(TOOL_STRICT);
        if (r->tools[i].cache_hint.n)
            bits |= BIT(CACHE_HINT);
        if (r->tools[i].extra.members.n)
            bits |= BIT(EXTRA);
    }
    return bits;
}

uint64_t tg_features_idle(const struct tg_chat_req *req)
{
    return req->tool_choice.parallel || !req->n_tools ? BIT(PARALLEL) : 0;
}

static uint64_t option_features(const struct tg_chat_req *r)
{
    uint64_t bits = 0;
    if (r->format.kind == TG_FORMAT_JSON)
        bits |= BIT(JSON_OBJECT);
    if (r->format.kind == TG_FORMAT_SCHEMA)
        bits |= BIT(JSON_SCHEMA);
    if (r->reasoning.effort.n)
        bits |= BIT(EFFORT);
    if (r->reasoning.budget_tokens >= 0 || r->reasoning.adaptive)
        bits |= BIT(BUDGET);
    if (r->reasoning.show >= 0 || r->reasoning.summary.n)
        bits |= BIT(SHOW);
    if (r->service_tier.n)
        bits |= BIT(SERVICE_TIER);
    if (r->user.n)
        bits |= BIT(USER);
    if (r->metadata.n && r->wire != TG_WIRE_NONE) /* the gateway's own shapes: for its log */
        bits |= BIT(METADATA);
    if (r->is_completion)
        bits |= BIT(PROMPT);
    if (r->task == TG_TASK_COUNT)
        bits |= BIT(COUNTING);
    return r->extra.members.n ? bits | BIT(EXTRA) : bits;
}

static uint64_t input_features(const struct tg_chat_req *r)
{
    const struct tg_inputs *in = &r->inputs;
    uint64_t bits = 0;
    if (r->task != TG_TASK_EMBED)
        return 0;
    if (in->dimensions >= 0)
        bits |= BIT(DIMENSIONS);
    if (in->base64)
        bits |= BIT(BASE64);
    if (in->purpose.n)
        bits |= BIT(INPUT_TYPE);
    for (size_t i = 0; i < in->n; i++) {
        if (in->raw && in->raw[i].n && in->raw[i].p[0] == '[')
            bits |= BIT(INPUT_TOKENS);
    }
    return bits;
}

uint64_t tg_features_of(const struct tg_chat_req *r)
{
    uint64_t bits =
        sampling_features(&r->sampling) | tool_features(r) | option_features(r) | input_features(r);
    for (size_t i = 0; i < r->n_messages; i++)
        bits |= message_features(&r->messages[i]);
    return bits;
}

uint64_t tg_features_with(uint64_t used, const uint8_t *row, enum tg_fidelity f)
{
    uint64_t bits = 0;
    for (uint64_t left = used; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        if (row[i] == f)
            bits |= 1ull << i;
    }
    return bits;
}

/* ---- saying so ---- */

/* The last word of a field's name: what its key in the body is. "tools[].type:x" → "type". */
static struct tg_str key_of(struct tg_str name)
{
    size_t from = 0, end = name.n;
    for (size_t i = 0; i < end; i++) {
        if (name.p[i] == '.')
            from = i + 1;
        if (name.p[i] == ':' || (name.p[i] == '[' && i > from && i + 2 == name.n))
            end = i;
    }
    return tg_str_make(name.p + from, end - from);
}

/* Whether `"key"` stands in the text: a quote inside of a string would have a backslash. */
static bool has_key(struct tg_str body, struct tg_str key)
{
    for (struct tg_str rest = body; rest.n > key.n + 1;) {
        ptrdiff_t at = tg_str_find(rest, key);
        if (at < 0)
            return false;
        size_t end = (size_t)at + key.n;
        if (at > 0 && rest.p[at - 1] == '"' && end < rest.n && rest.p[end] == '"')
            return true;
        rest = tg_str_from(rest, end);
    }
    return false;
}

struct tg_str tg_client_field(const struct tg_client_fields *c, enum tg_feature f)
{
    struct tg_str all = c && c->names && c->names[f] ? tg_str_c(c->names[f]) : tg_str_c(names[f]);
    struct tg_str rest = all, name, first = all;
    if (tg_str_chr(all, ' ') < 0)
        return all;
    for (bool begun = false; tg_str_split(&rest, ' ', &name); begun = true) {
        if (!begun)
            first = name;
        if (has_key(c->body, key_of(name)))
            return name;
    }
    return first;
}

/* Names are a client's text on its way into a header: anything but a plain word is left out. */
static bool is_word(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-' || c == '.';
        if (!plain)
            return false;
    }
    return s.n > 0 && s.n <= MAX_NAME_BYTES;
}

/* A list of names as it is written. */
struct naming {
    const struct tg_client_fields *client;
    struct tg_buf *out;
    size_t from; /* where it begins in `out` */
    unsigned n;  /* so far */
};

/* What stands at the end of the text, behind `at`, stands before it too. */
static bool is_twice(const struct naming *w, size_t at)
{
    struct tg_str all = tg_buf_str(w->out), one;
    struct tg_str last = tg_str_from(all, at + 1);
    struct tg_str rest = tg_str_from(tg_str_first(all, at), w->from);
    while (rest.n && tg_str_split(&rest, ',', &one)) {
        if (tg_str_eq(one, last))
            return true;
    }
    return false;
}

/* What is in the list already is not named again. */
static void put_name(struct naming *w, struct tg_str inside, struct tg_str name)
{
    size_t at = w->out->n;
    if (w->n)
        tg_buf_char(w->out, ',');
    else
        w->from = at;
    tg_buf_str_add(w->out, inside);
    if (inside.n)
        tg_buf_char(w->out, '.');
    tg_buf_str_add(w->out, name);
    if (w->n && is_twice(w, at))
        w->out->n = at;
    else
        w->n++;
}

/* Some field of the format is inside of that member (`generationConfig`), or is that one itself. */
static bool is_known(const struct naming *w, struct tg_str member, struct tg_str name)
{
    for (int f = 0; w->client && w->client->names && f < TG_FEATURE_COUNT; f++) {
        struct tg_str rest = w->client->names[f] ? tg_str_c(w->client->names[f]) : TG_STR("");
        struct tg_str one;
        while (rest.n && tg_str_split(&rest, ' ', &one)) {
            struct tg_str inner = tg_str_from(one, member.n + 1);
            if (!tg_str_starts(one, member) || one.n <= member.n || one.p[member.n] != '.')
                continue;
            if (!name.n ||
                (tg_str_starts(inner, name) &&
                 (inner.n == name.n || inner.p[name.n] == '.' || inner.p[name.n] == ':')))
                return true;
        }
    }
    return false;
}

/* A member that the format has fields in is named by what of it has no place. */
static void put_member(struct naming *w, const struct tg_json_iter *m)
{
    unsigned before = w->n;
    struct tg_json_iter in = tg_json_iter(m->value);
    if (tg_json_is_obj(m->value) && is_known(w, m->name, TG_STR(""))) {
        while (w->n < MAX_NAMED && tg_json_next(&in)) {
            if (is_word(in.name) && !is_known(w, m->name, in.name))
                put_name(w, m->name, in.name);
        }
    }
    if (w->n == before)
        put_name(w, TG_STR(""), m->name);
}

/* One of a tool: what its `function` has too much is inside of that. */
static void put_tool_member(struct naming *w, const struct tg_json_iter *m)
{
    struct tg_json_iter in = tg_json_iter(m->value);
    if (!tg_str_eq(m->name, TG_STR("function")) || !tg_json_is_obj(m->value)) {
        put_name(w, TG_STR("tools[]"), m->name);
        return;
    }
    while (w->n < MAX_NAMED && tg_json_next(&in)) {
        if (is_word(in.name))
            put_name(w, TG_STR("tools[].function"), in.name);
    }
}

static void put_document_member(struct naming *w, const struct tg_json_iter *m)
{
    put_name(w, TG_STR("document"), m->name);
}

static void put_members(struct naming *w, struct tg_str members,
                        void (*put)(struct naming *w, const struct tg_json_iter *m))
{
    struct tg_arena a;
    struct tg_buf text;
    struct tg_json_doc *doc;
    unsigned before = w->n;
    if (!members.n)
        return;
    tg_arena_init(&a, 1024, SIZE_MAX / 4);
    tg_buf_init(&text, SIZE_MAX / 4);
    tg_buf_char(&text, '{');
    tg_buf_str_add(&text, members);
    tg_buf_char(&text, '}');
    if (tg_buf_ok(&text) && tg_json_parse(&a, tg_buf_str(&text), NULL, &doc, NULL) == 0) {
        struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
        while (w->n < before + MAX_NAMED && tg_json_next(&it)) {
            if (is_word(it.name))
                put(w, &it);
        }
    }
    tg_buf_fini(&text);
    tg_arena_fini(&a);
}

/* Of documents, also of those that a tool gave. */
static void put_part_members(struct naming *w, const struct tg_part *p)
{
    if (p->kind == TG_PART_DOCUMENT)
        put_members(w, p->extra.members, put_document_member);
    for (size_t i = 0; i < p->n_parts && w->n < MAX_NAMED; i++) {
        if (p->parts[i].kind == TG_PART_DOCUMENT)
            put_members(w, p->parts[i].extra.members, put_document_member);
    }
}

/* "foo,generationConfig.bar,tools[].baz", or "extra" when no member can be named. */
static void put_extra(struct naming *w, const struct tg_chat_req *req)
{
    size_t before = w->out->n;
    put_members(w, req->extra.members, put_member);
    for (size_t i = 0; i < req->n_tools && w->n < MAX_NAMED; i++)
        put_members(w, req->tools[i].extra.members, put_tool_member);
    for (size_t i = 0; i < req->n_messages && w->n < MAX_NAMED; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++)
            put_part_members(w, &req->messages[i].parts[k]);
    }
    if (w->out->n == before)
        put_name(w, TG_STR(""), TG_STR("extra"));
}

/* Hints stand in messages, and on tools. */
static void put_hint(struct naming *w, const struct tg_chat_req *req)
{
    bool of_tool = false, of_part = false;
    for (size_t i = 0; i < req->n_tools; i++)
        of_tool = of_tool || req->tools[i].cache_hint.n;
    for (size_t i = 0; i < req->n_messages && !of_part; i++)
        of_part = message_features(&req->messages[i]) & BIT(CACHE_HINT);
    if (of_part || !of_tool)
        put_name(w, TG_STR(""), tg_client_field(w->client, TG_FEATURE_CACHE_HINT));
    if (of_tool)
        put_name(w, TG_STR("tools[]"), TG_STR("cache_control"));
}

/* Two features that the format says by one field are one. */
static void put_features(struct naming *w, uint64_t bits, const struct tg_chat_req *req)
{
    for (uint64_t left = bits; left; left &= left - 1) {
        enum tg_feature f = (enum tg_feature)__builtin_ctzll(left);
        if (f == TG_FEATURE_EXTRA && req)
            put_extra(w, req);
        else if (f == TG_FEATURE_CACHE_HINT && req)
            put_hint(w, req);
        else
            put_name(w, TG_STR(""), tg_client_field(w->client, f));
    }
}

void tg_fidelity_write(const struct tg_losses *l, const struct tg_client_fields *c,
                       const struct tg_chat_req *req, struct tg_buf *out)
{
    struct naming dropped = {.client = c, .out = out}, emulated = dropped;
    uint64_t other = l->emulated & ~l->dropped; /* what is gone is gone */
    bool any = l->dropped || l->left_out.n;
    if (any)
        tg_buf_lit(out, "dropped=");
    put_features(&dropped, l->dropped, req);
    if (l->left_out.n)
        put_name(&dropped, TG_STR(""), l->left_out);
    if (any && other)
        tg_buf_lit(out, "; ");
    if (other)
        tg_buf_lit(out, "emulated=");
    put_features(&emulated, other, req);
}

/* The field that the text names first, without "dropped=". */
static void first_field(struct tg_str text, char *out, size_t cap)
{
    ptrdiff_t eq = tg_str_chr(text, '=');
    struct tg_str s = tg_str_from(text, (size_t)(eq + 1));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ',' || s.p[i] == ';')
            s.n = i;
    }
    tg_str_to_c(s, out, cap);
}

int tg_fidelity_strict(const struct tg_losses *l, const struct tg_client_fields *c,
                       const struct tg_chat_req *req, struct tg_fail *f)
{
    if (!tg_losses_any(l))
        return 0;
    struct tg_buf b;
    char field[96];
    tg_buf_init(&b, 8192);
    tg_fidelity_write(l, c, req, &b);
    first_field(tg_buf_str(&b), field, sizeof field);
    int rc = tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, field,
                           "strict mode: this model's provider would not get the request as it is "
                           "(%.*s)",
                           TG_STR_ARG(tg_buf_str(&b)));
    tg_buf_fini(&b);
    return rc;
}
