#include "dialect/fanout.h"

#include <stdio.h>

#include "base/err.h"
#include "dialect/body_priv.h"
#include "json/write.h"

#define MAX_JUDGED_BYTES (256u << 10) /* of one answer, as the judge reads it */

static const char *const names[] = {
    [TG_AGGREGATE_FIRST] = "first",
    [TG_AGGREGATE_ALL] = "all",
    [TG_AGGREGATE_BEST_OF] = "best_of",
    [TG_AGGREGATE_MERGE] = "merge",
};

const char *tg_aggregate_name(enum tg_aggregate a)
{
    return names[a];
}

/* ---- the request ---- */

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING),
    TG_RULE("judge", TG_F_JUDGE, TG_CHECK_STRING),
    TG_RULE("models", TG_F_MODELS, TG_CHECK_ARRAY),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("messages", TG_F_MESSAGES, TG_CHECK_ARRAY | TG_CHECK_NOT_NULL),
    TG_RULE("aggregate", TG_F_AGGREGATE, TG_CHECK_STRING),
    TG_RULE("stream_options", TG_F_STREAM_OPTIONS, TG_CHECK_OBJECT),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("messages")};

static int read_models(const struct tg_body *b, struct tg_fanout_call *c, struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_MODELS];
    struct tg_str one = tg_body_str(b, TG_F_MODEL);
    if (tg_json_is_nil(list) && !one.n)
        return tg_fail_param(f, TG_E_MISSING_FIELD, "models", "'models' is missing");
    if (tg_json_is_nil(list)) {
        c->models[c->n_models++] = one;
        return 0;
    }
    if (one.n)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "model", "give 'models' or 'model', not both");
    if (tg_json_count(list) == 0 || tg_json_count(list) > TG_FANOUT_MAX_MODELS)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "models", "'models' must hold 1 to %d names",
                             TG_FANOUT_MAX_MODELS);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        char param[32];
        snprintf(param, sizeof param, "models[%zu]", it.index);
        if (!tg_json_str(it.value).n)
            return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' must be a model's name",
                                 param);
        c->models[c->n_models++] = tg_json_str(it.value);
    }
    return 0;
}

static int read_aggregate(const struct tg_body *b, struct tg_fanout_call *c, struct tg_fail *f)
{
    struct tg_str word = tg_body_str(b, TG_F_AGGREGATE);
    c->judge = tg_body_str(b, TG_F_JUDGE);
    for (size_t i = 0; word.n && i < TG_ARRAY_LEN(names); i++) {
        if (!tg_str_eq(word, tg_str_c(names[i])))
            continue;
        c->aggregate = (enum tg_aggregate)i;
        word.n = 0;
    }
    if (word.n)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "aggregate",
                             "'aggregate' must be one of first, all, best_of and merge");
    bool judged = c->aggregate >= TG_AGGREGATE_BEST_OF;
    if (judged && !c->judge.n)
        return tg_fail_param(
            f, TG_E_MISSING_FIELD, "judge", "'judge' is missing: the model that %s",
            c->aggregate == TG_AGGREGATE_MERGE ? "combines the answers" : "picks the best answer");
    if (!judged && c->judge.n)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "judge",
                             "'judge' has no effect with this 'aggregate'");
    return 0;
}

static bool is_ours(struct tg_str name, const void *ctx)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rules); i++) {
        if (tg_str_eq(name, rules[i].name))
            return true;
    }
    return false;
}

int tg_fanout_open(struct tg_arena *a, struct tg_str body, struct tg_fanout_call *out,
                   struct tg_fail *f)
{
    struct tg_fanout_call c = {.aggregate = TG_AGGREGATE_FIRST};
    struct tg_extra rest;
    struct tg_body *b;
    int rc = tg_body_open(a, body, &table, &b, f);
    if (rc == 0 && tg_json_is_nil(b->v[TG_F_MESSAGES]))
        rc = tg_fail_param(f, TG_E_MISSING_FIELD, "messages", "'messages' is missing");
    if (rc == 0)
        rc = read_models(b, &c, f);
    if (rc == 0)
        rc = read_aggregate(b, &c, f);
    if (rc < 0)
        return rc;
    if (tg_body_extra(a, b->doc, b->root, is_ours, NULL, &rest) < 0)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    c.stream = tg_body_true(b, TG_F_STREAM);
    c.stream_options = tg_body_raw(b, TG_F_STREAM_OPTIONS);
    c.messages = tg_body_raw(b, TG_F_MESSAGES);
    c.members = rest.members;
    *out = c;
    return 0;
}

/* ---- requests to the models ---- */

static void put_members(struct tg_buf *out, struct tg_str members)
{
    if (!members.n)
        return;
    tg_buf_char(out, ',');
    tg_buf_str_add(out, members);
}

void tg_fanout_branch_body(const struct tg_fanout_call *c, struct tg_str model, bool stream,
                           struct tg_buf *out)
{
    tg_buf_lit(out, "{\"model\":");
    tg_buf_json_str(out, model);
    tg_buf_lit(out, ",\"messages\":");
    tg_buf_str_add(out, c->messages);
    if (stream) {
        tg_buf_lit(out, ",\"stream\":true");
        if (c->stream_options.n) {
            tg_buf_lit(out, ",\"stream_options\":");
            tg_buf_str_add(out, c->stream_options);
        }
    }
    put_members(out, c->members);
    tg_buf_char(out, '}');
}

/* The text that a completion's first choice says; "" when it says none. */
static struct tg_str said(struct tg_arena *a, struct tg_str completion)
{
    struct tg_json_doc *doc;
    if (tg_json_parse(a, completion, NULL, &doc, NULL))
        return TG_STR("");
    const struct tg_json *choice = tg_json_at(tg_json_get(tg_json_root(doc), TG_STR("choices")), 0);
    const struct tg_json *message = tg_json_get(choice, TG_STR("message"));
    struct tg_str text = tg_json_get_str(message, TG_STR("content"));
    if (!text.n && tg_json_count(tg_json_get(message, TG_STR("tool_calls"))))
        text = tg_json_raw(doc, tg_json_get(message, TG_STR("tool_calls")));
    return text.n ? text : TG_STR("");
}

static bool is_good(const struct tg_fanout_answer *x)
{
    return x->status == 200 && !x->cancelled;
}

static const char *const pick_text =
    "You compare answers that several assistants gave to the same conversation. Judge correctness "
    "first, then completeness, then clarity. Reply with the number of the best answer and nothing "
    "else.";
static const char *const merge_text =
    "Several assistants answered the same conversation. Write the one best answer to it: keep what "
    "is right in theirs, leave out what is wrong or repeated, and do not mention that there were "
    "several. Reply with the answer alone.";

void tg_fanout_judge_body(const struct tg_fanout_call *c, struct tg_arena *a,
                          const struct tg_fanout_answer *answers, size_t n, struct tg_buf *out)
{
    bool merge = c->aggregate == TG_AGGREGATE_MERGE;
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("model"), c->judge);
    tg_jw_key(&w, TG_STR("messages"));
    tg_jw_arr(&w);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("role"), TG_STR("system"));
    tg_jw_kstr(&w, TG_STR("content"), tg_str_c(merge ? merge_text : pick_text));
    tg_jw_end_obj(&w);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("role"), TG_STR("user"));
    tg_jw_key(&w, TG_STR("content"));
    tg_jw_str_open(&w);
    tg_jw_str_piece(&w, TG_STR("The conversation, as JSON:\n"));
    tg_jw_str_piece(&w, c->messages);
    for (size_t i = 0; i < n; i++) {
        char head[48];
        if (!is_good(&answers[i]))
            continue;
        snprintf(head, sizeof head, "\n\nAnswer %zu:\n", i + 1);
        tg_jw_str_piece(&w, tg_str_c(head));
        struct tg_str text = said(a, answers[i].body);
        tg_jw_str_piece(&w,
                        text.n > MAX_JUDGED_BYTES ? tg_str_first(text, MAX_JUDGED_BYTES) : text);
    }
    tg_jw_str_close(&w);
    tg_jw_end_obj(&w);
    tg_jw_end_arr(&w);
    if (merge && c->stream)
        tg_jw_kbool(&w, TG_STR("stream"), true);
    if (merge && c->stream && c->stream_options.n)
        tg_jw_kraw(&w, TG_STR("stream_options"), c->stream_options);
    tg_jw_end_obj(&w);
}

int tg_fanout_verdict(struct tg_arena *a, struct tg_str completion,
                      const struct tg_fanout_answer *answers, size_t n)
{
    struct tg_str s = said(a, completion);
    for (size_t i = 0; i < s.n;) {
        size_t number = 0, begin = i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && i - begin < 4)
            number = number * 10 + (size_t)(s.p[i++] - '0');
        if (i > begin && number >= 1 && number <= n && is_good(&answers[number - 1]))
            return (int)(number - 1);
        if (i == begin)
            i++;
    }
    return -1;
}

/* ---- answers ---- */

static void write_cost(struct tg_jw *w, int64_t nusd)
{
    char text[40];
    tg_jw_key(w, TG_STR("cost_usd"));
    if (nusd < 0) {
        tg_jw_null(w);
        return;
    }
    int len = snprintf(text, sizeof text, "%lld.%09lld", (long long)(nusd / 1000000000),
                       (long long)(nusd % 1000000000));
    tg_jw_raw(w, tg_str_make(text, (size_t)len));
}

/* What is told of every model; `whole`: with its answer. */
static void write_answer(struct tg_jw *w, size_t i, const struct tg_fanout_answer *x, bool whole,
                         struct tg_arena *a)
{
    struct tg_json_doc *doc = NULL;
    const struct tg_json *root = NULL;
    if (x->body.n && tg_json_parse(a, x->body, NULL, &doc, NULL) == 0)
        root = tg_json_root(doc);
    const struct tg_json *usage = tg_json_get(root, TG_STR("usage"));
    const struct tg_json *error = tg_json_get(root, TG_STR("error"));
    tg_jw_obj(w);
    tg_jw_ki64(w, TG_STR("index"), (int64_t)i);
    tg_jw_kstr(w, TG_STR("model"), x->model);
    tg_jw_ki64(w, TG_STR("status"), x->status);
    if (x->cancelled)
        tg_jw_kbool(w, TG_STR("cancelled"), true);
    tg_jw_kdouble(w, TG_STR("latency_ms"), (double)x->took_us / 1000.0);
    tg_jw_kraw(w, TG_STR("usage"), usage ? tg_json_raw(doc, usage) : TG_STR("null"));
    write_cost(w, x->cost_nusd);
    if (x->status == 200 && whole)
        tg_jw_kraw(w, TG_STR("response"), root ? x->body : TG_STR("null"));
    if (x->status != 200 && error)
        tg_jw_kraw(w, TG_STR("error"), tg_json_raw(doc, error));
    tg_jw_end_obj(w);
}

static void write_answers(struct tg_jw *w, const struct tg_fanout_result *r, bool whole,
                          struct tg_arena *a)
{
    tg_jw_arr(w);
    for (size_t i = 0; i < r->n; i++)
        write_answer(w, i, &r->answers[i], whole, a);
    tg_jw_end_arr(w);
}

void tg_fanout_write_all(const struct tg_fanout_result *r, struct tg_arena *a, struct tg_buf *out)
{
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("id"), r->id);
    tg_jw_kstr(&w, TG_STR("object"), TG_STR("llm.chat.results"));
    tg_jw_ki64(&w, TG_STR("created"), r->created_s);
    tg_jw_kstr(&w, TG_STR("request_id"), r->request_id);
    tg_jw_kstr(&w, TG_STR("aggregate"), tg_str_c(tg_aggregate_name(r->aggregate)));
    tg_jw_key(&w, TG_STR("results"));
    write_answers(&w, r, true, a);
    tg_jw_end_obj(&w);
}

static void write_fanout(struct tg_jw *w, const struct tg_fanout_result *r, struct tg_arena *a)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("aggregate"), tg_str_c(tg_aggregate_name(r->aggregate)));
    if (r->judge.n)
        tg_jw_kstr(w, TG_STR("judge"), r->judge);
    if (r->aggregate == TG_AGGREGATE_BEST_OF)
        tg_jw_kbool(w, TG_STR("judged"), r->judged);
    if (r->selected >= 0) {
        tg_jw_ki64(w, TG_STR("selected"), r->selected);
        tg_jw_kstr(w, TG_STR("model"), r->answers[r->selected].model);
    }
    tg_jw_key(w, TG_STR("candidates"));
    write_answers(w, r, false, a);
    tg_jw_end_obj(w);
}

/* The object's text up to its closing brace, with a comma if it has members. */
static void open_object(struct tg_str object, struct tg_buf *out)
{
    struct tg_str s = tg_str_trim(object);
    if (s.n < 2 || s.p[0] != '{') {
        tg_buf_char(out, '{');
        return;
    }
    s.n--;
    tg_buf_str_add(out, s);
    struct tg_str inside = tg_str_trim(tg_str_from(s, 1));
    if (inside.n)
        tg_buf_char(out, ',');
}

void tg_fanout_write_one(const struct tg_fanout_result *r, struct tg_str completion,
                         struct tg_arena *a, struct tg_buf *out)
{
    open_object(completion, out);
    tg_buf_lit(out, "\"fanout\":");
    struct tg_jw w = tg_jw(out);
    write_fanout(&w, r, a);
    tg_buf_char(out, '}');
}

/* The message as a delta: its calls get the indexes that streams have. */
static void write_delta(struct tg_jw *w, struct tg_json_doc *doc, const struct tg_json *message)
{
    struct tg_json_iter it = tg_json_iter(message);
    tg_jw_obj(w);
    while (tg_json_next(&it)) {
        if (!tg_str_eq(it.name, TG_STR("tool_calls"))) {
            tg_jw_kraw(w, it.name, tg_json_raw(doc, it.value));
            continue;
        }
        struct tg_json_iter call = tg_json_iter(it.value);
        tg_jw_key(w, it.name);
        tg_jw_arr(w);
        while (tg_json_next(&call)) {
            struct tg_json_iter member = tg_json_iter(call.value);
            tg_jw_obj(w);
            tg_jw_ki64(w, TG_STR("index"), (int64_t)call.index);
            while (tg_json_next(&member)) {
                if (!tg_str_eq(member.name, TG_STR("index")))
                    tg_jw_kraw(w, member.name, tg_json_raw(doc, member.value));
            }
            tg_jw_end_obj(w);
        }
        tg_jw_end_arr(w);
    }
    tg_jw_end_obj(w);
}

static void write_chunk_choice(struct tg_jw *w, struct tg_json_doc *doc,
                               const struct tg_json *choice)
{
    struct tg_json_iter it = tg_json_iter(choice);
    tg_jw_obj(w);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("message"))) {
            tg_jw_key(w, TG_STR("delta"));
            write_delta(w, doc, it.value);
        } else {
            tg_jw_kraw(w, it.name, tg_json_raw(doc, it.value));
        }
    }
    tg_jw_end_obj(w);
}

void tg_fanout_write_as_chunk(const struct tg_fanout_result *r, struct tg_str completion,
                              struct tg_arena *a, struct tg_buf *out)
{
    struct tg_json_doc *doc;
    struct tg_jw w = tg_jw(out);
    if (tg_json_parse(a, completion, NULL, &doc, NULL))
        return;
    tg_buf_lit(out, "data: ");
    tg_jw_obj(&w);
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("object"))) {
            tg_jw_kstr(&w, it.name, TG_STR("chat.completion.chunk"));
        } else if (tg_str_eq(it.name, TG_STR("choices"))) {
            struct tg_json_iter choice = tg_json_iter(it.value);
            tg_jw_key(&w, it.name);
            tg_jw_arr(&w);
            while (tg_json_next(&choice))
                write_chunk_choice(&w, doc, choice.value);
            tg_jw_end_arr(&w);
        } else {
            tg_jw_kraw(&w, it.name, tg_json_raw(doc, it.value));
        }
    }
    tg_jw_key(&w, TG_STR("fanout"));
    write_fanout(&w, r, a);
    tg_jw_end_obj(&w);
    tg_buf_lit(out, "\n\n");
}

void tg_fanout_write_chunk(size_t index, struct tg_str model, struct tg_str object,
                           struct tg_buf *out)
{
    tg_buf_lit(out, "data: ");
    open_object(object, out);
    tg_buf_lit(out, "\"fanout\":{\"index\":");
    tg_buf_u64(out, index);
    tg_buf_lit(out, ",\"model\":");
    tg_buf_json_str(out, model);
    tg_buf_lit(out, "}}\n\n");
}
