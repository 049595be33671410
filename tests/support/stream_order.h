/* The grammars of the streams that have no checker of their own: OpenAI's chunks and completions,
 * Google's events, Ollama's lines, /v1/generate. What may follow what, and what must be at the end.
 * Include after check.h; link wire, json. */
#ifndef TG_TEST_STREAM_ORDER_H
#define TG_TEST_STREAM_ORDER_H

#include "base/arena.h"
#include "json/json.h"
#include "wire/sse.h"

#define SO_CHOICES 16
#define SO_CALLS   64

struct stream_order {
    struct tg_arena arena;
    const char *name; /* for messages */
    const char *first_id;
    bool done, usage, began[SO_CHOICES], finished[SO_CHOICES];
    int64_t calls[SO_CHOICES]; /* begun so far */
    int64_t n_choices;
    unsigned units;
};

#define SO_REQUIRE(o, cond)                                                    \
    do {                                                                       \
        if (!(cond))                                                           \
            fail_msg("%s: unit %u: not so: %s", (o)->name, (o)->units, #cond); \
    } while (0)

static inline int64_t so_index(struct stream_order *o, const struct tg_json *v, bool required)
{
    int64_t n = 0;
    if (tg_json_i64(tg_json_get(v, TG_STR("index")), &n))
        SO_REQUIRE(o, !required);
    SO_REQUIRE(o, n >= 0 && n < SO_CHOICES);
    o->n_choices = n + 1 > o->n_choices ? n + 1 : o->n_choices;
    return n;
}

/* A choice's units come before its finish reason, which comes once. */
static inline void so_finish(struct stream_order *o, int64_t i, const struct tg_json *reason)
{
    SO_REQUIRE(o, !o->finished[i]);
    SO_REQUIRE(o, tg_json_is_nil(reason) || tg_json_str(reason).n > 0);
    o->finished[i] = !tg_json_is_nil(reason);
}

/* A call begins with its id and its name, under the next number, and goes on under it. */
static inline void so_call(struct stream_order *o, int64_t i, const struct tg_json *call)
{
    int64_t n = -1;
    const struct tg_json *fn = tg_json_get(call, TG_STR("function"));
    SO_REQUIRE(o, tg_json_i64(tg_json_get(call, TG_STR("index")), &n) == 0);
    SO_REQUIRE(o, n >= 0 && n <= o->calls[i] && n < SO_CALLS);
    bool begins = n == o->calls[i];
    SO_REQUIRE(o, begins == (tg_json_get_str(call, TG_STR("id")).n > 0));
    SO_REQUIRE(o, begins == (tg_json_get_str(fn, TG_STR("name")).n > 0));
    SO_REQUIRE(o, tg_json_is_str(tg_json_get(fn, TG_STR("arguments"))) ||
                      tg_json_get(call, TG_STR("custom")) || !fn);
    o->calls[i] += begins;
}

static inline void so_chat(struct stream_order *o, const struct tg_json *root)
{
    SO_REQUIRE(
        o, tg_json_str_is(tg_json_get(root, TG_STR("object")), TG_STR("chat.completion.chunk")));
    SO_REQUIRE(o, tg_json_get_str(root, TG_STR("id")).n > 0);
    SO_REQUIRE(o, tg_json_is_num(tg_json_get(root, TG_STR("created"))));
    const struct tg_json *choices = tg_json_get(root, TG_STR("choices"));
    SO_REQUIRE(o, tg_json_is_arr(choices));
    struct tg_json_iter it = tg_json_iter(choices);
    while (tg_json_next(&it)) {
        int64_t i = so_index(o, it.value, true);
        const struct tg_json *delta = tg_json_get(it.value, TG_STR("delta"));
        SO_REQUIRE(o, tg_json_is_obj(delta));
        SO_REQUIRE(o, !o->usage);
        SO_REQUIRE(o, o->began[i] !=
                          tg_json_str_is(tg_json_get(delta, TG_STR("role")), TG_STR("assistant")));
        o->began[i] = true;
        struct tg_json_iter calls = tg_json_iter(tg_json_get(delta, TG_STR("tool_calls")));
        while (tg_json_next(&calls))
            so_call(o, i, calls.value);
        so_finish(o, i, tg_json_get(it.value, TG_STR("finish_reason")));
    }
    o->usage |= tg_json_is_obj(tg_json_get(root, TG_STR("usage")));
}

static inline void so_completion(struct stream_order *o, const struct tg_json *root)
{
    SO_REQUIRE(o, tg_json_str_is(tg_json_get(root, TG_STR("object")), TG_STR("text_completion")));
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("choices")));
    while (tg_json_next(&it)) {
        int64_t i = so_index(o, it.value, true);
        SO_REQUIRE(o, tg_json_is_str(tg_json_get(it.value, TG_STR("text"))) && !o->usage);
        so_finish(o, i, tg_json_get(it.value, TG_STR("finish_reason")));
    }
    o->usage |= tg_json_is_obj(tg_json_get(root, TG_STR("usage")));
}

static inline void so_gemini(struct stream_order *o, const struct tg_json *root)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("candidates")));
    while (tg_json_next(&it)) {
        int64_t i = so_index(o, it.value, false);
        const struct tg_json *content = tg_json_get(it.value, TG_STR("content"));
        SO_REQUIRE(o, !content ||
                          tg_json_str_is(tg_json_get(content, TG_STR("role")), TG_STR("model")));
        so_finish(o, i, tg_json_get(it.value, TG_STR("finishReason")));
    }
}

static inline void so_ollama(struct stream_order *o, const struct tg_json *root)
{
    const struct tg_json *done = tg_json_get(root, TG_STR("done"));
    SO_REQUIRE(o, !o->done && tg_json_is_bool(done));
    SO_REQUIRE(o, tg_json_get_str(root, TG_STR("model")).n > 0);
    SO_REQUIRE(o, tg_json_get_str(root, TG_STR("created_at")).n > 0);
    SO_REQUIRE(o, tg_json_is_str(tg_json_get2(root, TG_STR("message"), TG_STR("content"))));
    o->done = tg_json_true(done);
    SO_REQUIRE(o, o->done == (tg_json_get_str(root, TG_STR("done_reason")).n > 0));
}

static inline void so_generate(struct stream_order *o, const struct tg_json *root)
{
    bool whole = tg_json_get(root, TG_STR("completion")) != NULL;
    SO_REQUIRE(o, !o->usage);
    SO_REQUIRE(o, whole || tg_json_is_str(tg_json_get(root, TG_STR("text"))));
    o->usage = whole;
}

static inline void so_unit(struct stream_order *o, struct tg_str json,
                           void (*fn)(struct stream_order *, const struct tg_json *))
{
    struct tg_json_doc *doc;
    o->units++;
    tg_arena_reset(&o->arena);
    SO_REQUIRE(o, tg_json_parse(&o->arena, json, NULL, &doc, NULL) == 0);
    fn(o, tg_json_root(doc));
}

static inline void so_begin(struct stream_order *o, const char *name)
{
    *o = (struct stream_order){.name = name};
    tg_arena_init(&o->arena, 16 * 1024, 1u << 30);
}

/* Server-sent events, whose last is [DONE] where the format has that. */
static inline void so_events(struct stream_order *o, const char *name, struct tg_str text,
                             void (*fn)(struct stream_order *, const struct tg_json *),
                             bool has_done)
{
    struct tg_sse_dec d;
    struct tg_sse_event ev;
    so_begin(o, name);
    tg_sse_dec_init(&d, 64u << 20);
    while (tg_sse_next(&d, &text, &ev) > 0) {
        if (!ev.has_data)
            continue;
        SO_REQUIRE(o, !o->done);
        if (has_done && tg_str_eq(ev.data, TG_STR("[DONE]")))
            o->done = true;
        else
            so_unit(o, ev.data, fn);
    }
    SO_REQUIRE(o, tg_sse_pending(&d) == 0);
    SO_REQUIRE(o, o->done == has_done && o->units > 0);
    for (int64_t i = 0; i < o->n_choices; i++)
        SO_REQUIRE(o, o->finished[i]);
    tg_sse_dec_fini(&d);
    tg_arena_fini(&o->arena);
}

static inline void so_lines(struct stream_order *o, const char *name, struct tg_str text)
{
    struct tg_str line;
    so_begin(o, name);
    SO_REQUIRE(o, tg_str_ends(text, TG_STR("\n")));
    while (tg_str_split(&text, '\n', &line)) {
        if (line.n)
            so_unit(o, line, so_ollama);
    }
    SO_REQUIRE(o, o->done);
    tg_arena_fini(&o->arena);
}

/* One JSON array. */
static inline void so_array(struct stream_order *o, const char *name, struct tg_str text)
{
    struct tg_json_doc *doc;
    so_begin(o, name);
    SO_REQUIRE(o, tg_json_parse(&o->arena, text, NULL, &doc, NULL) == 0);
    SO_REQUIRE(o, tg_json_is_arr(tg_json_root(doc)));
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    while (tg_json_next(&it)) {
        o->units++;
        so_gemini(o, it.value);
    }
    for (int64_t i = 0; i < o->n_choices; i++)
        SO_REQUIRE(o, o->finished[i]);
    tg_arena_fini(&o->arena);
}

#endif
