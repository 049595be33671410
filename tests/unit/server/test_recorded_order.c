/* Every recorded stream, decoded from hostile cuts and rendered in every client format: each unit
 * is where that format may have it, the stream ends as it must, and the cuts change nothing. */
#include "check.h"

#include "answer.h"
#include "anthropic_order.h"
#include "json/json.h"
#include "recordings.h"
#include "render.h"
#include "responses_order.h"
#include "server/registry.h"
#include "stream_order.h"

static const struct source {
    const char *api;
    const struct tg_adapter *adapter;
    enum tg_wire_format format;
} sources[] = {
    {"openai-chat", &tg_adapter_openai, TG_WIRE_OPENAI_CHAT},
    {"openai-completions", &tg_adapter_openai, TG_WIRE_OPENAI_COMPLETIONS},
    {"openai-responses", &tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES},
    {"anthropic-messages", &tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES},
    {"gemini-stream", &tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE},
    {"ollama-chat", &tg_adapter_ollama, TG_WIRE_OLLAMA_CHAT},
    {"cohere-v2-chat", &tg_adapter_cohere, TG_WIRE_COHERE_CHAT},
    {"bedrock-converse-stream", &tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE},
    {"bedrock-invoke-with-response-stream", &tg_adapter_bedrock_invoke, TG_WIRE_ANTHROPIC_MESSAGES},
};

static void check_chat(const char *name, struct tg_str text)
{
    struct stream_order o;
    so_events(&o, name, text, so_chat, true);
}

static void check_completions(const char *name, struct tg_str text)
{
    struct stream_order o;
    so_events(&o, name, text, so_completion, true);
}

static void check_responses(const char *name, struct tg_str text)
{
    static struct ro r;
    ro_read(&r, text, name);
    assert_int_equal(r.rest, 0);
    ro_fini(&r);
}

static void check_anthropic(const char *name, struct tg_str text)
{
    (void)check_anthropic_order(text); /* it asserts */
}

static void check_gemini(const char *name, struct tg_str text)
{
    struct stream_order o;
    so_events(&o, name, text, so_gemini, false);
}

static void check_gemini_array(const char *name, struct tg_str text)
{
    struct stream_order o;
    so_array(&o, name, text);
}

static void check_ollama(const char *name, struct tg_str text)
{
    struct stream_order o;
    so_lines(&o, name, text);
}

static void check_generate(const char *name, struct tg_str text)
{
    struct stream_order o;
    so_events(&o, name, text, so_generate, true);
}

static const struct client {
    const struct tg_dialect *dialect;
    const char *body;
    bool array;
    void (*check)(const char *name, struct tg_str text);
} clients[] = {
    {&tg_dialect_openai_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", false,
     check_chat},
    {&tg_dialect_openai_completions, "{\"prompt\":\"x\"}", false, check_completions},
    {&tg_dialect_responses, "{\"input\":\"x\"}", false, check_responses},
    {&tg_dialect_anthropic,
     "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", false,
     check_anthropic},
    {&tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", false, check_gemini},
    {&tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", true,
     check_gemini_array},
    {&tg_dialect_ollama_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", false,
     check_ollama},
    {&tg_dialect_generate, "{\"prompt\":\"x\"}", false, check_generate},
};

/* ---- decoding into rendering ---- */

struct through {
    struct tg_sink sink;
    struct render_run r;
    unsigned ends, errors;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct through *t = tg_container_of(s, struct through, sink);
    t->ends += ev->kind == TG_EV_END;
    t->errors += ev->kind == TG_EV_ERROR;
    if (ev->kind == TG_EV_USAGE)
        t->r.usage = *ev->usage;
    if (ev->kind != TG_EV_END && ev->kind != TG_EV_ERROR)
        render_event(&t->r, ev);
}

/* Pieces of `cut` bytes; 0: whole; negative: of changing sizes from a seed. */
static void feed(struct through *t, const struct source *src, struct tg_str body, int cut)
{
    struct tg_adapter_response resp = {
        .stream = true, .format = src->format, .max_pending_bytes = 8u << 20};
    struct tg_http_head head = {.status = 200};
    void *state = tg_calloc(1, src->adapter->state_bytes);
    uint32_t seed = (uint32_t)(cut < 0 ? -cut : 1);
    assert_non_null(state);
    assert_int_equal(src->adapter->begin(state, &resp), 0);
    assert_int_equal(src->adapter->on_head(state, &head), 0);
    while (body.n) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = cut == 0 ? body.n : cut > 0 ? (size_t)cut : 1 + (seed >> 24) % 97;
        struct tg_str piece = tg_str_first(body, n);
        body = tg_str_from(body, n);
        (void)src->adapter->on_bytes(state, piece, &t->sink); /* what it says is in the events */
    }
    (void)src->adapter->on_end(state, true, &t->sink); /* likewise */
    src->adapter->fini(state);
    tg_free(state);
}

static const struct source *source;
static unsigned rendered;

static bool is_stream(const struct recording *r)
{
    return r->stream || tg_str_ends(r->api, TG_STR("stream")) ||
           (tg_str_starts(r->api, TG_STR("ollama")) && tg_str_find(r->body, TG_STR("}\n{")) > 0);
}

static void check_client(const struct recording *r, const struct client *c)
{
    static const int cuts[] = {0, 1, 7, -3, -11};
    struct tg_buf first;
    char name[256];
    tg_buf_init(&first, 256u << 20);
    snprintf(name, sizeof(name), "%s as %s", r->name, c->dialect->name);
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct through t = {.sink = {on_event, NULL}};
        render_init(&t.r, c->dialect, c->body, true);
        t.r.info.include_usage = true;
        t.r.call.json_array = c->array;
        render_begin(&t.r);
        feed(&t, source, r->body, cuts[i]);
        if (t.ends == 1) {
            struct tg_str text = render_end(&t.r);
            assert_int_equal(t.r.rc, 0);
            if (i == 0) {
                c->check(name, text);
                assert_int_equal(tg_buf_str_add(&first, text), 0);
                rendered++;
            } else if (!tg_str_eq(text, tg_buf_str(&first))) {
                fail_msg("%s: cut by %d it is another", name, cuts[i]);
            }
        } else {
            assert_int_equal(t.errors, 1);
            assert_int_equal(first.n, 0);
        }
        render_fini(&t.r);
    }
    tg_buf_fini(&first);
}

static void check_recording(struct recording *r)
{
    if (r->status != 200 || !is_stream(r))
        return;
    for (size_t i = 0; i < TG_ARRAY_LEN(clients); i++)
        check_client(r, &clients[i]);
}

static void every_stream_is_in_order_for_every_client(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(sources); i++) {
        source = &sources[i];
        if (recordings_each(source->api, check_recording) < 0)
            skip_because("no recordings beside this checkout");
    }
    assert_true(rendered > 150 * TG_ARRAY_LEN(clients));
}

static void every_client_that_streams_is_here(void **state)
{
    for (size_t i = 0; i < tg_server_registry.n_dialects; i++) {
        const struct tg_dialect *d = tg_server_registry.dialects[i];
        bool streams = false, here = false;
        for (size_t k = 0; k < d->n_endpoints; k++)
            streams |= d->endpoints[k].streams != NULL;
        for (size_t k = 0; k < TG_ARRAY_LEN(clients); k++)
            here |= clients[k].dialect == d;
        /* media pass through only, and Ollama's two share their lines */
        if (streams && !here && d->task == TG_TASK_CHAT && d != &tg_dialect_ollama_generate)
            fail_msg("%s has no row", d->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_in_order_for_every_client),
        cmocka_unit_test(every_client_that_streams_is_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
