/* Token usage of everybody who speaks OpenAI's API. The fields, as seen in recorded answers:
 * prompt_tokens includes cached and cache-written ones everywhere (OpenAI, Azure, DeepSeek, xAI,
 * Mistral, OpenRouter). Cached: prompt_tokens_details.cached_tokens, DeepSeek's
 * prompt_cache_hit_tokens, cached_tokens (Moonshot, Together), num_cached_tokens (Mistral).
 * Written: prompt_tokens_details.cache_write_tokens (OpenAI, OpenRouter),
 * cache_creation_input_tokens (Vercel). Reasoning is part of completion_tokens, except at xAI and
 * behind Vercel's gateway: there total_tokens counts it on top, or it alone is larger. */
#include "adapter/openai_priv.h"

/* Counts beyond this are nonsense and would overflow sums. */
#define MAX_COUNT ((int64_t)1 << 48)

static int64_t count_of(const struct tg_json *v)
{
    int64_t n;
    if (tg_json_i64(v, &n) || n < 0)
        return 0;
    return n < MAX_COUNT ? n : MAX_COUNT;
}

static int64_t at_most(int64_t n, int64_t max)
{
    return n < max ? n : max;
}

/* The first of several names that counts something. */
static int64_t cached_of(const struct tg_json *usage)
{
    int64_t n =
        count_of(tg_json_get2(usage, TG_STR("prompt_tokens_details"), TG_STR("cached_tokens")));
    if (!n)
        n = count_of(tg_json_get(usage, TG_STR("prompt_cache_hit_tokens")));
    if (!n)
        n = count_of(tg_json_get(usage, TG_STR("cached_tokens")));
    if (!n)
        n = count_of(tg_json_get(usage, TG_STR("num_cached_tokens")));
    return n;
}

static int64_t written_of(const struct tg_json *usage)
{
    int64_t n = count_of(
        tg_json_get2(usage, TG_STR("prompt_tokens_details"), TG_STR("cache_write_tokens")));
    return n ? n : count_of(tg_json_get(usage, TG_STR("cache_creation_input_tokens")));
}

bool tg_openai_usage(const struct tg_json *v, struct tg_usage *out)
{
    const struct tg_json *prompt_v = tg_json_get(v, TG_STR("prompt_tokens"));
    const struct tg_json *completion_v = tg_json_get(v, TG_STR("completion_tokens"));
    if (!tg_json_is_num(prompt_v) && !tg_json_is_num(completion_v))
        return false;
    int64_t prompt = count_of(prompt_v), completion = count_of(completion_v);
    int64_t total = count_of(tg_json_get(v, TG_STR("total_tokens")));
    int64_t reasoning =
        count_of(tg_json_get2(v, TG_STR("completion_tokens_details"), TG_STR("reasoning_tokens")));
    bool on_top = reasoning > completion || total == prompt + completion + reasoning;
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    u.cache_read_tokens = at_most(cached_of(v), prompt);
    u.cache_write_tokens = at_most(written_of(v), prompt - u.cache_read_tokens);
    u.input_tokens = prompt - u.cache_read_tokens - u.cache_write_tokens;
    u.reasoning_tokens = reasoning;
    u.output_tokens = on_top ? completion : completion - reasoning;
    *out = u;
    return true;
}

bool tg_openai_input_output_usage(const struct tg_json *v, struct tg_usage *out)
{
    const struct tg_json *input_v = tg_json_get(v, TG_STR("input_tokens"));
    const struct tg_json *output_v = tg_json_get(v, TG_STR("output_tokens"));
    const struct tg_json *details = tg_json_get(v, TG_STR("input_tokens_details"));
    if (!tg_json_is_num(input_v) && !tg_json_is_num(output_v))
        return false;
    int64_t input = count_of(input_v), output = count_of(output_v);
    int64_t reasoning =
        count_of(tg_json_get2(v, TG_STR("output_tokens_details"), TG_STR("reasoning_tokens")));
    int64_t total = count_of(tg_json_get(v, TG_STR("total_tokens")));
    bool on_top = reasoning > output || (reasoning && total == input + output + reasoning);
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    u.cache_read_tokens = at_most(count_of(tg_json_get(details, TG_STR("cached_tokens"))), input);
    u.cache_write_tokens = at_most(count_of(tg_json_get(details, TG_STR("cache_write_tokens"))),
                                   input - u.cache_read_tokens);
    u.input_tokens = input - u.cache_read_tokens - u.cache_write_tokens;
    u.reasoning_tokens = reasoning;
    u.output_tokens = on_top ? output : output - reasoning;
    *out = u;
    return true;
}
