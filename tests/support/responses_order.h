/* The grammar of a Responses stream: which event may follow which, what their numbers and ids must
 * be, and that the texts in `.done` events and in the final response are what the deltas said. Held
 * by what the gateway writes and by real streams of OpenAI's. Include after check.h; link wire,
 * json. */
#ifndef TG_TEST_RESPONSES_ORDER_H
#define TG_TEST_RESPONSES_ORDER_H

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "wire/sse.h"

#define RO_MAX_ITEMS 256

struct ro_item {
    struct tg_str id, type;
    bool done;
    bool part_open, text_done; /* a content or a summary */
    int64_t n_parts;
    int64_t n_annotations; /* of the open part */
    struct tg_buf text;    /* of the open part, or a call's arguments */
    bool call_done;
};

struct ro {
    struct tg_arena arena;
    const char *name;
    int64_t seq;
    int phase; /* 0 nothing, 1 created, 2 in progress, 3 an error was told, 4 over */
    struct ro_item items[RO_MAX_ITEMS];
    int64_t n_items;
    struct tg_str last;   /* the last event's type */
    struct tg_str status; /* of the end */
    unsigned deltas;
    size_t rest; /* bytes behind the end */
};

#define RO_REQUIRE(r, cond)                                                                   \
    do {                                                                                      \
        if (!(cond))                                                                          \
            fail_msg("%s: event %lld (%.*s): not so: %s", (r)->name, (long long)(r)->seq - 1, \
                     TG_STR_ARG((r)->last), #cond);                                           \
    } while (0)

static inline int64_t ro_number(struct ro *r, const struct tg_json *v, const char *key)
{
    int64_t n = -1;
    RO_REQUIRE(r, tg_json_i64(tg_json_get(v, tg_str_c(key)), &n) == 0);
    return n;
}

static inline struct ro_item *ro_item(struct ro *r, const struct tg_json *v, bool with_id)
{
    int64_t at = ro_number(r, v, "output_index");
    RO_REQUIRE(r, at >= 0 && at < r->n_items);
    struct ro_item *it = &r->items[at];
    RO_REQUIRE(r, !it->done);
    if (with_id)
        RO_REQUIRE(r, tg_json_str_is(tg_json_get(v, TG_STR("item_id")), it->id));
    return it;
}

static inline void ro_added(struct ro *r, const struct tg_json *v)
{
    const struct tg_json *item = tg_json_get(v, TG_STR("item"));
    RO_REQUIRE(r, ro_number(r, v, "output_index") == r->n_items);
    RO_REQUIRE(r, r->n_items < RO_MAX_ITEMS);
    struct ro_item *it = &r->items[r->n_items++];
    it->id = tg_json_get_str(item, TG_STR("id"));
    it->type = tg_json_get_str(item, TG_STR("type"));
    RO_REQUIRE(r, it->id.n && it->type.n);
    tg_buf_init(&it->text, 64u << 20);
    for (int64_t i = 0; i + 1 < r->n_items; i++)
        RO_REQUIRE(r, !tg_str_eq(r->items[i].id, it->id));
}

static inline void ro_part_added(struct ro *r, const struct tg_json *v, const char *index)
{
    struct ro_item *it = ro_item(r, v, true);
    RO_REQUIRE(r, !it->part_open);
    RO_REQUIRE(r, ro_number(r, v, index) == it->n_parts);
    it->n_parts++;
    it->part_open = true;
    it->text_done = false;
    it->n_annotations = 0;
    tg_buf_clear(&it->text);
}

static inline void ro_delta(struct ro *r, const struct tg_json *v, const char *index)
{
    struct ro_item *it = ro_item(r, v, true);
    RO_REQUIRE(r, it->part_open && !it->text_done);
    RO_REQUIRE(r, ro_number(r, v, index) == it->n_parts - 1);
    RO_REQUIRE(r, tg_json_is_str(tg_json_get(v, TG_STR("delta"))));
    tg_buf_str_add(&it->text, tg_json_get_str(v, TG_STR("delta")));
    r->deltas++;
}

static inline void ro_text_done(struct ro *r, const struct tg_json *v, const char *index,
                                const char *key)
{
    struct ro_item *it = ro_item(r, v, true);
    RO_REQUIRE(r, it->part_open && !it->text_done);
    RO_REQUIRE(r, ro_number(r, v, index) == it->n_parts - 1);
    RO_REQUIRE(r, tg_json_str_is(tg_json_get(v, tg_str_c(key)), tg_buf_str(&it->text)));
    it->text_done = true;
}

static inline void ro_part_done(struct ro *r, const struct tg_json *v, const char *index)
{
    struct ro_item *it = ro_item(r, v, true);
    const struct tg_json *part = tg_json_get(v, TG_STR("part"));
    struct tg_str text = tg_json_get_str(part, TG_STR("text"));
    RO_REQUIRE(r, it->part_open && it->text_done);
    RO_REQUIRE(r, ro_number(r, v, index) == it->n_parts - 1);
    RO_REQUIRE(r, tg_str_eq(text.p ? text : tg_json_get_str(part, TG_STR("refusal")),
                            tg_buf_str(&it->text)));
    it->part_open = false;
}

static inline void ro_call(struct ro *r, const struct tg_json *v, const char *type, const char *key)
{
    struct ro_item *it = ro_item(r, v, true);
    const struct tg_json *whole = tg_json_get(v, tg_str_c(key));
    RO_REQUIRE(r, tg_str_eq(it->type, tg_str_c(type)));
    RO_REQUIRE(r, !it->call_done);
    if (!whole) {
        tg_buf_str_add(&it->text, tg_json_get_str(v, TG_STR("delta")));
        r->deltas++;
        return;
    }
    RO_REQUIRE(r, tg_json_str_is(whole, tg_buf_str(&it->text)));
    it->call_done = true;
}

static inline void ro_annotation(struct ro *r, const struct tg_json *v)
{
    struct ro_item *it = ro_item(r, v, true);
    RO_REQUIRE(r, it->part_open);
    RO_REQUIRE(r, ro_number(r, v, "annotation_index") == it->n_annotations);
    it->n_annotations++;
}

static inline void ro_item_done(struct ro *r, const struct tg_json *v)
{
    const struct tg_json *item = tg_json_get(v, TG_STR("item"));
    struct ro_item *it = ro_item(r, v, false);
    bool call = tg_str_eq(it->type, TG_STR("function_call"));
    RO_REQUIRE(r, tg_json_str_is(tg_json_get(item, TG_STR("id")), it->id));
    RO_REQUIRE(r, tg_json_str_is(tg_json_get(item, TG_STR("type")), it->type));
    RO_REQUIRE(r, !it->part_open);
    if (call) {
        RO_REQUIRE(r, it->call_done);
        RO_REQUIRE(r,
                   tg_json_str_is(tg_json_get(item, TG_STR("arguments")), tg_buf_str(&it->text)));
        RO_REQUIRE(r, tg_json_get_str(item, TG_STR("call_id")).n > 0);
        RO_REQUIRE(r, tg_json_get_str(item, TG_STR("name")).p);
    }
    if (tg_str_eq(it->type, TG_STR("message")))
        RO_REQUIRE(r, (int64_t)tg_json_count(tg_json_get(item, TG_STR("content"))) == it->n_parts);
    it->done = true;
}

static inline void ro_over(struct ro *r, const struct tg_json *v, const char *status)
{
    const struct tg_json *response = tg_json_get(v, TG_STR("response"));
    const struct tg_json *output = tg_json_get(response, TG_STR("output"));
    r->status = tg_json_get_str(response, TG_STR("status"));
    RO_REQUIRE(r, tg_str_eq(r->status, tg_str_c(status)));
    RO_REQUIRE(r, (int64_t)tg_json_count(output) == r->n_items);
    struct tg_json_iter it = tg_json_iter(output);
    while (tg_json_next(&it)) {
        RO_REQUIRE(r, tg_json_str_is(tg_json_get(it.value, TG_STR("id")), r->items[it.index].id));
        if (!tg_str_eq(r->status, TG_STR("failed")))
            RO_REQUIRE(r, r->items[it.index].done);
    }
    r->phase = 4;
}

static inline bool ro_is(struct ro *r, const char *type)
{
    return tg_str_eq(r->last, tg_str_c(type));
}

static inline void ro_text_event(struct ro *r, const struct tg_json *v)
{
    if (ro_is(r, "response.content_part.added"))
        ro_part_added(r, v, "content_index");
    else if (ro_is(r, "response.content_part.done"))
        ro_part_done(r, v, "content_index");
    else if (ro_is(r, "response.output_text.delta") || ro_is(r, "response.refusal.delta") ||
             ro_is(r, "response.reasoning_text.delta"))
        ro_delta(r, v, "content_index");
    else if (ro_is(r, "response.output_text.done") || ro_is(r, "response.reasoning_text.done"))
        ro_text_done(r, v, "content_index", "text");
    else if (ro_is(r, "response.refusal.done"))
        ro_text_done(r, v, "content_index", "refusal");
    else if (ro_is(r, "response.output_text.annotation.added"))
        ro_annotation(r, v);
    else if (ro_is(r, "response.reasoning_summary_part.added"))
        ro_part_added(r, v, "summary_index");
    else if (ro_is(r, "response.reasoning_summary_part.done"))
        ro_part_done(r, v, "summary_index");
    else if (ro_is(r, "response.reasoning_summary_text.delta"))
        ro_delta(r, v, "summary_index");
    else if (ro_is(r, "response.reasoning_summary_text.done"))
        ro_text_done(r, v, "summary_index", "text");
    else if (ro_is(r, "response.function_call_arguments.delta") ||
             ro_is(r, "response.function_call_arguments.done"))
        ro_call(r, v, "function_call", "arguments");
    else if (ro_is(r, "response.custom_tool_call_input.delta") ||
             ro_is(r, "response.custom_tool_call_input.done"))
        ro_call(r, v, "custom_tool_call", "input");
}

static inline void ro_event(struct ro *r, const struct tg_json *v)
{
    int64_t seq = ro_number(r, v, "sequence_number");
    RO_REQUIRE(r, seq == r->seq - 1);
    RO_REQUIRE(r, r->phase < 4);
    if (ro_is(r, "response.created")) {
        RO_REQUIRE(r, r->phase == 0);
        r->phase = 1;
        return;
    }
    if (ro_is(r, "response.in_progress")) {
        RO_REQUIRE(r, r->phase == 1);
        r->phase = 2;
        return;
    }
    RO_REQUIRE(r, r->phase == 2 || (r->phase == 3 && ro_is(r, "response.failed")));
    if (ro_is(r, "error"))
        r->phase = 3;
    else if (ro_is(r, "response.output_item.added"))
        ro_added(r, v);
    else if (ro_is(r, "response.output_item.done"))
        ro_item_done(r, v);
    else if (ro_is(r, "response.completed"))
        ro_over(r, v, "completed");
    else if (ro_is(r, "response.incomplete"))
        ro_over(r, v, "incomplete");
    else if (ro_is(r, "response.failed"))
        ro_over(r, v, "failed");
    else
        ro_text_event(r, v);
}

/* Reads a whole stream, up to its end. Afterwards r->status says how it ended. */
static inline void ro_read(struct ro *r, struct tg_str text, const char *name)
{
    struct tg_sse_dec d;
    struct tg_sse_event ev;
    *r = (struct ro){.name = name};
    tg_arena_init(&r->arena, 64 * 1024, 512u << 20);
    tg_sse_dec_init(&d, 64u << 20);
    while (r->phase < 4 && tg_sse_next(&d, &text, &ev) > 0) {
        struct tg_json_doc *doc;
        if (!ev.has_data)
            continue;
        r->seq++;
        assert_int_equal(
            tg_json_parse(&r->arena, tg_arena_dup(&r->arena, ev.data), NULL, &doc, NULL), 0);
        r->last = tg_json_get_str(tg_json_root(doc), TG_STR("type"));
        RO_REQUIRE(r, tg_str_eq(ev.type, r->last));
        ro_event(r, tg_json_root(doc));
    }
    r->rest = text.n;
    RO_REQUIRE(r, r->phase == 4);
    tg_sse_dec_fini(&d);
}

static inline void ro_fini(struct ro *r)
{
    for (int64_t i = 0; i < r->n_items; i++)
        tg_buf_fini(&r->items[i].text);
    tg_arena_fini(&r->arena);
}

#endif
