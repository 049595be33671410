/* One row per provider. Each fact is from the page named beside it; what a page does not speak of
 * is left as OpenAI has it. Formats are given where not all of OpenAI's endpoints exist. */
#include "adapter/quirks_priv.h"
#include "chat/request.h"

#define BIT(id)      TG_FEATURE_BIT(id)
#define HOSTS(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define RENAMES(...) ((const struct tg_rename[]){__VA_ARGS__, {{NULL, 0}, {NULL, 0}}})
#define TEXTS        (TG_WIRE_BIT(OPENAI_CHAT) | TG_WIRE_BIT(OPENAI_COMPLETIONS))
#define EMBEDDINGS   TG_WIRE_BIT(OPENAI_EMBEDDINGS)
#define RESPONSES    TG_WIRE_BIT(OPENAI_RESPONSES)
#define MEDIA        (TG_WIRE_BIT(OPENAI_IMAGES) | TG_WIRE_BIT(OPENAI_AUDIO))
#define PENALTIES    (BIT(PRESENCE) | BIT(FREQUENCY))
#define ALL_LOGPROBS (BIT(LOGPROBS) | BIT(TOP_LOGPROBS))
#define LOCAL_ONLY   (BIT(TOP_K) | BIT(MIN_P) | BIT(REPETITION)) /* no setting of OpenAI's own */
#define ALL_MEDIA    (BIT(IMAGE) | BIT(IMAGE_URL) | BIT(DOCUMENT) | BIT(DOCUMENT_FILE) | BIT(AUDIO))

const struct tg_quirks tg_quirks_rows[] = {
    /* platform.openai.com/docs/api-reference/chat: no such parameters, and unknown ones are
     * refused */
    {.name = "openai", .hosts = HOSTS("api.openai.com"), .dropped = LOCAL_ONLY},
    /* console.groq.com/docs/openai, "Currently Unsupported OpenAI Features" */
    {.name = "groq",
     .hosts = HOSTS("api.groq.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | RESPONSES | TG_WIRE_BIT(OPENAI_AUDIO),
     .dropped = BIT(NAME) | BIT(LOGIT_BIAS),
     .refused = ALL_LOGPROBS | BIT(N)},
    /* openrouter.ai/docs/use-cases/reasoning-tokens (request and reasoning_details),
     * …/features/prompt-caching (cache_control on parts), …/features/multimodal/pdfs (by URL) */
    {.name = "openrouter",
     .hosts = HOSTS("openrouter.ai"),
     .formats = TEXTS | RESPONSES | EMBEDDINGS,
     .native = BIT(CACHE_HINT) | BIT(BUDGET) | BIT(SHOW) | BIT(REASONING) | BIT(SIGNED) |
               BIT(ENCRYPTED) | BIT(THOUGHT) | BIT(DOCUMENT_URL),
     .reasoning = TG_REASONING_OBJECT,
     .reasoning_back = TG_REASONING_BACK_DETAILS},
    /* docs.mistral.ai/api, ChatCompletionRequest: random_seed, max_tokens, and none of the others;
     * what is not in it is refused as "extra_forbidden", stream_options too (usage comes with
     * every stream). Ids of tool calls: "must be a-z, A-Z, 0-9, with a length of 9". */
    {.name = "mistral",
     .hosts = HOSTS("api.mistral.ai"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | EMBEDDINGS | TG_WIRE_BIT(OPENAI_MODERATIONS),
     .emulated = BIT(DEVELOPER),
     .dropped = BIT(LOGIT_BIAS) | BIT(USER) | BIT(SERVICE_TIER) | LOCAL_ONLY,
     .refused = ALL_LOGPROBS,
     .renames = RENAMES({TG_STR_INIT("seed"), TG_STR_INIT("random_seed")},
                        {TG_STR_INIT("max_completion_tokens"), TG_STR_INIT("max_tokens")}),
     .max_tokens = TG_MAX_TOKENS_OLD,
     .short_call_ids = true,
     .no_stream_options = true},
    /* api-docs.deepseek.com/guides/thinking_mode (switch, effort, and reasoning_content that must
     * come back with tool calls), …/guides/json_mode, …/api/create-chat-completion */
    {.name = "deepseek",
     .hosts = HOSTS("api.deepseek.com"),
     .formats = TEXTS | RESPONSES,
     .native = BIT(REASONING),
     .emulated = BIT(DEVELOPER) | BIT(JSON_SCHEMA),
     .dropped =
         BIT(SEED) | BIT(LOGIT_BIAS) | BIT(PARALLEL) | BIT(SERVICE_TIER) | BIT(USER) | LOCAL_ONLY,
     .refused = BIT(N) | ALL_MEDIA,
     .max_tokens = TG_MAX_TOKENS_OLD,
     .reasoning = TG_REASONING_THINKING,
     .reasoning_back = TG_REASONING_BACK_CONTENT},
    /* docs.x.ai/docs/api-reference: logit_bias is "unsupported"; reasoning_content of earlier turns
     * is taken */
    {.name = "xai",
     .hosts = HOSTS("api.x.ai"),
     .formats = TEXTS | RESPONSES | TG_WIRE_BIT(OPENAI_IMAGES),
     .native = BIT(REASONING),
     .dropped = BIT(LOGIT_BIAS) | LOCAL_ONLY,
     .reasoning_back = TG_REASONING_BACK_CONTENT},
    /* docs.together.ai/docs/inference/openai-compatibility: no moderations; …/responses-api:
     * nothing is kept there */
    {.name = "together",
     .hosts = HOSTS("api.together.xyz", "api.together.ai", "api-inference.together.ai"),
     .formats = TEXTS | RESPONSES | EMBEDDINGS | MEDIA | TG_WIRE_BIT(RERANK)},
    /* docs.fireworks.ai/tools-sdks/openai-compatibility */
    {.name = "fireworks",
     .hosts = HOSTS("api.fireworks.ai"),
     .formats = TEXTS | RESPONSES | EMBEDDINGS | TG_WIRE_BIT(RERANK)},
    /* docs.perplexity.ai/guides/chat-completions-guide: the parameters that it lists; there are no
     * tools */
    {.name = "perplexity",
     .hosts = HOSTS("api.perplexity.ai"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT),
     .emulated = BIT(DEVELOPER),
     .dropped = BIT(STOP) | BIT(LOGIT_BIAS) | BIT(SEED) | BIT(PARALLEL) | BIT(SERVICE_TIER) |
                BIT(TOOL_CHOICE),
     .refused = BIT(TOOLS) | BIT(TOOL_REQUIRED) | BIT(TOOL_NAMED) | ALL_LOGPROBS | BIT(N)},
    /* inference-docs.cerebras.ai/resources/openai: fields that end in 400; system messages act as
     * developer ones */
    {.name = "cerebras",
     .hosts = HOSTS("api.cerebras.ai"),
     .formats = TEXTS,
     .emulated = BIT(DEVELOPER),
     .dropped = PENALTIES | BIT(LOGIT_BIAS) | BIT(PARALLEL) | BIT(SERVICE_TIER)},
    /* docs.sambanova.ai, OpenAI compatibility: "currently not supported" */
    {.name = "sambanova",
     .hosts = HOSTS("api.sambanova.ai"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | EMBEDDINGS | TG_WIRE_BIT(OPENAI_AUDIO),
     .dropped = PENALTIES | BIT(LOGIT_BIAS) | BIT(SEED),
     .refused = ALL_LOGPROBS | BIT(N)},
    /* docs.api.nvidia.com/nim, retriever models: input_type says query or passage */
    {.name = "nvidia",
     .hosts = HOSTS("integrate.api.nvidia.com"),
     .formats = TEXTS | EMBEDDINGS,
     .native = BIT(INPUT_TYPE)},
    /* deepinfra.com/docs/openai_api: the endpoints that it lists */
    {.name = "deepinfra",
     .hosts = HOSTS("api.deepinfra.com"),
     .formats = TEXTS | EMBEDDINGS | MEDIA},
    /* platform.kimi.ai/docs/api: thinking {type}, max_completion_tokens; "thinking is enabled but
     * reasoning_content is missing in assistant tool call message" */
    {.name = "moonshot",
     .hosts = HOSTS("api.moonshot.ai", "api.moonshot.cn"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | RESPONSES,
     .native = BIT(REASONING),
     .emulated = BIT(DEVELOPER),
     .dropped = BIT(TOOL_STRICT) | LOCAL_ONLY,
     .max_tokens = TG_MAX_TOKENS_NEW,
     .reasoning = TG_REASONING_THINKING,
     .reasoning_back = TG_REASONING_BACK_CONTENT},
    /* docs.z.ai/api-reference/llm/chat-completion: the whole body; thinking {type}, response_format
     * text or json_object. A named tool_choice and stream_options are taken all the same. */
    {.name = "zai",
     .hosts = HOSTS("api.z.ai", "open.bigmodel.cn"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | EMBEDDINGS,
     .native = BIT(REASONING),
     .emulated = BIT(DEVELOPER) | BIT(JSON_SCHEMA),
     .dropped = PENALTIES | BIT(SEED) | BIT(LOGIT_BIAS) | BIT(USER) | BIT(SERVICE_TIER) |
                BIT(PARALLEL) | LOCAL_ONLY,
     .refused = BIT(N) | ALL_LOGPROBS,
     .max_tokens = TG_MAX_TOKENS_OLD,
     .reasoning = TG_REASONING_THINKING,
     .reasoning_back = TG_REASONING_BACK_CONTENT},
    /* alibabacloud.com/help/en/model-studio/deep-thinking: enable_thinking, thinking_budget */
    {.name = "alibaba",
     .hosts = HOSTS("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com",
                    "dashscope-us.aliyuncs.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | RESPONSES | EMBEDDINGS,
     .native = BIT(BUDGET),
     .emulated = BIT(EFFORT) | BIT(DEVELOPER),
     .reasoning = TG_REASONING_ENABLE_THINKING},
    /* platform.minimax.io/docs/api-reference/text-openai-api: ignored parameters, n of 1 only, no
     * images and sounds */
    {.name = "minimax",
     .hosts = HOSTS("api.minimax.io", "api.minimaxi.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | RESPONSES,
     .dropped = PENALTIES | BIT(LOGIT_BIAS),
     .refused = BIT(N) | BIT(AUDIO)},
    /* huggingface.co/docs/inference-providers and …/text-generation-inference/messages_api; the
     * provider behind the router is a suffix of the model ("model:groq") */
    {.name = "huggingface",
     .hosts = HOSTS("router.huggingface.co", "endpoints.huggingface.cloud"),
     .formats = TEXTS | RESPONSES | EMBEDDINGS},
    /* docs.github.com/en/rest/models/inference and …/models/embeddings */
    {.name = "github",
     .hosts = HOSTS("models.github.ai", "models.inference.ai.azure.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | EMBEDDINGS,
     .dropped = LOCAL_ONLY},
    /* vercel.com/docs/ai-gateway/openai-compat/advanced: reasoning {effort or max_tokens, enabled,
     * exclude}, reasoning_details */
    {.name = "vercel",
     .hosts = HOSTS("ai-gateway.vercel.sh"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | RESPONSES | EMBEDDINGS,
     .native =
         BIT(BUDGET) | BIT(SHOW) | BIT(REASONING) | BIT(SIGNED) | BIT(ENCRYPTED) | BIT(THOUGHT),
     .reasoning = TG_REASONING_OBJECT,
     .reasoning_back = TG_REASONING_BACK_DETAILS},
    /* ai.google.dev/gemini-api/docs/openai and …/thought-signatures: extra_content.google */
    {.name = "gemini",
     .hosts = HOSTS("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | EMBEDDINGS | TG_WIRE_BIT(OPENAI_IMAGES),
     .native = BIT(THOUGHT),
     .dropped = LOCAL_ONLY},
    /* platform.claude.com/docs/en/api/openai-sdk: "ignored" and "must be exactly 1" */
    {.name = "anthropic",
     .hosts = HOSTS("api.anthropic.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT),
     .dropped = PENALTIES | BIT(JSON_OBJECT) | BIT(JSON_SCHEMA) | BIT(SEED) | BIT(SERVICE_TIER) |
                BIT(LOGIT_BIAS) | BIT(USER) | BIT(EFFORT) | BIT(TOOL_STRICT) | BIT(NAME) |
                ALL_LOGPROBS | BIT(METADATA) | LOCAL_ONLY,
     .refused = BIT(N) | BIT(AUDIO)},
    /* docs.siliconflow.cn/cn/api-reference/chat-completions: the whole body; enable_thinking and
     * thinking_budget, an effort for one model only */
    {.name = "siliconflow",
     .hosts = HOSTS("api.siliconflow.cn", "api.siliconflow.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | EMBEDDINGS | MEDIA | TG_WIRE_BIT(RERANK),
     .native = BIT(BUDGET),
     .emulated = BIT(EFFORT) | BIT(DEVELOPER),
     .dropped = BIT(PRESENCE) | BIT(SEED) | BIT(LOGIT_BIAS) | BIT(USER) | BIT(SERVICE_TIER) |
                BIT(PARALLEL),
     .refused = ALL_LOGPROBS,
     .max_tokens = TG_MAX_TOKENS_OLD,
     .reasoning = TG_REASONING_ENABLE_THINKING},
    /* novita.ai/docs/api-reference/model-apis-llm-create-chat-completion: the whole body;
     * …/guides/llm-interleaved-thinking: reasoning_content goes back */
    {.name = "novita",
     .hosts = HOSTS("api.novita.ai"),
     .formats = TEXTS,
     .native = BIT(REASONING),
     .emulated = BIT(EFFORT) | BIT(DEVELOPER),
     .dropped = BIT(USER) | BIT(SERVICE_TIER) | BIT(PARALLEL),
     .max_tokens = TG_MAX_TOKENS_OLD,
     .reasoning = TG_REASONING_ENABLE_THINKING,
     .reasoning_back = TG_REASONING_BACK_CONTENT},
    /* docs.tokenfactory.nebius.com/api-reference/introduction: OpenAI's API; no Responses */
    {.name = "nebius",
     .hosts = HOSTS("api.tokenfactory.nebius.com", "api.studio.nebius.com", "api.studio.nebius.ai"),
     .formats = TEXTS | EMBEDDINGS | TG_WIRE_BIT(OPENAI_IMAGES)},
    /* docs.baseten.co/reference/inference-api/chat-completions: Model APIs have these alone */
    {.name = "baseten",
     .hosts = HOSTS("inference.baseten.co"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT)},
    /* Hyperbolic's OpenAPI file: chat completions in OpenAI's form, pictures and sounds not */
    {.name = "hyperbolic",
     .hosts = HOSTS("api.hyperbolic.xyz"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT)},
    /* docs.databricks.com/aws/machine-learning/foundation-model-apis/api-reference: chat,
     * completion and embedding tasks, Responses for OpenAI's models; the workspace is in the host
     */
    {.name = "databricks",
     .hosts = HOSTS("cloud.databricks.com", "azuredatabricks.net", "gcp.databricks.com"),
     .formats = TEXTS | RESPONSES | EMBEDDINGS},
    /* developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility */
    {.name = "workers-ai",
     .hosts = HOSTS("api.cloudflare.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT) | RESPONSES | EMBEDDINGS},
    /* developers.cloudflare.com/ai-gateway, "OpenAI compatible endpoint" (…/compat): the model's
     * name begins with the provider's */
    {.name = "cloudflare",
     .hosts = HOSTS("gateway.ai.cloudflare.com"),
     .formats = TG_WIRE_BIT(OPENAI_CHAT)},
    /* jina.ai/embeddings and …/reranker: `task` says what vectors are for ("retrieval.query"),
     * embedding_type how they are packed */
    {.name = "jina",
     .hosts = HOSTS("api.jina.ai"),
     .formats = EMBEDDINGS | TG_WIRE_BIT(RERANK),
     .tasks = 1u << TG_TASK_EMBED | 1u << TG_TASK_RERANK,
     .native = BIT(INPUT_TYPE),
     .dropped = BIT(USER),
     .renames = RENAMES({TG_STR_INIT("input_type"), TG_STR_INIT("task")},
                        {TG_STR_INIT("encoding_format"), TG_STR_INIT("embedding_type")})},
    /* docs.voyageai.com/reference: embeddings with output_dimension, and ranking; the whole body */
    {.name = "voyage",
     .hosts = HOSTS("api.voyageai.com"),
     .formats = EMBEDDINGS | TG_WIRE_BIT(RERANK),
     .tasks = 1u << TG_TASK_EMBED | 1u << TG_TASK_RERANK,
     .native = BIT(INPUT_TYPE),
     .dropped = BIT(USER),
     .renames = RENAMES({TG_STR_INIT("dimensions"), TG_STR_INIT("output_dimension")},
                        {TG_STR_INIT("top_n"), TG_STR_INIT("top_k")})},
    /* docs.vllm.ai, serving/openai_compatible_server: `user` is ignored, image_url.detail is not
     * supported */
    {.name = "vllm",
     .formats = TEXTS | RESPONSES | EMBEDDINGS | TG_WIRE_BIT(RERANK) | TG_WIRE_BIT(OPENAI_AUDIO),
     .native = BIT(INPUT_TYPE),
     .dropped = BIT(USER) | BIT(IMAGE_DETAIL) | BIT(SERVICE_TIER)},
    /* docs.sglang.ai/basic_usage/openai_api */
    {.name = "sglang",
     .formats = TEXTS | RESPONSES | EMBEDDINGS | TG_WIRE_BIT(RERANK),
     .dropped = BIT(USER) | BIT(SERVICE_TIER)},
    /* github.com/ggml-org/llama.cpp, tools/server/README.md */
    {.name = "llama.cpp",
     .formats = TEXTS | RESPONSES | EMBEDDINGS | TG_WIRE_BIT(RERANK),
     .native = BIT(REASONING),
     .dropped = BIT(USER) | BIT(SERVICE_TIER) | BIT(IMAGE_DETAIL),
     .refused = BIT(DOCUMENT) | BIT(DOCUMENT_FILE),
     .renames = RENAMES({TG_STR_INIT("repetition_penalty"), TG_STR_INIT("repeat_penalty")}),
     .reasoning_back = TG_REASONING_BACK_CONTENT},
    /* lmstudio.ai/docs/developer/openai-compat/chat-completions: "supported payload parameters" */
    {.name = "lmstudio",
     .formats = TEXTS | RESPONSES | EMBEDDINGS,
     .dropped = BIT(USER) | BIT(SERVICE_TIER) | BIT(PARALLEL),
     .refused = BIT(N) | ALL_LOGPROBS | BIT(DOCUMENT) | BIT(DOCUMENT_FILE) | BIT(AUDIO),
     .renames = RENAMES({TG_STR_INIT("repetition_penalty"), TG_STR_INIT("repeat_penalty")})},
    /* docs.ollama.com/api/openai-compatibility: boxes that are not ticked; /v1/audio since 0.40.8
     */
    {.name = "ollama",
     .formats = TEXTS | RESPONSES | EMBEDDINGS | TG_WIRE_BIT(OPENAI_AUDIO),
     .dropped = BIT(TOOL_CHOICE) | BIT(LOGIT_BIAS) | BIT(USER) | BIT(SERVICE_TIER) | LOCAL_ONLY,
     .refused = BIT(N) | BIT(IMAGE_URL) | BIT(TOOL_REQUIRED) | BIT(TOOL_NAMED) | BIT(DOCUMENT) |
                BIT(DOCUMENT_FILE) | BIT(AUDIO)},
    /* huggingface.co/docs/text-generation-inference/messages_api */
    {.name = "tgi",
     .formats = TEXTS,
     .dropped = BIT(USER) | BIT(SERVICE_TIER) | BIT(PARALLEL),
     .refused = BIT(N) | BIT(DOCUMENT) | BIT(DOCUMENT_FILE) | BIT(AUDIO)},
};
const size_t tg_quirks_rows_n = TG_ARRAY_LEN(tg_quirks_rows);

/* Not /responses: most servers that call themselves compatible have chat completions only, and what
 * comes in the newer form can be translated to them. The setting `api: responses` says otherwise.
 */
const struct tg_quirks tg_quirks_unknown = {
    .name = "",
    .formats = ~TG_WIRE_BIT(OPENAI_RESPONSES),
};
