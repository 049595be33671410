#include "server/registry.h"

#include "adapter/adapter.h"
#include "dialect/dialect.h"

static const struct tg_dialect *const dialects[] = {
    &tg_dialect_openai_chat,
    &tg_dialect_openai_completions,
    &tg_dialect_openai_embeddings,
    &tg_dialect_openai_moderations,
    &tg_dialect_openai_images,
    &tg_dialect_openai_audio,
    &tg_dialect_rerank,
    &tg_dialect_anthropic,
    &tg_dialect_anthropic_count,
    &tg_dialect_responses,
    &tg_dialect_responses_count,
    &tg_dialect_gemini,
    &tg_dialect_gemini_count,
    &tg_dialect_gemini_embed,
    &tg_dialect_generate,
    &tg_dialect_simple_chat,
    &tg_dialect_ollama_chat, /* behind simple_chat: takes what that one leaves */
    &tg_dialect_ollama_generate,
    &tg_dialect_ollama_embed,
};

const struct tg_registry tg_server_registry = {
    .dialects = dialects,
    .n_dialects = TG_ARRAY_LEN(dialects),
};

static const struct tg_adapter *const openai[] = {&tg_adapter_openai, &tg_adapter_openai_responses,
                                                  NULL};
static const struct tg_adapter *const azure[] = {&tg_adapter_azure, &tg_adapter_azure_responses,
                                                 NULL};
static const struct tg_adapter *const anthropic[] = {&tg_adapter_anthropic, NULL};

static const struct tg_adapter *const ollama[] = {&tg_adapter_ollama, NULL};
static const struct tg_adapter *const gemini[] = {&tg_adapter_gemini, NULL};
static const struct tg_adapter *const vertex[] = {&tg_adapter_vertex, &tg_adapter_vertex_claude,
                                                  NULL};

static const struct tg_adapter *const bedrock[] = {&tg_adapter_bedrock, &tg_adapter_bedrock_invoke,
                                                   NULL};

static const struct tg_adapter *const huggingface[] = {&tg_adapter_openai, &tg_adapter_huggingface,
                                                       NULL};
static const struct tg_adapter *const cohere[] = {&tg_adapter_cohere, NULL};

void tg_server_install_backends(struct tg_runtime *rt)
{
    static const struct {
        enum tg_backend_kind kind;
        const struct tg_backend_ops *ops;
        const struct tg_adapter *const *adapters;
    } table[] = {
        {TG_BACKEND_OPENAI, &tg_backend_http_ops, openai},
        {TG_BACKEND_OPENAI_COMPATIBLE, &tg_backend_http_ops, openai},
        {TG_BACKEND_AZURE_OPENAI, &tg_backend_http_ops, azure},
        {TG_BACKEND_HUGGINGFACE, &tg_backend_http_ops, huggingface},
        {TG_BACKEND_ANTHROPIC, &tg_backend_http_ops, anthropic},
        {TG_BACKEND_BEDROCK, &tg_backend_http_ops, bedrock},
        {TG_BACKEND_COHERE, &tg_backend_http_ops, cohere},
        {TG_BACKEND_OLLAMA, &tg_backend_http_ops, ollama},
        {TG_BACKEND_GEMINI, &tg_backend_http_ops, gemini},
        {TG_BACKEND_VERTEX, &tg_backend_http_ops, vertex},
        {TG_BACKEND_MOCK, &tg_backend_mock_ops, NULL},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++)
        tg_runtime_set_backend(rt, table[i].kind, table[i].ops, NULL, table[i].adapters);
}
