/* A sink that writes down what it is given, one line an event, and a way to feed an adapter a body
 * cut in any way. Include after check.h; link adapter. */
#ifndef TG_TEST_ANSWER_H
#define TG_TEST_ANSWER_H

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "chat/collect.h"

struct answer {
    struct tg_sink sink;
    struct tg_buf log;   /* every event, exactly */
    struct tg_buf raws;  /* every raw unit */
    struct tg_buf shown; /* those that are not hidden */
    struct tg_collect collect;
    struct tg_usage usage;
    struct tg_fail fail;
    unsigned raw_units, hidden_units, starts, deltas, finishes, ends, errors, after_end;
};

static inline void answer_line(struct tg_buf *b, const char *key, struct tg_str v)
{
    if (!v.n)
        return;
    tg_buf_char(b, ' ');
    tg_buf_str_add(b, tg_str_c(key));
    tg_buf_char(b, '=');
    tg_buf_json_str(b, v);
}

static inline void answer_usage(struct tg_buf *b, const struct tg_usage *u)
{
    tg_buf_printf(b, " in=%lld read=%lld write=%lld out=%lld reasoning=%lld",
                  (long long)u->input_tokens, (long long)u->cache_read_tokens,
                  (long long)u->cache_write_tokens, (long long)u->output_tokens,
                  (long long)u->reasoning_tokens);
}

static inline void answer_count(struct answer *a, const struct tg_event *ev)
{
    a->after_end += a->ends + a->errors > 0;
    a->starts += ev->kind == TG_EV_START;
    a->deltas += ev->kind == TG_EV_DELTA;
    a->finishes += ev->kind == TG_EV_FINISH;
    a->ends += ev->kind == TG_EV_END;
    a->errors += ev->kind == TG_EV_ERROR;
    if (ev->kind == TG_EV_USAGE)
        a->usage = *ev->usage;
    if (ev->kind == TG_EV_ERROR)
        a->fail = *ev->fail;
}

static inline void answer_on_event(struct tg_sink *s, const struct tg_event *ev)
{
    static const char *const kinds[] = {
        [TG_EV_START] = "START",      [TG_EV_PART_START] = "PART", [TG_EV_DELTA] = "DELTA",
        [TG_EV_PART_END] = "PARTEND", [TG_EV_USAGE] = "USAGE",     [TG_EV_FINISH] = "FINISH",
        [TG_EV_ITEM] = "ITEM",        [TG_EV_EXTRA] = "EXTRA",     [TG_EV_END] = "END",
        [TG_EV_ERROR] = "ERROR",
    };
    static const char *const parts[] = {"text",   "image",     "document", "audio", "call",
                                        "result", "reasoning", "refusal",  "raw"};
    static const char *const deltas[] = {"text",      "arguments", "reasoning",
                                         "signature", "refusal",   "citation"};
    struct answer *a = tg_container_of(s, struct answer, sink);
    struct tg_buf *b = &a->log;
    answer_count(a, ev);
    assert_int_not_equal(tg_collect_on_event(&a->collect, ev), TG_E_UPSTREAM_TOO_LARGE);
    tg_buf_str_add(b, tg_str_c(kinds[ev->kind]));
    if (ev->kind >= TG_EV_PART_START && ev->kind <= TG_EV_EXTRA && ev->kind != TG_EV_USAGE)
        tg_buf_printf(b, " %u", ev->choice);
    if (ev->kind >= TG_EV_PART_START && ev->kind <= TG_EV_PART_END)
        tg_buf_printf(b, ".%u", ev->part);
    if (ev->kind == TG_EV_PART_START)
        tg_buf_printf(b, " %s", parts[ev->part_kind]);
    if (ev->kind == TG_EV_DELTA)
        tg_buf_printf(b, " %s", deltas[ev->delta_kind]);
    if (ev->kind == TG_EV_FINISH)
        tg_buf_printf(b, " %s", tg_finish_name(ev->finish));
    if (ev->kind == TG_EV_USAGE)
        answer_usage(b, ev->usage);
    if (ev->kind == TG_EV_ERROR) {
        tg_buf_printf(b, " %s", tg_err_name(ev->fail->err));
        answer_line(b, "message", tg_str_c(ev->fail->message));
    }
    answer_line(b, "id", ev->id);
    answer_line(b, "name", ev->name);
    answer_line(b, "model", ev->model);
    answer_line(b, "text", ev->text);
    answer_line(b, "signature", ev->signature);
    answer_line(b, "tier", ev->service_tier);
    answer_line(b, "stop", ev->stop_text);
    if (ev->opaque)
        tg_buf_printf(b, " opaque=%d", (int)ev->opaque);
    if (ev->format)
        tg_buf_printf(b, " %s", tg_wire_format_name(ev->format));
    if (ev->media) {
        answer_line(b, "mime", ev->media->mime);
        answer_line(b, "data", ev->media->data);
    }
    if (ev->citation) {
        answer_line(b, "url", ev->citation->url);
        answer_line(b, "title", ev->citation->title);
        answer_line(b, "cited", ev->citation->text);
        answer_line(b, "raw", ev->citation->raw);
        tg_buf_printf(b, " %lld-%lld", (long long)ev->citation->start,
                      (long long)ev->citation->end);
    }
    answer_line(b, "logprobs", ev->logprobs);
    tg_buf_char(b, '\n');
}

static inline void answer_on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct answer *a = tg_container_of(s, struct answer, sink);
    assert_int_equal(a->ends + a->errors, 0);
    a->raw_units++;
    a->hidden_units += hide;
    tg_buf_str_add(&a->raws, raw);
    if (!hide)
        tg_buf_str_add(&a->shown, raw);
}

static inline void answer_init(struct answer *a)
{
    *a = (struct answer){.sink = {answer_on_event, answer_on_raw}};
    tg_buf_init(&a->log, 64u << 20);
    tg_buf_init(&a->raws, 64u << 20);
    tg_buf_init(&a->shown, 64u << 20);
    tg_fail_clear(&a->fail);
}

static inline void answer_fini(struct answer *a)
{
    tg_buf_fini(&a->log);
    tg_buf_fini(&a->raws);
    tg_buf_fini(&a->shown);
    tg_collect_fini(&a->collect);
}

/* Feeds the body in pieces of `cut` bytes (0: whole; negative: of changing sizes from a seed), each
 * in memory of its own so that a view that is kept too long is caught. Returns the first failure.
 */
static inline int answer_feed(struct answer *a, const struct tg_adapter *ad,
                              const struct tg_adapter_response *resp, struct tg_str body, int cut,
                              bool clean)
{
    void *state = tg_calloc(1, ad->state_bytes);
    struct tg_http_head head = {.status = 200};
    uint32_t seed = (uint32_t)(cut < 0 ? -cut : 1);
    int rc = 0;
    assert_non_null(state);
    assert_int_equal(ad->begin(state, resp), 0);
    assert_int_equal(ad->on_head(state, &head), 0);
    for (size_t at = 0; at < body.n;) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = cut == 0 ? body.n : cut > 0 ? (size_t)cut : 1 + (seed >> 24) % 97;
        n = n < body.n - at ? n : body.n - at;
        char *piece = tg_malloc(n);
        assert_non_null(piece);
        memcpy(piece, body.p + at, n);
        int one = ad->on_bytes(state, tg_str_make(piece, n), &a->sink);
        rc = rc ? rc : one;
        tg_free(piece);
        at += n;
    }
    int one = ad->on_end(state, clean, &a->sink);
    rc = rc ? rc : one;
    assert_int_equal(a->ends + a->errors, 1);
    assert_int_equal(a->after_end, 0);
    ad->fini(state);
    tg_free(state);
    return rc;
}

#endif
