#include "base/err.h"
#include "chat/drop_priv.h"
#include "json/json.h"

#define BIT(id) TG_FEATURE_BIT(id)

/* What can't be left out: without it nothing is asked for. */
#define NEEDED (BIT(PROMPT) | BIT(COUNTING) | BIT(INPUT_TOKENS) | BIT(EXTRA))

struct dropper {
    struct tg_arena *a;
    const struct tg_drop *d;
    const struct tg_chat_req *from;
    struct tg_chat_req *to; /* NULL: nothing was left out so far */
    uint64_t bits;          /* features to leave out */
    struct tg_buf left_out; /* other names */
    struct tg_fail *f;
};

static int no_memory(const struct dropper *x)
{
    return tg_fail_set(x->f, TG_E_NOMEM, "not enough memory for the request");
}

/* ---- which features ---- */

static bool is_name_of(struct tg_str name, struct tg_str field)
{
    if (tg_str_eq(name, field))
        return true;
    return tg_str_starts(field, name) && field.n > name.n && field.p[name.n] == ':';
}

static bool names_feature(const struct tg_drop *d, struct tg_str name, enum tg_feature f)
{
    const char *client = d->client.names ? d->client.names[f] : NULL;
    struct tg_str rest = client ? tg_str_c(client) : TG_STR(""), one;
    if (is_name_of(name, tg_str_c(tg_feature_name(f))))
        return true;
    while (rest.n && tg_str_split(&rest, ' ', &one)) {
        if (is_name_of(name, one))
            return true;
    }
    return false;
}

uint64_t tg_drop_features(const struct tg_drop *d, uint64_t used)
{
    uint64_t bits = 0;
    for (uint64_t left = used & ~NEEDED; left; left &= left - 1) {
        enum tg_feature f = (enum tg_feature)__builtin_ctzll(left);
        for (size_t i = 0; i < d->n; i++) {
            if (names_feature(d, d->names[i], f))
                bits |= 1ull << f;
        }
    }
    return bits;
}

bool tg_drop_lists(const struct tg_drop *d, struct tg_str name)
{
    for (size_t i = 0; name.n && i < d->n; i++) {
        if (tg_str_eq(d->names[i], name))
            return true;
    }
    return false;
}

bool tg_drop_is_type(struct tg_str type, struct tg_str name)
{
    if (!tg_str_starts(type, name) || !name.n)
        return false;
    struct tg_str rest = tg_str_from(type, name.n);
    bool dated = rest.n > 1 && rest.p[0] == '_' && rest.p[1] >= '0' && rest.p[1] <= '9';
    return !rest.n || dated || tg_str_starts(rest, TG_STR("_preview"));
}

void tg_drop_say(struct tg_buf *out, struct tg_str name)
{
    if (out->n)
        tg_buf_char(out, ',');
    for (size_t i = 0; i < name.n; i++) { /* on its way into a header */
        char c = name.p[i];
        bool plain = c > 0x20 && c < 0x7f && c != ',' && c != ';' && c != '=';
        tg_buf_char(out, plain ? c : '_');
    }
}

static struct tg_chat_req *copy(struct dropper *x)
{
    if (!x->to && (x->to = tg_arena_new(x->a, struct tg_chat_req)))
        *x->to = *x->from;
    return x->to;
}

/* ---- tools ---- */

static struct tg_str own_name(struct dropper *x, const struct tg_tool *t)
{
    struct tg_json_doc *doc;
    if (t->is_function || t->name.n || !t->raw.n ||
        tg_json_parse(x->a, t->raw, NULL, &doc, NULL) < 0)
        return t->name;
    return tg_json_get_str(tg_json_root(doc), TG_STR("name"));
}

static bool drops_tool(struct dropper *x, const struct tg_tool *t)
{
    if (t->is_function)
        return x->bits & BIT(TOOLS);
    if (x->bits & BIT(TOOL_TYPES))
        return true;
    for (size_t i = 0; i < x->d->n; i++) {
        if (tg_drop_is_type(t->type, x->d->names[i]))
            return true;
    }
    return false;
}

/* {"type":"web_search"}, {"type":"allowed_tools","tools":[{"type":"web_search"}]} */
static bool choice_mentions(const struct dropper *x, struct tg_str type, struct tg_str name)
{
    struct tg_str raw = x->from->tool_choice.raw;
    struct tg_json_doc *doc;
    if (x->from->tool_choice.kind != TG_TOOL_CHOICE_RAW || !raw.n ||
        tg_json_parse(x->a, raw, NULL, &doc, NULL) < 0)
        return false;
    const struct tg_json *root = tg_json_root(doc);
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("tools")));
    bool said = tg_json_str_is(tg_json_get(root, TG_STR("type")), type);
    while (!said && tg_json_next(&it))
        said = tg_json_str_is(tg_json_get(it.value, TG_STR("type")), type) ||
               (name.n && tg_json_str_is(tg_json_get(it.value, TG_STR("name")), name));
    return said;
}

static int refuse_choice(const struct dropper *x, struct tg_str tool)
{
    char field[96], quoted[80];
    static const enum tg_feature of[] = {
        [TG_TOOL_CHOICE_REQUIRED] = TG_FEATURE_TOOL_REQUIRED,
        [TG_TOOL_CHOICE_NAMED] = TG_FEATURE_TOOL_NAMED,
        [TG_TOOL_CHOICE_RAW] = TG_FEATURE_TOOL_CHOICE_RAW,
    };
    tg_str_to_c(tg_client_field(&x->d->client, of[x->from->tool_choice.kind]), field, sizeof field);
    return tg_fail_param(x->f, TG_E_UNSUPPORTED_PARAMETER, field,
                         "'%s' asks for the tool '%s', which is left out of requests to this model "
                         "by its setting 'drop'",
                         field, tg_fail_quote(tool, quoted, sizeof quoted));
}

static int check_choice(struct dropper *x, const struct tg_tool *t)
{
    const struct tg_tool_choice *c = &x->from->tool_choice;
    struct tg_str name = own_name(x, t);
    bool named = c->kind == TG_TOOL_CHOICE_NAMED &&
                 (tg_str_eq(c->name, name) || tg_str_eq(c->name, t->type));
    if (named || choice_mentions(x, t->type, name))
        return refuse_choice(x, t->is_function ? t->name : t->type);
    return 0;
}

/* Without any tool nothing is left to choose from. */
static int drop_choice(struct dropper *x, const struct tg_tool *last)
{
    struct tg_tool_choice *c = &x->to->tool_choice;
    if (c->kind > TG_TOOL_CHOICE_NONE)
        return refuse_choice(x, last->is_function ? last->name : last->type);
    *c = (struct tg_tool_choice){.parallel = -1};
    return 0;
}

static int drop_tools(struct dropper *x)
{
    const struct tg_chat_req *r = x->from;
    const struct tg_tool *last = NULL;
    struct tg_tool *kept = NULL;
    size_t n = 0;
    for (size_t i = 0; i < r->n_tools; i++) {
        const struct tg_tool *t = &r->tools[i];
        if (!drops_tool(x, t)) {
            if (kept)
                kept[n] = *t;
            n++;
            continue;
        }
        int rc = check_choice(x, t);
        if (rc < 0)
            return rc;
        if (!kept) {
            kept = tg_arena_array(x->a, r->n_tools, sizeof *kept);
            if (!kept || !copy(x))
                return no_memory(x);
            memcpy(kept, r->tools, n * sizeof *kept);
        }
        if (!t->is_function)
            tg_drop_say(&x->left_out, t->type);
        last = t;
    }
    if (!last)
        return 0;
    x->to->tools = kept;
    x->to->n_tools = n;
    return n ? 0 : drop_choice(x, last);
}

/* ---- members that have no place in the canonical form ---- */

/* `all` (`"key":value` texts joined by commas) without the listed ones. */
static int drop_members(struct dropper *x, struct tg_str all, struct tg_str *out)
{
    struct tg_json_doc *doc;
    struct tg_str text = tg_arena_printf(x->a, "{%.*s}", TG_STR_ARG(all));
    struct tg_buf b;
    bool found = false;
    if (!text.p)
        return no_memory(x);
    if (tg_json_parse(x->a, text, NULL, &doc, NULL) < 0)
        return 0;
    tg_buf_init(&b, text.n + 16);
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    while (tg_json_next(&it)) {
        if (tg_drop_lists(x->d, it.name)) {
            tg_drop_say(&x->left_out, it.name);
            found = true;
            continue;
        }
        struct tg_json_span key = tg_json_span(doc, it.key);
        if (b.n)
            tg_buf_char(&b, ',');
        tg_buf_str_add(&b, tg_str_make(text.p + key.at, key.n));
        tg_buf_char(&b, ':');
        tg_buf_str_add(&b, tg_json_raw(doc, it.value));
    }
    struct tg_str rest = tg_arena_dup(x->a, tg_buf_str(&b));
    int rc = !tg_buf_ok(&b) || (b.n && !rest.p) || (found && !copy(x)) ? no_memory(x) : 0;
    tg_buf_fini(&b);
    if (!rc && found)
        *out = rest;
    return rc;
}

static int drop_extra(struct dropper *x)
{
    struct tg_str extra = x->from->extra.members;
    int rc = extra.n ? drop_members(x, extra, &extra) : 0;
    if (!rc && x->to)
        x->to->extra.members = extra;
    return rc;
}

/* ---- settings ---- */

static void drop_sampling(uint64_t bits, struct tg_sampling *s)
{
    static const uint64_t of[] = {
        BIT(TEMPERATURE), BIT(TOP_P),      BIT(TOP_K), BIT(MIN_P), BIT(PRESENCE), BIT(FREQUENCY),
        BIT(REPETITION),  BIT(MAX_TOKENS), BIT(SEED),  BIT(N),     BIT(LOGPROBS), BIT(TOP_LOGPROBS),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(of); i++) {
        if (bits & of[i])
            s->has &= ~(1u << i);
    }
    if (bits & BIT(STOP))
        s->n_stops = 0;
    if (bits & BIT(LOGIT_BIAS))
        s->logit_bias = TG_STR("");
}

static void drop_reasoning(uint64_t bits, struct tg_reasoning_opts *r)
{
    if (!(bits & (BIT(EFFORT) | BIT(BUDGET) | BIT(SHOW))))
        return;
    r->raw = TG_STR("");
    if (bits & BIT(EFFORT))
        r->effort = TG_STR("");
    if (bits & BIT(BUDGET)) {
        r->budget_tokens = -1;
        r->adaptive = false;
    }
    if (bits & BIT(SHOW)) {
        r->show = -1;
        r->summary = TG_STR("");
    }
}

static void drop_options(uint64_t bits, struct tg_chat_req *r)
{
    static const uint64_t choices[] = {
        [TG_TOOL_CHOICE_UNSET] = 0,
        [TG_TOOL_CHOICE_AUTO] = BIT(TOOL_CHOICE),
        [TG_TOOL_CHOICE_NONE] = BIT(TOOL_CHOICE),
        [TG_TOOL_CHOICE_REQUIRED] = BIT(TOOL_REQUIRED),
        [TG_TOOL_CHOICE_NAMED] = BIT(TOOL_NAMED),
        [TG_TOOL_CHOICE_RAW] = BIT(TOOL_CHOICE_RAW),
    };
    if (bits & choices[r->tool_choice.kind])
        r->tool_choice = (struct tg_tool_choice){.parallel = r->tool_choice.parallel};
    if (bits & BIT(PARALLEL))
        r->tool_choice.parallel = -1;
    if (bits & (BIT(JSON_OBJECT) | BIT(JSON_SCHEMA)))
        r->format = (struct tg_output_format){.strict = -1};
    if (bits & BIT(SERVICE_TIER))
        r->service_tier = TG_STR("");
    if (bits & BIT(USER))
        r->user = TG_STR("");
    if (bits & BIT(METADATA))
        r->metadata = TG_STR("");
    if (bits & BIT(DIMENSIONS))
        r->inputs.dimensions = -1;
    if (bits & BIT(BASE64))
        r->inputs.base64 = false;
    if (bits & BIT(INPUT_TYPE))
        r->inputs.purpose = TG_STR("");
}

/* Marks on tools: that they are strict, that a cache ends there. */
static int drop_tool_marks(struct dropper *x)
{
    bool strict = x->bits & BIT(TOOL_STRICT), hint = x->bits & BIT(CACHE_HINT);
    if ((!strict && !hint) || !x->to->n_tools)
        return 0;
    struct tg_tool *t = tg_arena_array(x->a, x->to->n_tools, sizeof *t);
    if (!t)
        return no_memory(x);
    for (size_t i = 0; i < x->to->n_tools; i++) {
        t[i] = x->to->tools[i];
        if ((strict && t[i].strict > 0) || (hint && t[i].cache_hint.n))
            t[i].raw = TG_STR("");
        if (strict)
            t[i].strict = -1;
        if (hint)
            t[i].cache_hint = TG_STR("");
    }
    x->to->tools = t;
    return 0;
}

/* ---- messages ---- */

/* The features that are a part's whole being, one of which is enough to leave it out. */
static uint64_t being(const struct tg_part *p)
{
    static const uint64_t media[3][3] = {
        {BIT(IMAGE), BIT(IMAGE_URL), BIT(IMAGE_FILE)},
        {BIT(DOCUMENT), BIT(DOCUMENT_URL), BIT(DOCUMENT_FILE)},
        {BIT(AUDIO), BIT(AUDIO), BIT(AUDIO)},
    };
    static const uint64_t opaque[] = {
        [TG_OPAQUE_NONE] = BIT(REASONING),  [TG_OPAQUE_SIGNED] = BIT(SIGNED),
        [TG_OPAQUE_REDACTED] = BIT(SIGNED), [TG_OPAQUE_ENCRYPTED] = BIT(ENCRYPTED),
        [TG_OPAQUE_THOUGHT] = BIT(THOUGHT),
    };
    switch (p->kind) {
    case TG_PART_IMAGE:
    case TG_PART_DOCUMENT:
    case TG_PART_AUDIO:
        return media[p->kind - TG_PART_IMAGE][p->media.source];
    case TG_PART_REASONING:
        return opaque[p->opaque];
    case TG_PART_REFUSAL:
        return BIT(REFUSAL);
    case TG_PART_RAW:
        return BIT(RAW_PART);
    case TG_PART_TEXT:
    case TG_PART_TOOL_CALL:
    case TG_PART_TOOL_RESULT:
        return 0;
    }
    return 0;
}

/* A part as it is without; its own text says what was left out, and goes. */
static void strip_part(uint64_t bits, struct tg_part *p)
{
    bool hint = p->cache_hint.n && bits & BIT(CACHE_HINT);
    bool detail = p->kind == TG_PART_IMAGE && p->media.detail.n && bits & BIT(IMAGE_DETAIL);
    bool error = p->is_error && bits & BIT(RESULT_ERROR);
    bool thought = p->opaque == TG_OPAQUE_THOUGHT && bits & BIT(THOUGHT);
    if (hint)
        p->cache_hint = TG_STR("");
    if (detail)
        p->media.detail = TG_STR("");
    if (error)
        p->is_error = false;
    if (thought) {
        p->opaque = TG_OPAQUE_NONE;
        p->signature = TG_STR("");
    }
    if (hint || detail || error || thought) {
        p->raw = TG_STR("");
        p->extra.members = TG_STR("");
    }
}

/* Depth 2 at most: a result's parts have none. */
static int strip_parts(const struct dropper *x, bool in_result, struct tg_part **io, size_t *io_n)
{
    uint64_t bits = x->bits;
    struct tg_part *to = tg_arena_array(x->a, *io_n + 1, sizeof *to);
    size_t n = 0;
    if (!to)
        return no_memory(x);
    for (size_t i = 0; i < *io_n; i++) {
        const struct tg_part *p = &(*io)[i];
        bool media = p->kind == TG_PART_IMAGE || p->kind == TG_PART_DOCUMENT;
        if (bits & being(p) || (in_result && media && bits & BIT(RESULT_MEDIA)))
            continue;
        to[n] = *p;
        strip_part(bits, &to[n]);
        if (p->kind == TG_PART_TOOL_RESULT && !in_result) {
            int rc = strip_parts(x, true, &to[n].parts, &to[n].n_parts);
            if (rc < 0)
                return rc;
            to[n].raw = TG_STR("");
        }
        n++;
    }
    *io = to;
    *io_n = n;
    return 0;
}

static bool drops_message(uint64_t bits, const struct tg_message *m)
{
    return (m->role == TG_ROLE_SYSTEM && bits & BIT(SYSTEM)) ||
           (m->role == TG_ROLE_DEVELOPER && bits & BIT(DEVELOPER));
}

static int drop_parts(struct dropper *x)
{
    static const uint64_t ours =
        BIT(SYSTEM) | BIT(DEVELOPER) | BIT(NAME) | BIT(RESULT_ERROR) | BIT(RESULT_MEDIA) |
        BIT(REASONING) | BIT(SIGNED) | BIT(ENCRYPTED) | BIT(THOUGHT) | BIT(IMAGE) | BIT(IMAGE_URL) |
        BIT(IMAGE_FILE) | BIT(IMAGE_DETAIL) | BIT(DOCUMENT) | BIT(DOCUMENT_URL) |
        BIT(DOCUMENT_FILE) | BIT(AUDIO) | BIT(RAW_PART) | BIT(REFUSAL) | BIT(CACHE_HINT);
    const struct tg_chat_req *r = x->from;
    if (!(x->bits & ours))
        return 0;
    struct tg_message *list = tg_arena_array(x->a, r->n_messages + 1, sizeof *list);
    size_t n = 0;
    if (!list)
        return no_memory(x);
    for (size_t i = 0; i < r->n_messages; i++) {
        struct tg_message *m = &list[n];
        *m = r->messages[i];
        if (drops_message(x->bits, m))
            continue;
        if (x->bits & BIT(NAME))
            m->name = TG_STR("");
        int rc = strip_parts(x, false, &m->parts, &m->n_parts);
        if (rc < 0)
            return rc;
        n += m->n_parts > 0 || !r->messages[i].n_parts;
    }
    x->to->messages = list;
    x->to->n_messages = n;
    return 0;
}

/* ---- all of it ---- */

static int drop_all(struct dropper *x)
{
    int rc = drop_tools(x);
    if (!rc)
        rc = drop_extra(x);
    if (rc < 0 || !x->bits)
        return rc;
    if (!copy(x))
        return no_memory(x);
    drop_sampling(x->bits, &x->to->sampling);
    drop_reasoning(x->bits, &x->to->reasoning);
    drop_options(x->bits, x->to);
    rc = drop_tool_marks(x);
    return rc ? rc : drop_parts(x);
}

int tg_drop_apply(struct tg_arena *a, const struct tg_drop *d, const struct tg_chat_req *req,
                  struct tg_chat_req **out_req, struct tg_losses *out_losses, struct tg_fail *f)
{
    struct dropper x = {.a = a, .d = d, .from = req, .f = f};
    x.bits = tg_drop_features(d, tg_features_of(req));
    tg_buf_init(&x.left_out, 4096);
    int rc = drop_all(&x);
    struct tg_str left_out = tg_arena_dup(a, tg_buf_str(&x.left_out));
    if (!rc && x.left_out.n && !left_out.p)
        rc = no_memory(&x);
    tg_buf_fini(&x.left_out);
    if (rc < 0 || !x.to)
        return rc;
    x.to->emulated &= ~x.bits;
    *out_req = x.to;
    *out_losses = (struct tg_losses){.dropped = x.bits & ~BIT(TOOL_TYPES), .left_out = left_out};
    return 1;
}
