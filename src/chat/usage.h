/* Token usage in disjoint classes, and where the figures come from: reported by the provider,
 * estimated by us, or absent: three different states. All in tokens. Plain data. */
#ifndef TG_CHAT_USAGE_H
#define TG_CHAT_USAGE_H

#include <stdint.h>

enum tg_usage_source { TG_USAGE_ABSENT, TG_USAGE_REPORTED, TG_USAGE_ESTIMATED };

struct tg_usage {
    enum tg_usage_source source;
    int64_t input_tokens; /* fresh: neither read from nor written to a prompt cache */
    int64_t cache_read_tokens;
    int64_t cache_write_tokens;
    int64_t output_tokens; /* without reasoning */
    int64_t reasoning_tokens;
    int64_t cache_write_1h_tokens; /* those of cache_write_tokens that are kept for an hour */
};
static inline int64_t tg_usage_prompt(const struct tg_usage *u)
{
    return u->input_tokens + u->cache_read_tokens + u->cache_write_tokens;
}
static inline int64_t tg_usage_completion(const struct tg_usage *u)
{
    return u->output_tokens + u->reasoning_tokens;
}
static inline int64_t tg_usage_total(const struct tg_usage *u)
{
    return tg_usage_prompt(u) + tg_usage_completion(u);
}

#endif
