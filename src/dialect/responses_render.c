/* Canonical events → the events of OpenAI's Responses, or one response: the answer as a whole.
 * Order, as its servers send it: response.created, response.in_progress, the items' events
 * (responses_stream.c), and one of response.completed, incomplete and failed. Every event has the
 * next sequence_number. */
#include "base/err.h"
#include "dialect/responses_priv.h"

int tg_responses_answer_id(struct tg_arena *a, struct tg_str info_id, struct tg_str *out)
{
    static const struct tg_str prefixes[] = {TG_STR_INIT("chatcmpl-"), TG_STR_INIT("req_")};
    for (size_t i = 0; i < TG_ARRAY_LEN(prefixes); i++) {
        if (tg_str_starts(info_id, prefixes[i]))
            info_id = tg_str_from(info_id, prefixes[i].n);
    }
    *out = tg_arena_printf(a, "resp_%.*s", TG_STR_ARG(info_id));
    return out->p ? 0 : TG_E_NOMEM;
}

int tg_responses_begin(void *state, const struct tg_render_info *info)
{
    struct tg_responses_render *r = state;
    int rc = tg_responses_answer_id(info->arena, info->id, &r->id);
    if (rc)
        return rc;
    r->tail = tg_str_from(r->id, 5);
    return 0;
}

void tg_responses_fini(void *state)
{
    struct tg_responses_render *r = state;
    tg_collect_fini(&r->collect);
}

void tg_responses_answer(const void *render_state, struct tg_responses_answer *out)
{
    const struct tg_responses_render *r = render_state;
    *out = r->answer;
}

static bool is_shown(const struct tg_event *ev)
{
    return ev->kind == TG_EV_START ||
           (ev->choice == 0 && (ev->kind == TG_EV_PART_START || ev->kind == TG_EV_DELTA ||
                                ev->kind == TG_EV_PART_END || ev->kind == TG_EV_FINISH));
}

static void begin_stream(struct tg_responses_out *c)
{
    struct tg_responses_end none = {.status = TG_STR_INIT("in_progress")};
    if (c->r->state != TG_RESPONSES_NEW)
        return;
    c->r->state = TG_RESPONSES_BEGUN;
    tg_responses_response_event(c, "response.created", &none);
    tg_responses_response_event(c, "response.in_progress", &none);
}

int tg_responses_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                        struct tg_buf *out)
{
    struct tg_responses_render *r = state;
    struct tg_responses_out c = {.r = r, .info = info, .out = out};
    if (!is_shown(ev) || r->state == TG_RESPONSES_OVER)
        return 0;
    if (ev->kind == TG_EV_START && ev->service_tier.n && !r->service_tier.n)
        r->service_tier = tg_arena_dup(info->arena, ev->service_tier);
    if (tg_responses_is_senseless(r, ev))
        return 0;
    int rc = tg_collect_on_event(&r->collect, ev);
    if (rc)
        return rc;
    begin_stream(&c);
    if (ev->kind == TG_EV_PART_START)
        tg_responses_on_start(&c, ev);
    else if (ev->kind == TG_EV_DELTA)
        tg_responses_on_delta(&c, ev);
    else if (ev->kind == TG_EV_PART_END)
        tg_responses_on_part_end(&c, ev->part);
    return c.rc ? c.rc : tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static struct tg_responses_end end_of(const struct tg_responses_render *r,
                                      const struct tg_usage *usage)
{
    struct tg_responses_end end = {.status = TG_STR_INIT("completed"), .usage = usage};
    enum tg_finish f = r->collect.n_choices ? r->collect.choices[0].finish : TG_FINISH_STOP;
    if (f == TG_FINISH_LENGTH)
        end.reason = TG_STR("max_output_tokens");
    if (f == TG_FINISH_CONTENT_FILTER)
        end.reason = TG_STR("content_filter");
    if (end.reason.n)
        end.status = TG_STR("incomplete");
    return end;
}

/* What is kept of the answer, for calls that want it. */
static void keep(struct tg_responses_out *c, const char *text, size_t n, size_t output_at,
                 size_t output_n)
{
    struct tg_responses_render *r = c->r;
    if (!c->info->call || !c->info->call->store || !tg_buf_ok(c->out) || c->rc)
        return;
    struct tg_str whole = tg_arena_dup(c->info->arena, tg_str_make(text, n));
    if (!whole.p) {
        tg_responses_note(c, TG_E_NOMEM);
        return;
    }
    r->answer = (struct tg_responses_answer){
        .id = r->id, .response = whole, .output = tg_str_make(whole.p + output_at, output_n)};
}

int tg_responses_finish(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    struct tg_responses_render *r = state;
    struct tg_responses_out c = {.r = r, .info = info, .out = out};
    struct tg_responses_end end = end_of(r, usage);
    size_t output_at, output_n;
    if (r->state == TG_RESPONSES_OVER)
        return 0;
    begin_stream(&c);
    tg_responses_close_all(&c, end.status);
    r->state = TG_RESPONSES_OVER;
    bool event =
        tg_responses_open_event(&c, end.reason.n ? "response.incomplete" : "response.completed");
    if (event)
        tg_responses_key(&c, "response");
    size_t at = out->n;
    tg_responses_note(&c, tg_responses_write_response(r, info, &end, out, &output_at, &output_n));
    keep(&c, out->p + at, out->n - at, output_at - at, output_n);
    if (event)
        tg_responses_close_event(&c);
    return c.rc ? c.rc : tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* `error` is what most clients raise, `response.failed` what the others wait for. Both forms of the
 * error's members are in use: flat in the API's description, inside `error` on the wire. */
static void error_event(struct tg_responses_out *c, const struct tg_fail *fail)
{
    struct tg_str param = tg_str_c(fail->param), message = tg_str_c(fail->message);
    if (!message.n)
        message = tg_str_c(tg_err_info(fail->err)->text);
    if (!tg_responses_open_event(c, "error"))
        return;
    for (int nested = 0; nested < 2; nested++) {
        if (nested) {
            tg_buf_lit(c->out, ",\"error\":{\"type\":");
            tg_buf_json_str(c->out, tg_str_c(tg_fail_type(fail)));
        }
        tg_responses_key(c, "code");
        tg_buf_json_str(c->out, tg_str_c(tg_fail_code(fail)));
        tg_responses_key(c, "message");
        tg_buf_json_str(c->out, message);
        tg_responses_key(c, "param");
        if (param.n)
            tg_buf_json_str(c->out, param);
        else
            tg_buf_lit(c->out, "null");
    }
    tg_buf_char(c->out, '}');
    tg_responses_close_event(c);
}

int tg_responses_broken(void *state, const struct tg_render_info *info, const struct tg_fail *fail,
                        struct tg_buf *out)
{
    struct tg_responses_render *r = state;
    struct tg_render_info streamed = *info;
    struct tg_responses_out c = {.r = r, .info = &streamed, .out = out};
    struct tg_responses_end end = {.status = TG_STR_INIT("failed"), .fail = fail};
    streamed.stream = true;
    if (r->state == TG_RESPONSES_OVER)
        return 0;
    begin_stream(&c);
    error_event(&c, fail);
    r->state = TG_RESPONSES_OVER;
    tg_responses_response_event(&c, "response.failed", &end);
    return c.rc ? c.rc : tg_buf_ok(out) ? 0 : TG_E_FULL;
}
