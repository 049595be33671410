/* Checks that a text is one well-formed stream of Anthropic's Messages: one message_start, blocks
 * one after the other with indexes that count up, deltas of their block's kind, one message_delta,
 * one message_stop, nothing behind it. Include after check.h; link wire, json. */
#ifndef TG_TEST_ANTHROPIC_ORDER_H
#define TG_TEST_ANTHROPIC_ORDER_H

#include "base/arena.h"
#include "json/json.h"
#include "wire/sse.h"

struct anthropic_order {
    unsigned starts, blocks, ends, stops, pings;
    bool open;
    char block[64]; /* type of the one that is open */
};

static inline void order_delta(const struct anthropic_order *o, const struct tg_json *root)
{
    static const struct {
        const char *delta, *block;
    } fits[] = {
        {"text_delta", "text"},           {"citations_delta", "text"},
        {"input_json_delta", "tool_use"}, {"thinking_delta", "thinking"},
        {"signature_delta", "thinking"},
    };
    struct tg_str type = tg_json_str(tg_json_get2(root, TG_STR("delta"), TG_STR("type")));
    for (size_t i = 0; i < TG_ARRAY_LEN(fits); i++) {
        if (tg_str_eq(type, tg_str_c(fits[i].delta))) {
            assert_string_equal(o->block, fits[i].block);
            return;
        }
    }
    fail_msg("delta of type %.*s", TG_STR_ARG(type));
}

static inline void order_event(struct anthropic_order *o, const struct tg_json *root)
{
    struct tg_str type = tg_json_get_str(root, TG_STR("type"));
    int64_t index = -1;
    assert_int_equal(o->stops, 0);
    if (tg_json_get(root, TG_STR("index")))
        assert_int_equal(tg_json_i64(tg_json_get(root, TG_STR("index")), &index), 0);
    if (tg_str_eq(type, TG_STR("ping"))) {
        o->pings++;
    } else if (tg_str_eq(type, TG_STR("message_start"))) {
        const struct tg_json *m = tg_json_get(root, TG_STR("message"));
        assert_int_equal(o->starts++, 0);
        assert_true(tg_str_starts(tg_json_get_str(m, TG_STR("id")), TG_STR("msg_")));
        assert_true(tg_json_is_num(tg_json_get2(m, TG_STR("usage"), TG_STR("input_tokens"))));
    } else if (tg_str_eq(type, TG_STR("content_block_start"))) {
        assert_int_equal(o->starts, 1);
        assert_int_equal(o->ends, 0);
        assert_false(o->open);
        assert_int_equal(index, o->blocks++);
        o->open = true;
        tg_str_to_c(tg_json_str(tg_json_get2(root, TG_STR("content_block"), TG_STR("type"))),
                    o->block, sizeof(o->block));
        assert_true(o->block[0] != 0);
    } else if (tg_str_eq(type, TG_STR("content_block_delta"))) {
        assert_true(o->open);
        assert_int_equal(index + 1, o->blocks);
        order_delta(o, root);
    } else if (tg_str_eq(type, TG_STR("content_block_stop"))) {
        assert_true(o->open);
        assert_int_equal(index + 1, o->blocks);
        o->open = false;
    } else if (tg_str_eq(type, TG_STR("message_delta"))) {
        assert_int_equal(o->starts, 1);
        assert_false(o->open);
        assert_int_equal(o->ends++, 0);
        assert_true(tg_json_is_str(tg_json_get2(root, TG_STR("delta"), TG_STR("stop_reason"))));
        assert_true(tg_json_is_num(tg_json_get2(root, TG_STR("usage"), TG_STR("output_tokens"))));
    } else if (tg_str_eq(type, TG_STR("message_stop"))) {
        assert_int_equal(o->ends, 1);
        o->stops++;
    } else {
        fail_msg("event of type %.*s", TG_STR_ARG(type));
    }
}

static inline struct anthropic_order check_anthropic_order(struct tg_str stream)
{
    struct anthropic_order o = {0};
    struct tg_sse_dec dec;
    struct tg_sse_event ev;
    int rc;
    tg_sse_dec_init(&dec, 64u << 20);
    while ((rc = tg_sse_next(&dec, &stream, &ev)) > 0) {
        struct tg_arena a;
        struct tg_json_doc *doc;
        tg_arena_init(&a, 4096, 1u << 30);
        if (ev.has_data) {
            assert_int_equal(tg_json_parse(&a, ev.data, NULL, &doc, NULL), 0);
            assert_str_equal(tg_json_get_str(tg_json_root(doc), TG_STR("type")), ev.type);
            order_event(&o, tg_json_root(doc));
        }
        tg_arena_fini(&a);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(tg_sse_pending(&dec), 0);
    tg_sse_dec_fini(&dec);
    assert_int_equal(o.stops, 1);
    return o;
}

#endif
