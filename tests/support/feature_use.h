/* A request that uses one feature of chat/fidelity.h and as little else as can be, so that an
 * adapter's row can be held against what its encoder does. Include after check.h; link chat. */
#ifndef TG_TEST_FEATURE_USE_H
#define TG_TEST_FEATURE_USE_H

#include "chat/fidelity.h"
#include "chat/request.h"

#define FEATURE_USE_SCHEMA "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"

/* What the request points to. */
struct feature_use {
    struct tg_part part, inner;
    struct tg_message message;
    struct tg_tool tool;
};

static inline void feature_use_sampling(struct tg_sampling *s, enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_TEMPERATURE:
        s->has = TG_HAS_TEMPERATURE;
        s->temperature = 0.25;
        break;
    case TG_FEATURE_TOP_P:
        s->has = TG_HAS_TOP_P;
        s->top_p = 0.25;
        break;
    case TG_FEATURE_TOP_K:
        s->has = TG_HAS_TOP_K;
        s->top_k = 77;
        break;
    case TG_FEATURE_MIN_P:
        s->has = TG_HAS_MIN_P;
        s->min_p = 0.77;
        break;
    case TG_FEATURE_PRESENCE:
        s->has = TG_HAS_PRESENCE;
        s->presence_penalty = 0.77;
        break;
    case TG_FEATURE_FREQUENCY:
        s->has = TG_HAS_FREQUENCY;
        s->frequency_penalty = 0.77;
        break;
    case TG_FEATURE_REPETITION:
        s->has = TG_HAS_REPEAT;
        s->repeat_penalty = 0.77;
        break;
    case TG_FEATURE_MAX_TOKENS:
        s->has = TG_HAS_MAX_TOKENS;
        s->max_tokens = 77;
        break;
    case TG_FEATURE_SEED:
        s->has = TG_HAS_SEED;
        s->seed = 77;
        break;
    case TG_FEATURE_N:
        s->has = TG_HAS_N;
        s->n = 2;
        break;
    case TG_FEATURE_LOGPROBS:
        s->has = TG_HAS_LOGPROBS;
        s->logprobs = true;
        break;
    case TG_FEATURE_TOP_LOGPROBS:
        s->has = TG_HAS_TOP_LOGPROBS;
        s->top_logprobs = 77;
        break;
    case TG_FEATURE_STOP:
        s->stops[s->n_stops++] = TG_STR("77");
        break;
    case TG_FEATURE_LOGIT_BIAS:
        s->logit_bias = TG_STR("{\"7\":7}");
        break;
    default:
        break;
    }
}

static inline void feature_use_message(struct feature_use *u, enum tg_feature f)
{
    if (f == TG_FEATURE_SYSTEM)
        u->message.role = TG_ROLE_SYSTEM;
    if (f == TG_FEATURE_DEVELOPER)
        u->message.role = TG_ROLE_DEVELOPER;
    if (f == TG_FEATURE_NAME)
        u->message.name = TG_STR("ann");
}

static inline void feature_use_tools(struct feature_use *u, struct tg_chat_req *req,
                                     enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_TOOL_TYPES:
        u->tool = (struct tg_tool){.type = TG_STR("web_search"), .strict = -1};
        req->n_tools = 1;
        break;
    case TG_FEATURE_TOOL_STRICT:
        u->tool.strict = 1;
        req->n_tools = 1;
        break;
    case TG_FEATURE_TOOLS:
        req->n_tools = 1;
        break;
    case TG_FEATURE_TOOL_CHOICE:
    case TG_FEATURE_TOOL_REQUIRED:
    case TG_FEATURE_TOOL_NAMED:
    case TG_FEATURE_TOOL_CHOICE_RAW:
        req->n_tools = 1;
        req->tool_choice.name = TG_STR("f");
        req->tool_choice.kind = f == TG_FEATURE_TOOL_CHOICE     ? TG_TOOL_CHOICE_AUTO
                                : f == TG_FEATURE_TOOL_REQUIRED ? TG_TOOL_CHOICE_REQUIRED
                                : f == TG_FEATURE_TOOL_NAMED    ? TG_TOOL_CHOICE_NAMED
                                                                : TG_TOOL_CHOICE_RAW;
        break;
    case TG_FEATURE_PARALLEL:
        req->n_tools = 1;
        req->tool_choice.parallel = 0;
        break;
    default:
        break;
    }
}

static inline void feature_use_options(struct tg_chat_req *req, enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_JSON_OBJECT:
        req->format.kind = TG_FORMAT_JSON;
        break;
    case TG_FEATURE_JSON_SCHEMA:
        req->format.kind = TG_FORMAT_SCHEMA;
        req->format.strict = 1;
        req->format.schema = TG_STR(FEATURE_USE_SCHEMA);
        break;
    case TG_FEATURE_EFFORT:
        req->reasoning.effort = TG_STR("high");
        break;
    case TG_FEATURE_BUDGET:
        req->reasoning.budget_tokens = 7777;
        break;
    case TG_FEATURE_SHOW:
        req->reasoning.adaptive = true;
        req->reasoning.show = 1;
        break;
    case TG_FEATURE_SERVICE_TIER:
        req->service_tier = TG_STR("default");
        break;
    case TG_FEATURE_USER:
        req->user = TG_STR("ann");
        break;
    case TG_FEATURE_METADATA:
        req->metadata = TG_STR("{\"a\":\"b\"}");
        break;
    case TG_FEATURE_PROMPT:
        req->is_completion = true;
        req->prompt = TG_STR("hello");
        req->n_messages = 0;
        break;
    case TG_FEATURE_COUNTING:
        req->task = TG_TASK_COUNT;
        break;
    case TG_FEATURE_EXTRA:
        req->extra.members = TG_STR("\"foo\":1");
        break;
    default:
        break;
    }
}

static inline void feature_use_parts(struct feature_use *u, enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_RESULT_ERROR:
    case TG_FEATURE_RESULT_MEDIA:
        u->part = (struct tg_part){.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c")};
        u->part.is_error = f == TG_FEATURE_RESULT_ERROR;
        u->part.parts = &u->inner;
        u->part.n_parts = f == TG_FEATURE_RESULT_MEDIA;
        break;
    case TG_FEATURE_REASONING:
    case TG_FEATURE_SIGNED:
    case TG_FEATURE_ENCRYPTED:
    case TG_FEATURE_THOUGHT:
        u->message.role = TG_ROLE_ASSISTANT;
        u->part = (struct tg_part){.kind = TG_PART_REASONING, .text = TG_STR("hm")};
        u->part.opaque = f == TG_FEATURE_REASONING   ? TG_OPAQUE_NONE
                         : f == TG_FEATURE_SIGNED    ? TG_OPAQUE_SIGNED
                         : f == TG_FEATURE_ENCRYPTED ? TG_OPAQUE_ENCRYPTED
                                                     : TG_OPAQUE_THOUGHT;
        if (u->part.opaque)
            u->part.signature = TG_STR("sig");
        break;
    default:
        break;
    }
}

static inline void feature_use_media(struct feature_use *u, enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_IMAGE:
    case TG_FEATURE_IMAGE_URL:
    case TG_FEATURE_IMAGE_FILE:
    case TG_FEATURE_IMAGE_DETAIL:
        u->part = u->inner;
        u->part.media.source = f == TG_FEATURE_IMAGE_URL    ? TG_MEDIA_URL
                               : f == TG_FEATURE_IMAGE_FILE ? TG_MEDIA_FILE_ID
                                                            : TG_MEDIA_INLINE;
        if (f == TG_FEATURE_IMAGE_DETAIL)
            u->part.media.detail = TG_STR("low");
        break;
    case TG_FEATURE_DOCUMENT:
    case TG_FEATURE_DOCUMENT_URL:
    case TG_FEATURE_DOCUMENT_FILE:
        u->part = u->inner;
        u->part.kind = TG_PART_DOCUMENT;
        u->part.media.source = f == TG_FEATURE_DOCUMENT_URL    ? TG_MEDIA_URL
                               : f == TG_FEATURE_DOCUMENT_FILE ? TG_MEDIA_FILE_ID
                                                               : TG_MEDIA_INLINE;
        break;
    case TG_FEATURE_AUDIO:
        u->part = u->inner;
        u->part.kind = TG_PART_AUDIO;
        break;
    case TG_FEATURE_RAW_PART:
        u->part = (struct tg_part){.kind = TG_PART_RAW, .raw = TG_STR("{\"type\":\"x\"}")};
        break;
    case TG_FEATURE_REFUSAL:
        u->message.role = TG_ROLE_ASSISTANT;
        u->part = (struct tg_part){.kind = TG_PART_REFUSAL, .text = TG_STR("no")};
        break;
    case TG_FEATURE_CACHE_HINT:
        u->part.cache_hint = TG_STR("{\"type\":\"ephemeral\"}");
        break;
    default:
        break;
    }
}

/* TG_FEATURE_COUNT: none. */
static inline void feature_use(struct feature_use *u, struct tg_chat_req *req, enum tg_feature f)
{
    u->part = (struct tg_part){.kind = TG_PART_TEXT, .text = TG_STR("hi")};
    u->inner = (struct tg_part){.kind = TG_PART_IMAGE, .media = {.data = TG_STR("QUJD")}};
    u->message = (struct tg_message){.role = TG_ROLE_USER, .parts = &u->part, .n_parts = 1};
    u->tool = (struct tg_tool){.is_function = true, .name = TG_STR("f"), .strict = -1};
    *req = (struct tg_chat_req){.wire = TG_WIRE_OPENAI_CHAT,
                                .messages = &u->message,
                                .n_messages = 1,
                                .tools = &u->tool,
                                .tool_choice.parallel = -1,
                                .format.strict = -1,
                                .reasoning = {.budget_tokens = -1, .show = -1},
                                .inputs = {.dimensions = -1, .top_n = -1}};
    feature_use_sampling(&req->sampling, f);
    feature_use_message(u, f);
    feature_use_tools(u, req, f);
    feature_use_options(req, f);
    feature_use_parts(u, f);
    feature_use_media(u, f);
}

#endif
