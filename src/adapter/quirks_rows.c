/* One row per provider. */
#include "adapter/quirks_priv.h"

#define BIT(id) TG_FEATURE_BIT(id)

static const char *const groq_hosts[] = {"api.groq.com", NULL};
static const char *const openrouter_hosts[] = {"openrouter.ai", NULL};
static const char *const mistral_hosts[] = {"api.mistral.ai", NULL};

/* "Extra inputs are not permitted" for both (docs.mistral.ai/api, ChatCompletionRequest). */
static const struct tg_rename mistral_names[] = {
    {TG_STR_INIT("seed"), TG_STR_INIT("random_seed")},
    {TG_STR_INIT("max_completion_tokens"), TG_STR_INIT("max_tokens")},
    {{NULL, 0}, {NULL, 0}},
};

static const char *const gemini_hosts[] = {"generativelanguage.googleapis.com", NULL};
static const char *const deepseek_hosts[] = {"api.deepseek.com", NULL};

const struct tg_quirks tg_quirks_rows[] = {
    {
        .name = "gemini",
        .hosts = gemini_hosts,
        .native = BIT(THOUGHT),
    },
    {
        .name = "deepseek",
        .hosts = deepseek_hosts,
        .native = BIT(REASONING),
        .reasoning_back = TG_REASONING_BACK_CONTENT,
    },
    /* console.groq.com/docs/openai, "Currently Unsupported OpenAI Features" */
    {
        .name = "groq",
        .hosts = groq_hosts,
        .dropped = BIT(NAME) | BIT(LOGIT_BIAS),
        .refused = BIT(LOGPROBS) | BIT(TOP_LOGPROBS) | BIT(N),
    },
    /* openrouter.ai/docs/use-cases/reasoning-tokens, …/features/prompt-caching */
    {
        .name = "openrouter",
        .hosts = openrouter_hosts,
        .native = BIT(CACHE_HINT) | BIT(BUDGET) | BIT(SHOW) | BIT(REASONING) | BIT(SIGNED) |
                  BIT(ENCRYPTED) | BIT(THOUGHT),
        .reasoning = TG_REASONING_OBJECT,
        .reasoning_back = TG_REASONING_BACK_DETAILS,
    },
    {
        .name = "mistral",
        .hosts = mistral_hosts,
        .dropped = BIT(LOGIT_BIAS) | BIT(USER),
        .refused = BIT(LOGPROBS) | BIT(TOP_LOGPROBS),
        .renames = mistral_names,
        .max_tokens = TG_MAX_TOKENS_OLD,
    },
};
/* Not /responses: most servers that call themselves compatible have chat completions only, and what
 * comes in the newer form can be translated to them. The setting `api: responses` says otherwise.
 */
const struct tg_quirks tg_quirks_unknown = {
    .name = "",
    .formats = ~TG_WIRE_BIT(OPENAI_RESPONSES),
};
const size_t tg_quirks_rows_n = TG_ARRAY_LEN(tg_quirks_rows);
