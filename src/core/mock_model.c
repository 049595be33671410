#include "core/mock_model.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

#define MAX_EXPANDED (1u << 20)

bool tg_mock_name_fits(struct tg_str pattern, struct tg_str name)
{
    ptrdiff_t star = tg_str_chr(pattern, '*');
    if (star < 0)
        return tg_str_eq(pattern, name);
    struct tg_str head = tg_str_first(pattern, (size_t)star);
    struct tg_str tail = tg_str_from(pattern, (size_t)star + 1);
    return name.n >= head.n + tail.n && tg_str_starts(name, head) && tg_str_ends(name, tail);
}

/* ---- what a conversation holds ---- */

/* Looks at every text of parts; true from `found` ends the search. */
typedef bool (*found_fn)(void *ctx, struct tg_str text);

static bool each_text(const struct tg_part *parts, size_t n, found_fn found, void *ctx)
{
    for (size_t i = 0; i < n; i++) {
        const struct tg_part *p = &parts[i];
        if (p->kind != TG_PART_TOOL_RESULT && found(ctx, p->text))
            return true;
        for (size_t k = 0; p->kind == TG_PART_TOOL_RESULT && k < p->n_parts; k++)
            if (found(ctx, p->parts[k].text))
                return true;
    }
    return false;
}

static bool is_result(const struct tg_message *m)
{
    for (size_t i = 0; i < m->n_parts; i++)
        if (m->parts[i].kind == TG_PART_TOOL_RESULT)
            return true;
    return false;
}

static bool is_instruction(const struct tg_message *m)
{
    return m->role == TG_ROLE_SYSTEM || m->role == TG_ROLE_DEVELOPER;
}

/* Neighbouring messages of the model are one answer: some formats split it. */
static int64_t turns(const struct tg_chat_req *req)
{
    int64_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < req->n_messages; i++) {
        bool mine = req->messages[i].role == TG_ROLE_ASSISTANT;
        n += mine && !inside;
        inside = mine;
    }
    return n;
}

/* Index of the first message behind the model's last answer. */
static size_t newest(const struct tg_chat_req *req)
{
    size_t i = req->n_messages;
    while (i && req->messages[i - 1].role != TG_ROLE_ASSISTANT)
        i--;
    return i;
}

static bool contains(void *needle, struct tg_str text)
{
    return tg_str_find(text, *(struct tg_str *)needle) >= 0;
}

enum where { IN_NEWEST, IN_RESULTS, IN_INSTRUCTIONS };

static bool holds(const struct tg_chat_req *req, enum where where, struct tg_str needle)
{
    size_t i = where == IN_INSTRUCTIONS ? 0 : newest(req);
    for (; i < req->n_messages; i++) {
        const struct tg_message *m = &req->messages[i];
        if ((where == IN_RESULTS && !is_result(m)) ||
            (where == IN_INSTRUCTIONS && !is_instruction(m)))
            continue;
        if (each_text(m->parts, m->n_parts, contains, &needle))
            return true;
    }
    return false;
}

static bool has_results(const struct tg_chat_req *req)
{
    for (size_t i = newest(req); i < req->n_messages; i++)
        if (is_result(&req->messages[i]))
            return true;
    return false;
}

static const struct tg_tool *tool_offered(const struct tg_chat_req *req, struct tg_str pattern)
{
    for (size_t i = 0; i < req->n_tools; i++)
        if (tg_mock_name_fits(pattern, req->tools[i].name))
            return &req->tools[i];
    return NULL;
}

/* ---- whether a step fits ---- */

struct attempt_at {
    const struct tg_chat_req *req;
    struct tg_arena *a;
    struct tg_str why; /* what was missed */
};

static bool miss(struct attempt_at *t, const char *what, struct tg_str wanted)
{
    char quoted[80];
    t->why = tg_arena_printf(t->a, "%s '%s'", what, tg_fail_quote(wanted, quoted, sizeof quoted));
    return false;
}

static bool all_held(struct attempt_at *t, enum where where, const char *what,
                     const struct tg_str_list *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        if (!holds(t->req, where, texts->v[i]))
            return miss(t, what, texts->v[i]);
    return true;
}

static bool model_fits(struct attempt_at *t, const struct tg_str_list *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (tg_mock_name_fits(names->v[i], t->req->model))
            return true;
    return names->n == 0 || miss(t, "model", names->v[0]);
}

static bool turn_fits(struct attempt_at *t, const struct tg_mock_when *w)
{
    int64_t n = turns(t->req);
    if ((w->turn_min < 0 || n >= w->turn_min) && (w->turn_max < 0 || n <= w->turn_max))
        return true;
    t->why = tg_arena_printf(t->a, "turn %lld", (long long)w->turn_min);
    return false;
}

static bool flag_fits(struct attempt_at *t, int wanted, bool is, const char *yes, const char *no)
{
    if (wanted < 0 || wanted == is)
        return true;
    t->why = tg_str_c(wanted ? yes : no);
    return false;
}

static bool when_fits(struct attempt_at *t, const struct tg_mock_when *w)
{
    if (!turn_fits(t, w) || !model_fits(t, &w->model) ||
        !flag_fits(t, w->has_tools, t->req->n_tools > 0, "tools", "no tools") ||
        !flag_fits(t, w->has_result, has_results(t->req), "a tool's result", "no tool's result"))
        return false;
    for (size_t i = 0; i < w->tools.n; i++)
        if (!tool_offered(t->req, w->tools.v[i]))
            return miss(t, "the tool", w->tools.v[i]);
    return all_held(t, IN_RESULTS, "a result with", &w->result) &&
           all_held(t, IN_NEWEST, "a new message with", &w->last) &&
           all_held(t, IN_INSTRUCTIONS, "a system message with", &w->system);
}

/* The alternative whose tool is offered, and that tool's name. */
static const struct tg_mock_call *choose(const struct tg_chat_req *req,
                                         const struct tg_mock_calls *c, struct tg_str *out_name)
{
    for (size_t i = 0; i < c->n; i++) {
        for (size_t k = 0; k < c->any[i].tools.n; k++) {
            const struct tg_tool *tool = tool_offered(req, c->any[i].tools.v[k]);
            if (!tool)
                continue;
            *out_name = tool->name;
            return &c->any[i];
        }
    }
    return NULL;
}

static bool calls_fit(struct attempt_at *t, const struct tg_mock_step *s)
{
    struct tg_str name;
    for (size_t i = 0; i < s->n_calls; i++)
        if (!choose(t->req, &s->calls[i], &name))
            return miss(t, "the tool", s->calls[i].any[0].tools.v[0]);
    return true;
}

/* ---- texts ---- */

/* A search for the first marker that is found in the conversation. */
struct capture {
    struct tg_str marker, value;
};

static bool find_marker(void *ctx, struct tg_str text)
{
    struct capture *c = ctx;
    ptrdiff_t at = tg_str_find(text, c->marker);
    if (at < 0)
        return false;
    struct tg_str rest = tg_str_from(text, (size_t)at + c->marker.n);
    size_t n = 0;
    while (n < rest.n && !strchr("\n\r<\"`", rest.p[n]))
        n++;
    c->value = tg_str_trim(tg_str_first(rest, n));
    return c->value.n > 0;
}

static bool capture_after(const struct tg_chat_req *req, const struct tg_str_list *markers,
                          struct tg_str *out)
{
    for (size_t k = 0; k < markers->n; k++) {
        struct capture c = {.marker = markers->v[k]};
        for (size_t i = 0; i < req->n_messages; i++) {
            if (!each_text(req->messages[i].parts, req->messages[i].n_parts, find_marker, &c))
                continue;
            *out = c.value;
            return true;
        }
    }
    return false;
}

static bool keep_last(void *ctx, struct tg_str text)
{
    if (text.n)
        *(struct tg_str *)ctx = text;
    return false;
}

/* The last text of the user, or of a tool. */
static struct tg_str last_text(const struct tg_chat_req *req, bool of_tool)
{
    struct tg_str text = TG_STR("");
    for (size_t i = 0; i < req->n_messages; i++) {
        const struct tg_message *m = &req->messages[i];
        if (is_result(m) == of_tool && (of_tool || m->role == TG_ROLE_USER))
            (void)each_text(m->parts, m->n_parts, keep_last, &text);
    }
    return text;
}

struct expansion {
    const struct tg_mock_steps *script;
    const struct tg_chat_req *req;
    struct tg_arena *a;
    struct tg_fail *fail;
};

static int value_of(const struct expansion *x, struct tg_str name, struct tg_str *out)
{
    for (size_t i = 0; i < x->script->n_vars; i++) {
        const struct tg_mock_var *v = &x->script->vars[i];
        if (!tg_str_eq(v->name, name))
            continue;
        *out = v->value;
        if (v->after.n == 0 || capture_after(x->req, &v->after, out))
            return 0;
        return tg_fail_param(x->fail, TG_E_INVALID_VALUE, "messages",
                             "the mock's script wants '%.*s', but nothing in the conversation "
                             "stands behind what it is to be found after",
                             TG_STR_ARG(name));
    }
    if (tg_str_eq(name, TG_STR("model")))
        *out = x->req->model;
    else if (tg_str_eq(name, TG_STR("turn")))
        *out = tg_arena_printf(x->a, "%lld", (long long)turns(x->req));
    else
        *out = last_text(x->req, tg_str_eq(name, TG_STR("result")));
    return 0;
}

/* Within arguments a value stands inside a JSON string. */
static int expand(const struct expansion *x, struct tg_str text, bool json, struct tg_str *out)
{
    struct tg_str before, name, value;
    struct tg_buf b;
    tg_buf_init(&b, MAX_EXPANDED);
    int rc = 0;
    bool more = true;
    while (more && rc >= 0) {
        more = tg_mock_template_next(&text, &before, &name);
        (void)tg_buf_str_add(&b, before);
        if (more && (rc = value_of(x, name, &value)) == 0)
            (void)(json ? tg_buf_json(&b, value) : tg_buf_str_add(&b, value));
    }
    if (rc == 0 && tg_buf_ok(&b))
        *out = tg_arena_dup(x->a, tg_buf_str(&b));
    if (rc == 0 && (!tg_buf_ok(&b) || !out->p))
        rc = tg_fail_set(x->fail, TG_E_NOMEM, "not enough memory for the mock's answer");
    tg_buf_fini(&b);
    return rc;
}

/* ---- the answer ---- */

static int add_text(const struct expansion *x, struct tg_mock_answer *out, enum tg_part_kind kind,
                    struct tg_str text)
{
    struct tg_mock_part *p = &out->parts[out->n_parts];
    if (text.n == 0)
        return 0;
    out->n_parts++;
    p->kind = kind;
    return expand(x, text, false, &p->text);
}

static int add_call(const struct expansion *x, struct tg_mock_answer *out,
                    const struct tg_mock_calls *calls, struct tg_str tag, size_t number)
{
    struct tg_mock_part *p = &out->parts[out->n_parts++];
    const struct tg_mock_call *c = choose(x->req, calls, &p->name);
    p->kind = TG_PART_TOOL_CALL;
    p->id = c->id;
    if (p->id.n == 0)
        p->id = tg_arena_printf(x->a, "call_%.*s_%zu", TG_STR_ARG(tag), number);
    return expand(x, c->arguments, true, &p->text);
}

static enum tg_finish finish_of(const struct tg_mock_step *s)
{
    switch (s->finish) {
    case TG_MOCK_FINISH_STOP:
        return TG_FINISH_STOP;
    case TG_MOCK_FINISH_LENGTH:
        return TG_FINISH_LENGTH;
    case TG_MOCK_FINISH_TOOL_CALLS:
        return TG_FINISH_TOOL_CALLS;
    case TG_MOCK_FINISH_CONTENT_FILTER:
        return TG_FINISH_CONTENT_FILTER;
    case TG_MOCK_FINISH_AUTO:
        break;
    }
    return s->n_calls ? TG_FINISH_TOOL_CALLS : TG_FINISH_STOP;
}

static int build(const struct expansion *x, const struct tg_mock_step *s, struct tg_str tag,
                 struct tg_mock_answer *out)
{
    *out = (struct tg_mock_answer){.weave = s->weave, .finish = finish_of(s)};
    out->parts = tg_arena_array(x->a, s->n_calls + 2, sizeof *out->parts);
    if (!out->parts)
        return tg_fail_set(x->fail, TG_E_NOMEM, "not enough memory for the mock's answer");
    if (s->usage.given)
        out->usage = (struct tg_usage){.source = TG_USAGE_REPORTED,
                                       .input_tokens = s->usage.input,
                                       .cache_read_tokens = s->usage.cache_read,
                                       .cache_write_tokens = s->usage.cache_write,
                                       .output_tokens = s->usage.output,
                                       .reasoning_tokens = s->usage.reasoning};
    int rc = add_text(x, out, TG_PART_REASONING, s->reasoning);
    if (rc == 0)
        rc = add_text(x, out, TG_PART_TEXT, s->text);
    for (size_t i = 0; i < s->n_calls && rc == 0; i++)
        rc = add_call(x, out, &s->calls[i], tag, i + 1);
    return rc;
}

static int none_fits(const struct expansion *x, struct tg_str missed)
{
    return tg_fail_param(x->fail, TG_E_INVALID_VALUE, "messages",
                         "no step of the mock's script fits turn %lld of model %.*s with %zu "
                         "tools and %zu messages; wanted: %.*s",
                         (long long)turns(x->req), TG_STR_ARG(tg_str_first(x->req->model, 60)),
                         x->req->n_tools, x->req->n_messages,
                         TG_STR_ARG(tg_str_first(missed, 300)));
}

int tg_mock_model_answer(const struct tg_mock_steps *script, const struct tg_chat_req *req,
                         struct tg_str tag, struct tg_arena *a, struct tg_mock_answer *out,
                         struct tg_fail *fail)
{
    struct expansion x = {script, req, a, fail};
    struct tg_str missed = TG_STR("");
    for (size_t i = 0; i < script->n_steps; i++) {
        const struct tg_mock_step *s = &script->steps[i];
        struct attempt_at t = {.req = req, .a = a, .why = TG_STR("")};
        if (when_fits(&t, &s->when) && calls_fit(&t, s))
            return build(&x, s, tag, out);
        missed = tg_arena_printf(a, "%.*s%ssteps[%zu]%s%.*s %.*s", TG_STR_ARG(missed),
                                 missed.n ? ", " : "", i, s->name.n ? " " : "", TG_STR_ARG(s->name),
                                 TG_STR_ARG(t.why));
    }
    return none_fits(&x, missed);
}
