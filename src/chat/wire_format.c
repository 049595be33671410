#include "chat/wire_format.h"

#include "base/assert.h"
#include "base/compiler.h"

const char *tg_wire_format_name(enum tg_wire_format f)
{
    static const char *const names[TG_WIRE_FORMAT_COUNT] = {
        [TG_WIRE_NONE] = "",
        [TG_WIRE_OPENAI_CHAT] = "openai_chat",
        [TG_WIRE_OPENAI_COMPLETIONS] = "openai_completions",
        [TG_WIRE_OPENAI_RESPONSES] = "openai_responses",
        [TG_WIRE_OPENAI_EMBEDDINGS] = "openai_embeddings",
        [TG_WIRE_OPENAI_MODERATIONS] = "openai_moderations",
        [TG_WIRE_OPENAI_IMAGES] = "openai_images",
        [TG_WIRE_OPENAI_AUDIO] = "openai_audio",
        [TG_WIRE_RERANK] = "rerank",
        [TG_WIRE_ANTHROPIC_MESSAGES] = "anthropic_messages",
        [TG_WIRE_ANTHROPIC_COUNT] = "anthropic_count_tokens",
        [TG_WIRE_GEMINI_GENERATE] = "gemini_generate",
        [TG_WIRE_GEMINI_COUNT] = "gemini_count_tokens",
        [TG_WIRE_GEMINI_EMBED] = "gemini_embed",
        [TG_WIRE_OLLAMA_CHAT] = "ollama_chat",
        [TG_WIRE_OLLAMA_GENERATE] = "ollama_generate",
        [TG_WIRE_OLLAMA_EMBED] = "ollama_embed",
        [TG_WIRE_COHERE_CHAT] = "cohere_chat",
        [TG_WIRE_COHERE_EMBED] = "cohere_embed",
        [TG_WIRE_BEDROCK_CONVERSE] = "bedrock_converse",
        [TG_WIRE_HF_GENERATE] = "hf_generate",
    };
    TG_REQUIRE((size_t)f < TG_ARRAY_LEN(names));
    return names[f];
}
