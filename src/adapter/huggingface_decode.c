/* Answers → events. A stream ends well with the event that has `generated_text`; special tokens are
 * no text; a stop sequence is generated before it is recognised, and cut off here. */
#include "adapter/huggingface_priv.h"
#include "base/err.h"
#include "base/num.h"

enum { MAX_STOP_BYTES = 4096, MAX_STOP_TEXTS = (TG_CHAT_MAX_STOPS + 1) * MAX_STOP_BYTES };

static const struct tg_str turn = TG_STR_INIT(TG_HUGGINGFACE_TURN);

/* The client's stops, copied; what is longer never ends an answer in practice. */
static int keep_stops(struct tg_huggingface_dec *d, const struct tg_sampling *s)
{
    size_t at[TG_CHAT_MAX_STOPS + 1];
    for (size_t i = 0; i < s->n_stops; i++) {
        if (!s->stops[i].n || s->stops[i].n > MAX_STOP_BYTES)
            continue;
        at[d->n_stops] = d->stop_texts.n;
        if (tg_buf_str_add(&d->stop_texts, s->stops[i]))
            return TG_E_NOMEM;
        d->stops[d->n_stops++].n = s->stops[i].n;
    }
    for (size_t i = 0; i < d->n_stops; i++)
        d->stops[i].p = d->stop_texts.p + at[i];
    return 0;
}

int tg_huggingface_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_huggingface_dec *d = state;
    const struct tg_chat_req *req = resp->req;
    int rc = 0;
    tg_decoder_init(&d->base, resp);
    tg_sse_dec_init(&d->sse, d->base.resp.max_pending_bytes);
    tg_buf_init(&d->stop_texts, MAX_STOP_TEXTS);
    d->prompt_tokens = d->generated_tokens = d->top_n = -1;
    if (req && resp->task == TG_TASK_RERANK)
        d->top_n = req->inputs.top_n;
    if (req && resp->task == TG_TASK_CHAT)
        rc = keep_stops(d, &req->sampling);
    d->turn = d->at_start = req && resp->task == TG_TASK_CHAT && !req->is_completion;
    if (d->turn)
        d->stops[d->n_stops++] = turn;
    tg_textout_init(&d->text, d->stops, d->n_stops);
    d->base.resp.req = NULL; /* may be gone later */
    if (rc)
        tg_huggingface_fini(d);
    return rc;
}

void tg_huggingface_fini(void *state)
{
    struct tg_huggingface_dec *d = state;
    tg_decoder_fini(&d->base);
    tg_sse_dec_fini(&d->sse);
    tg_textout_fini(&d->text);
    tg_buf_fini(&d->stop_texts);
}

static int64_t count_in(const struct tg_http_head *head, struct tg_str name)
{
    int64_t n;
    struct tg_str text = tg_http_head_get(head, name);
    return text.n && tg_parse_i64(text, &n) == 0 && n >= 0 ? n : -1;
}

int tg_huggingface_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_huggingface_dec *d = state;
    bool chat = d->base.resp.task == TG_TASK_CHAT;
    tg_decoder_on_head(&d->base, head);
    d->prompt_tokens =
        count_in(head, chat ? TG_STR("x-prompt-tokens") : TG_STR("x-compute-tokens"));
    d->generated_tokens = count_in(head, TG_STR("x-generated-tokens"));
    return 0;
}

/* ---- text ---- */

static void say(struct tg_huggingface_dec *d, struct tg_sink *sink)
{
    struct tg_str s = tg_buf_str(&d->text.out);
    if (d->at_start) {
        while (s.n && (s.p[0] == ' ' || s.p[0] == '\n' || s.p[0] == '\t' || s.p[0] == '\r'))
            s = tg_str_from(s, 1);
        d->at_start = s.n == 0;
    }
    tg_parts_say(&d->parts, sink, TG_PART_TEXT, TG_DELTA_TEXT, s);
}

static int push(struct tg_huggingface_dec *d, struct tg_sink *sink, struct tg_str piece)
{
    while (piece.n) { /* what is held at once has a limit */
        struct tg_str part = tg_str_first(piece, MAX_STOP_BYTES);
        piece = tg_str_from(piece, part.n);
        int rc = tg_textout_push(&d->text, part);
        if (rc < 0)
            return tg_decoder_broken(&d->base, sink, TG_E_NOMEM, "");
        say(d, sink);
    }
    return 0;
}

/* ---- the end ---- */

static int64_t told(const struct tg_json *obj, struct tg_str name, int64_t otherwise)
{
    int64_t n;
    return tg_json_i64(tg_json_get(obj, name), &n) == 0 && n >= 0 ? n : otherwise;
}

/* Without the prompt's count nothing is reported: half of the truth would be taken for the whole.
 */
static void usage(struct tg_huggingface_dec *d, struct tg_sink *sink, const struct tg_json *details)
{
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    u.input_tokens = told(details, TG_STR("input_length"), d->prompt_tokens);
    u.output_tokens = told(details, TG_STR("generated_tokens"), d->generated_tokens);
    if (d->base.resp.task != TG_TASK_CHAT)
        u.output_tokens = 0;
    if (u.input_tokens >= 0 && u.output_tokens >= 0)
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
}

static int finish(struct tg_huggingface_dec *d, struct tg_sink *sink, const struct tg_json *details)
{
    struct tg_str word = tg_json_get_str(details, TG_STR("finish_reason")), met = TG_STR("");
    if (tg_textout_finish(&d->text) < 0)
        return tg_decoder_broken(&d->base, sink, TG_E_NOMEM, "");
    say(d, sink);
    tg_parts_close(&d->parts, sink);
    usage(d, sink, details);
    size_t stop = (size_t)d->text.stop_index;
    if (d->text.stop_index >= 0 && d->turn && stop + 1 == d->n_stops)
        word = TG_STR("eos_token"); /* the client knows nothing of that stop */
    else if (d->text.stop_index >= 0)
        met = d->stops[stop];
    bool length = tg_str_eq(word, TG_STR("length")) && d->text.stop_index < 0;
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_FINISH,
                                            .finish = length ? TG_FINISH_LENGTH : TG_FINISH_STOP,
                                            .text = word,
                                            .stop_text = met});
    tg_decoder_end(&d->base, sink);
    return 0;
}

static TG_COLD int on_error(struct tg_huggingface_dec *d, const struct tg_json *root,
                            struct tg_sink *sink)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    tg_huggingface_set_fail(root, 0, &fail);
    return tg_decoder_fail(&d->base, sink, &fail);
}

/* ---- streams ---- */

static int on_json(struct tg_decoder *base, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct tg_huggingface_dec *d = tg_container_of(base, struct tg_huggingface_dec, base);
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *token = tg_json_get(root, TG_STR("token"));
    if (!tg_json_is_obj(token))
        return on_error(d, root, sink);
    tg_decoder_start(&d->base, sink, TG_STR(""), TG_STR(""));
    int rc = 0;
    if (!tg_json_true(tg_json_get(token, TG_STR("special"))))
        rc = push(d, sink, tg_json_get_str(token, TG_STR("text")));
    if (rc || !tg_json_is_str(tg_json_get(root, TG_STR("generated_text"))))
        return rc;
    return finish(d, sink, tg_json_get(root, TG_STR("details")));
}

int tg_huggingface_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_huggingface_dec *d = state;
    int rc = tg_decoder_events(&d->base, &d->sse, sink, in, on_json);
    if (d->base.over)
        tg_huggingface_fini(d);
    return rc;
}

/* ---- one object ---- */

static TG_COLD int not_understood(struct tg_huggingface_dec *d, struct tg_sink *sink)
{
    return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
                             "the provider's answer could not be understood");
}

/* Vectors, or {"index", "score"} from the nearest on. */
static int end_items(struct tg_huggingface_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    bool ranks = d->base.resp.task == TG_TASK_RERANK;
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    int64_t n = 0;
    if (!tg_json_is_arr(tg_json_root(doc)))
        return on_error(d, tg_json_root(doc), sink);
    for (; tg_json_next(&it) && (d->top_n < 0 || n < d->top_n); n++) {
        int64_t index = (int64_t)it.index;
        if (!ranks && !tg_json_is_arr(it.value))
            return not_understood(d, sink);
        const struct tg_json *value = ranks ? tg_json_get(it.value, TG_STR("score")) : it.value;
        if (ranks && (tg_json_i64(tg_json_get(it.value, TG_STR("index")), &index) || index < 0 ||
                      index > UINT32_MAX || !tg_json_is_num(value)))
            continue;
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_ITEM,
                                                .choice = (uint32_t)index,
                                                .text = tg_json_raw(doc, value)});
    }
    if (n == 0)
        return not_understood(d, sink);
    usage(d, sink, NULL);
    tg_decoder_end(&d->base, sink);
    return 0;
}

static int end_body(struct tg_huggingface_dec *d, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    int rc = tg_decoder_parse_body(&d->base, sink, &doc);
    if (rc)
        return rc;
    const struct tg_json *root = tg_json_root(doc);
    if (d->base.resp.task != TG_TASK_CHAT) {
        tg_decoder_start(&d->base, sink, TG_STR(""), TG_STR(""));
        return end_items(d, doc, sink);
    }
    if (tg_json_is_arr(root)) /* of servers that answer as the root path does */
        root = tg_json_at(root, 0);
    const struct tg_json *text = tg_json_get(root, TG_STR("generated_text"));
    if (!tg_json_is_str(text))
        return on_error(d, root, sink);
    tg_decoder_start(&d->base, sink, TG_STR(""), TG_STR(""));
    rc = push(d, sink, tg_json_str(text));
    return rc ? rc : finish(d, sink, tg_json_get(root, TG_STR("details")));
}

int tg_huggingface_on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_huggingface_dec *d = state;
    int rc = 0;
    if (!d->base.over && (!clean || d->base.resp.stream))
        rc = tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INCOMPLETE,
                               "the provider's answer broke off");
    else if (!d->base.over)
        rc = end_body(d, sink);
    tg_huggingface_fini(d);
    return rc;
}
