/* What an answer says beside its text, for every pair of an adapter and a dialect whose formats
 * both have a place for it: several choices, log probabilities, refusals, sources, the service
 * tier, a filter's stop and its ratings. One object as well as a stream. */
#include "check.h"

#include <stdio.h>

#include "answer.h"
#include "render.h"
#include "server/registry.h"

enum {
    CHOICES = 1,
    LOGPROBS = 2,
    REFUSAL = 4, /* the words; where there is no place of their own they are text */
    SOURCES = 8,
    TIER = 16,
    FILTER = 32,  /* that the answer was stopped */
    RATINGS = 64, /* why, in the provider's own form: for clients of the same format */
};

#define URL "https://cite.example/a"

/* What a provider's answer says. */
static const struct provider {
    const struct tg_adapter *adapter;
    enum tg_wire_format format;
    unsigned says;
    const char *body;
} providers[] = {
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, CHOICES | LOGPROBS | REFUSAL | SOURCES | TIER,
     "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"service_tier\":"
     "\"flex\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"first\","
     "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"" URL
     "\",\"title\":\"T\",\"start_index\":0,\"end_index\":5}}]},\"logprobs\":{\"content\":[{"
     "\"token\":\"first\",\"logprob\":-0.4375,\"bytes\":null,\"top_logprobs\":[]}],\"refusal\":"
     "null},\"finish_reason\":\"stop\"},{\"index\":1,\"message\":{\"role\":\"assistant\","
     "\"content\":null,\"refusal\":\"I will not.\"},\"finish_reason\":\"stop\"}]}"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, REFUSAL,
     "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
     "\"refusal\":\"I will not.\"},\"finish_reason\":\"stop\"}]}"},
    {&tg_adapter_azure, TG_WIRE_OPENAI_CHAT, FILTER | RATINGS,
     "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
     "\"a\"}"
     ",\"content_filter_results\":{\"hate\":{\"filtered\":true,\"severity\":\"HIGH\"}},"
     "\"finish_reason\":\"content_filter\"}]}"},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, LOGPROBS | REFUSAL | SOURCES | TIER,
     "{\"id\":\"r\",\"object\":\"response\",\"status\":\"completed\",\"service_tier\":\"flex\","
     "\"output\":[{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[{\"type\":"
     "\"output_text\",\"text\":\"first\",\"annotations\":[{\"type\":\"url_citation\",\"url\":"
     "\"" URL "\",\"title\":\"T\",\"start_index\":0,\"end_index\":5}],\"logprobs\":[{\"token\":"
     "\"first\",\"logprob\":-0.4375,\"bytes\":[],\"top_logprobs\":[]}]},{\"type\":\"refusal\","
     "\"refusal\":\"I will not.\"}]}]}"},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, FILTER,
     "{\"id\":\"r\",\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
     "\"content_filter\"},\"output\":[{\"type\":\"message\",\"id\":\"m\",\"content\":[{\"type\":"
     "\"output_text\",\"text\":\"a\",\"annotations\":[]}]}]}"},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, SOURCES | TIER | FILTER,
     "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"first\","
     "\"citations\":[{\"type\":\"web_search_result_location\",\"url\":\"" URL
     "\",\"title\":\"T\",\"encrypted_index\":\"e\",\"cited_text\":\"x\"}]}],\"stop_reason\":"
     "\"refusal\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"service_tier\":\"flex\"}}"},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, CHOICES | LOGPROBS | SOURCES | FILTER | RATINGS,
     "{\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":"
     "\"first\"}]},\"finishReason\":\"SAFETY\",\"safetyRatings\":[{\"category\":"
     "\"HARM_CATEGORY_HARASSMENT\",\"probability\":\"HIGH\"}],\"logprobsResult\":{"
     "\"chosenCandidates\":[{\"token\":\"first\",\"logProbability\":-0.4375}]},"
     "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"" URL
     "\",\"title\":\"T\"}}],\"groundingSupports\":[{\"segment\":{\"startIndex\":0,\"endIndex\":5,"
     "\"text\":\"first\"},\"groundingChunkIndices\":[0]}]}},{\"index\":1,\"content\":{\"role\":"
     "\"model\",\"parts\":[{\"text\":\"second\"}]},\"finishReason\":\"STOP\"}]}"},
    {&tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE, SOURCES | FILTER,
     "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"citationsContent\":{"
     "\"content\":[{\"text\":\"first\"}],\"citations\":[{\"title\":\"T\",\"location\":{\"web\":{"
     "\"url\":\"" URL "\"}},\"sourceContent\":[{\"text\":\"x\"}]}]}}]}},\"stopReason\":"
     "\"guardrail_intervened\"}"},
    {&tg_adapter_cohere, TG_WIRE_COHERE_CHAT, SOURCES,
     "{\"id\":\"c\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"first\"}],\"citations\":[{\"start\":0,\"end\":5,\"text\":\"first\",\"sources\":[{\"type\":"
     "\"document\",\"document\":{\"url\":\"" URL "\",\"title\":\"T\"}}]}]},\"finish_reason\":"
     "\"COMPLETE\"}"},
};

/* Where a client's format has it. */
static const struct client {
    const struct tg_dialect *dialect;
    const char *body;
    const char *choices, *logprobs, *refusal, *sources, *tier, *filter,
        *ratings; /* NULL: nowhere */
} clients[] = {
    {&tg_dialect_openai_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
     "\"index\":1", "\"logprob\":-0.4375", "\"refusal\":\"I will not.\"", "\"url\":\"" URL "\"",
     "\"service_tier\":\"flex\"", "\"finish_reason\":\"content_filter\"", "\"severity\":\"HIGH\""},
    {&tg_dialect_openai_completions, "{\"prompt\":\"x\"}", "\"index\":1", NULL, "I will not.", NULL,
     NULL, "\"finish_reason\":\"content_filter\"", NULL},
    {&tg_dialect_responses, "{\"input\":\"x\",\"include\":[\"message.output_text.logprobs\"]}",
     NULL, "\"logprob\":-0.4375", "\"refusal\":\"I will not.\"", "\"url\":\"" URL "\"",
     "\"service_tier\":\"flex\"", "\"reason\":\"content_filter\"", NULL},
    {&tg_dialect_anthropic,
     "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", NULL, NULL,
     "\"text\":\"I will not.\"", URL, "\"service_tier\":\"flex\"", "\"stop_reason\":\"refusal\"",
     NULL},
    {&tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", "\"index\":1",
     "\"logProbability\":-0.4375", "\"text\":\"I will not.\"", "\"uri\":\"" URL "\"", NULL,
     "\"finishReason\":\"SAFETY\"", "\"probability\":\"HIGH\""},
    {&tg_dialect_ollama_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", NULL, NULL,
     "I will not.", NULL, NULL, NULL, NULL},
    {&tg_dialect_generate, "{\"prompt\":\"x\"}", NULL, NULL, "I will not.", NULL, NULL,
     "\"finish_reason\":\"content_filter\"", NULL},
};

struct through {
    struct tg_sink sink;
    struct render_run r;
    unsigned ends;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct through *t = tg_container_of(s, struct through, sink);
    t->ends += ev->kind == TG_EV_END;
    if (ev->kind != TG_EV_END && ev->kind != TG_EV_ERROR)
        render_event(&t->r, ev);
}

static unsigned lost;

static void look_for(const struct provider *p, const struct client *c, bool stream,
                     const char *what, const char *sign, struct tg_str text)
{
    if (!sign || tg_str_find(text, tg_str_c(sign)) >= 0)
        return;
    lost++;
    (void)fprintf(stderr, "%s to %s%s: no %s in %.*s\n", p->adapter->name, c->dialect->name,
                  stream ? ", streamed" : "", what, TG_STR_ARG(text));
}

/* A refusal in a second choice is no matter for a format that has one. */
static bool has_refusal(const struct provider *p, const struct client *c)
{
    return (p->says & REFUSAL) && (c->choices || !(p->says & CHOICES));
}

static void check_pair(const struct provider *p, const struct client *c, bool stream)
{
    struct through t = {.sink = {on_event, NULL}};
    struct tg_adapter_response resp = {.format = p->format, .max_pending_bytes = 1 << 20};
    struct tg_http_head head = {.status = 200};
    void *state = tg_calloc(1, p->adapter->state_bytes);
    render_init(&t.r, c->dialect, c->body, stream);
    render_begin(&t.r);
    assert_int_equal(p->adapter->begin(state, &resp), 0);
    assert_int_equal(p->adapter->on_head(state, &head), 0);
    assert_int_equal(p->adapter->on_bytes(state, tg_str_c(p->body), &t.sink), 0);
    assert_int_equal(p->adapter->on_end(state, true, &t.sink), 0);
    assert_int_equal(t.ends, 1);
    struct tg_str text = render_end(&t.r);
    assert_int_equal(t.r.rc, 0);
    if (p->says & CHOICES)
        look_for(p, c, stream, "second choice", c->choices, text);
    if (p->says & LOGPROBS)
        look_for(p, c, stream, "log probability", c->logprobs, text);
    if (has_refusal(p, c))
        look_for(p, c, stream, "refusal", c->refusal, text);
    if (p->says & SOURCES)
        look_for(p, c, stream, "source", c->sources, text);
    if (p->says & TIER)
        look_for(p, c, stream, "service tier", c->tier, text);
    if (p->says & FILTER)
        look_for(p, c, stream, "filter's stop", c->filter, text);
    if ((p->says & RATINGS) && p->format == c->dialect->format)
        look_for(p, c, stream, "rating", c->ratings, text);
    render_fini(&t.r);
    p->adapter->fini(state);
    tg_free(state);
}

static void what_both_formats_can_say_survives(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(providers); i++) {
        for (size_t k = 0; k < TG_ARRAY_LEN(clients); k++) {
            check_pair(&providers[i], &clients[k], false);
            check_pair(&providers[i], &clients[k], true);
        }
    }
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_both_formats_can_say_survives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
