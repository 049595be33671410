/* Canonical events → Ollama's lines, or its one object. A stream's tool call is one line, written
 * when the call is whole: this format has arguments as an object. */
#include "base/clock.h"
#include "base/err.h"
#include "chat/call_id.h"
#include "dialect/ollama_priv.h"

void tg_ollama_write_head(const struct tg_render_info *info, struct tg_buf *out)
{
    char iso[40];
    size_t n = tg_clock_iso(info->created_s * 1000000, iso, sizeof iso);
    tg_buf_lit(out, "{\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"created_at\":\"");
    tg_buf_str_add(out, tg_str_make(iso, n));
    tg_buf_char(out, '"');
}

int tg_ollama_begin(void *state, const struct tg_render_info *info)
{
    struct tg_ollama_render *r = state;
    struct tg_buf b;
    r->generate = info->call && info->call->dialect == &tg_dialect_ollama_generate;
    tg_buf_init(&b, 64 * 1024);
    tg_ollama_write_head(info, &b);
    if (tg_buf_ok(&b))
        r->head = tg_arena_dup(info->arena, tg_buf_str(&b));
    tg_buf_fini(&b);
    return r->head.p ? 0 : TG_E_NOMEM;
}

void tg_ollama_fini(void *state)
{
    struct tg_ollama_render *r = state;
    tg_collect_fini(&r->collect);
}

/* ---- tool calls ---- */

/* JSON text on one line: a line end in it can only stand between its tokens. */
static void write_on_one_line(struct tg_str json, struct tg_buf *out)
{
    for (size_t i = 0; i < json.n; i++)
        tg_buf_char(out, json.p[i] == '\n' || json.p[i] == '\r' ? ' ' : json.p[i]);
}

/* Arguments must be an object here. A model that wrote something else is quoted. */
static void write_arguments(struct tg_arena *a, struct tg_str text, struct tg_buf *out)
{
    struct tg_json_doc *doc;
    struct tg_str s = tg_str_trim(text);
    if (!s.n) {
        tg_buf_lit(out, "{}");
    } else if (tg_json_parse(a, s, NULL, &doc, NULL) == 0 && tg_json_is_obj(tg_json_root(doc))) {
        write_on_one_line(s, out);
    } else {
        tg_buf_lit(out, "{\"_arguments\":");
        tg_buf_json_str(out, text);
        tg_buf_char(out, '}');
    }
}

static int write_call(const struct tg_collect_part *p, struct tg_buf *out)
{
    struct tg_arena a;
    struct tg_str id;
    tg_arena_init(&a, 1024, SIZE_MAX / 4);
    int rc = tg_call_id_join(
        &a, tg_buf_str(&p->id),
        p->opaque == TG_OPAQUE_THOUGHT ? tg_buf_str(&p->signature) : TG_STR(""), &id);
    if (rc == 0) {
        tg_buf_lit(out, "{\"id\":");
        tg_buf_json_str(out, id);
        tg_buf_lit(out, ",\"function\":{\"name\":");
        tg_buf_json_str(out, tg_buf_str(&p->name));
        tg_buf_lit(out, ",\"arguments\":");
        write_arguments(&a, tg_buf_str(&p->text), out);
        tg_buf_lit(out, "}}");
    }
    tg_arena_fini(&a);
    return rc;
}

/* ---- streams ---- */

static void open_line(const struct tg_ollama_render *r, struct tg_buf *out)
{
    tg_buf_str_add(out, r->head);
    if (!r->generate)
        tg_buf_lit(out, ",\"message\":{\"role\":\"assistant\"");
}

static void close_line(const struct tg_ollama_render *r, struct tg_buf *out)
{
    tg_buf_str_add(out, r->generate ? TG_STR(",\"done\":false}\n") : TG_STR("},\"done\":false}\n"));
}

static void stream_text(const struct tg_ollama_render *r, const struct tg_event *ev,
                        struct tg_buf *out)
{
    struct tg_str key = r->generate ? TG_STR(",\"response\":") : TG_STR(",\"content\":");
    bool thinks = ev->delta_kind == TG_DELTA_REASONING;
    open_line(r, out);
    tg_buf_str_add(out, key);
    tg_buf_json_str(out, thinks ? TG_STR("") : ev->text);
    if (thinks) {
        tg_buf_lit(out, ",\"thinking\":");
        tg_buf_json_str(out, ev->text);
    }
    close_line(r, out);
}

static int stream_call(struct tg_ollama_render *r, uint32_t part, struct tg_buf *out)
{
    const struct tg_collect *c = &r->collect;
    if (r->generate || !c->n_choices || part >= c->choices[0].n_parts ||
        c->choices[0].parts[part].kind != TG_PART_TOOL_CALL)
        return 0;
    open_line(r, out);
    tg_buf_lit(out, ",\"content\":\"\",\"tool_calls\":[");
    int rc = write_call(&c->choices[0].parts[part], out);
    tg_buf_char(out, ']');
    close_line(r, out);
    return rc;
}

static bool is_said(const struct tg_event *ev)
{
    return ev->delta_kind == TG_DELTA_TEXT || ev->delta_kind == TG_DELTA_REFUSAL ||
           ev->delta_kind == TG_DELTA_REASONING;
}

static int stream_event(struct tg_ollama_render *r, const struct tg_event *ev, struct tg_buf *out)
{
    bool call = ev->kind == TG_EV_PART_START && ev->part_kind == TG_PART_TOOL_CALL;
    if (ev->kind == TG_EV_DELTA && is_said(ev))
        stream_text(r, ev, out);
    else if (call || (ev->kind == TG_EV_DELTA && ev->delta_kind == TG_DELTA_ARGUMENTS))
        return tg_collect_on_event(&r->collect, ev);
    else if (ev->kind == TG_EV_PART_END)
        return stream_call(r, ev->part, out);
    return 0;
}

int tg_ollama_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                     struct tg_buf *out)
{
    struct tg_ollama_render *r = state;
    if (ev->choice != 0) /* this format has one */
        return 0;
    if (ev->kind == TG_EV_FINISH)
        r->finish = ev->finish;
    return info->stream ? stream_event(r, ev, out) : tg_collect_on_event(&r->collect, ev);
}

/* A line that says nothing: this format has no comments, and its readers take no empty lines. */
void tg_ollama_write_silence(const struct tg_render_info *info, struct tg_buf *out)
{
    bool generate = info->call && info->call->dialect == &tg_dialect_ollama_generate;
    tg_ollama_write_head(info, out);
    tg_buf_str_add(out, generate ? TG_STR(",\"response\":\"\",\"done\":false}\n")
                                 : TG_STR(",\"message\":{\"role\":\"assistant\",\"content\":\"\"},"
                                          "\"done\":false}\n"));
}

/* ---- the end ---- */

void tg_ollama_write_counts(const struct tg_render_info *info, const struct tg_usage *usage,
                            uint64_t now_us, bool generated, struct tg_buf *out)
{
    uint64_t took_us = now_us > info->started_us ? now_us - info->started_us : 0;
    tg_buf_lit(out, ",\"total_duration\":");
    tg_buf_u64(out, took_us * 1000); /* nanoseconds */
    tg_buf_lit(out, ",\"load_duration\":0");
    if (!usage || usage->source == TG_USAGE_ABSENT)
        return;
    tg_buf_lit(out, ",\"prompt_eval_count\":");
    tg_buf_i64(out, tg_usage_prompt(usage));
    if (!generated)
        return;
    tg_buf_lit(out, ",\"prompt_eval_duration\":0,\"eval_count\":");
    tg_buf_i64(out, tg_usage_completion(usage));
    tg_buf_lit(out, ",\"eval_duration\":");
    tg_buf_u64(out, took_us * 1000);
}

static int write_said(const struct tg_ollama_render *r, struct tg_buf *out)
{
    const struct tg_collect_choice *ch = r->collect.n_choices ? &r->collect.choices[0] : NULL;
    struct tg_buf text;
    tg_buf_init(&text, SIZE_MAX / 4);
    if (ch) {
        (void)tg_collect_text(ch, TG_PART_TEXT, &text); /* none is an empty text */
        (void)tg_collect_text(ch, TG_PART_REFUSAL, &text);
    }
    tg_buf_str_add(out, r->generate ? TG_STR(",\"response\":") : TG_STR(",\"content\":"));
    tg_buf_json_str(out, tg_buf_str(&text));
    int rc = tg_buf_ok(&text) ? 0 : TG_E_NOMEM;
    tg_buf_clear(&text);
    if (ch && tg_collect_text(ch, TG_PART_REASONING, &text)) {
        tg_buf_lit(out, ",\"thinking\":");
        tg_buf_json_str(out, tg_buf_str(&text));
    }
    if (!tg_buf_ok(&text))
        rc = TG_E_NOMEM;
    tg_buf_fini(&text);
    return rc;
}

static int write_calls(const struct tg_ollama_render *r, struct tg_buf *out)
{
    const struct tg_collect_choice *ch = r->collect.n_choices ? &r->collect.choices[0] : NULL;
    bool any = false;
    int rc = 0;
    for (size_t i = 0; ch && i < ch->n_parts && rc == 0; i++) {
        if (ch->parts[i].kind != TG_PART_TOOL_CALL)
            continue;
        tg_buf_str_add(out, any ? TG_STR(",") : TG_STR(",\"tool_calls\":["));
        any = true;
        rc = write_call(&ch->parts[i], out);
    }
    if (any)
        tg_buf_char(out, ']');
    return rc;
}

/* Of a model that is to be unloaded: a number of seconds, or a duration ("0", "0s", "0m"). */
static bool is_zero(const struct tg_json *keep_alive)
{
    struct tg_str s = tg_json_str(keep_alive);
    double seconds;
    if (s.n)
        return s.p[0] == '0' && (s.n == 1 || s.p[1] == 's' || s.p[1] == 'm' || s.p[1] == 'h');
    return tg_json_double(keep_alive, &seconds) == 0 && seconds == 0;
}

static struct tg_str done_reason(const struct tg_ollama_render *r,
                                 const struct tg_render_info *info)
{
    if (info->call && info->call->loads) {
        const struct tg_body *b = info->call->parsed;
        bool unload = is_zero(tg_json_get(b->root, TG_STR("keep_alive")));
        return unload ? TG_STR("\"unload\"") : TG_STR("\"load\"");
    }
    return r->finish == TG_FINISH_LENGTH ? TG_STR("\"length\"") : TG_STR("\"stop\"");
}

int tg_ollama_finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                     uint64_t now_us, struct tg_buf *out)
{
    struct tg_ollama_render *r = state;
    int rc = 0;
    tg_buf_str_add(out, r->head);
    if (!r->generate)
        tg_buf_lit(out, ",\"message\":{\"role\":\"assistant\"");
    if (info->stream) {
        tg_buf_str_add(out,
                       r->generate ? TG_STR(",\"response\":\"\"") : TG_STR(",\"content\":\"\""));
    } else {
        rc = write_said(r, out);
        if (rc == 0 && !r->generate)
            rc = write_calls(r, out);
    }
    if (!r->generate)
        tg_buf_char(out, '}');
    tg_buf_lit(out, ",\"done_reason\":");
    tg_buf_str_add(out, done_reason(r, info));
    tg_buf_lit(out, ",\"done\":true");
    tg_ollama_write_counts(info, usage, now_us, true, out);
    tg_buf_str_add(out, info->stream ? TG_STR("}\n") : TG_STR("}"));
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

void tg_ollama_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                    struct tg_buf *out)
{
    tg_buf_lit(out, "{\"error\":");
    tg_buf_json_str(out, tg_str_c(fail->message));
    tg_buf_lit(out, ",\"code\":");
    tg_buf_json_str(out, tg_str_c(tg_fail_code(fail)));
    tg_buf_lit(out, ",\"request_id\":");
    tg_buf_json_str(out, request_id);
    tg_buf_str_add(out, in_stream ? TG_STR("}\n") : TG_STR("}"));
}
