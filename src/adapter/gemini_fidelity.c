/* What becomes of a translated request's features at Gemini. Sources: Google's GenerationConfig,
 * Content and FunctionCallingConfig. */
#include "adapter/gemini_priv.h"

#define ROW(id, fate) [TG_FEATURE_##id] = TG_##fate

const uint8_t tg_gemini_fidelity[TG_FEATURE_COUNT] = {
    ROW(SYSTEM, NATIVE), /* emulated where it stands between other messages */
    ROW(DEVELOPER, EMULATED),
    ROW(NAME, DROPPED),
    ROW(TEMPERATURE, NATIVE),
    ROW(TOP_P, NATIVE),
    ROW(TOP_K, NATIVE),
    ROW(MIN_P, DROPPED),
    ROW(PRESENCE, NATIVE),
    ROW(FREQUENCY, NATIVE),
    ROW(REPETITION, DROPPED),
    ROW(MAX_TOKENS, NATIVE),
    ROW(SEED, NATIVE), /* emulated where it has more than 31 bits */
    ROW(N, NATIVE),
    ROW(LOGPROBS, NATIVE),
    ROW(TOP_LOGPROBS, NATIVE),
    ROW(STOP, NATIVE),
    ROW(LOGIT_BIAS, DROPPED),
    ROW(TOOLS, NATIVE),
    ROW(TOOL_TYPES, REFUSED),
    ROW(TOOL_STRICT, DROPPED),
    ROW(TOOL_CHOICE, NATIVE),
    ROW(TOOL_REQUIRED, NATIVE),
    ROW(TOOL_NAMED, NATIVE),
    ROW(TOOL_CHOICE_RAW, REFUSED),
    ROW(PARALLEL, DROPPED),
    ROW(RESULT_ERROR, NATIVE),
    ROW(RESULT_MEDIA, NATIVE), /* emulated before Gemini 3: beside the result */
    ROW(JSON_OBJECT, NATIVE),
    ROW(JSON_SCHEMA, NATIVE),
    ROW(EFFORT, NATIVE), /* emulated by a budget before Gemini 3, dropped before 2.5 */
    ROW(BUDGET, NATIVE),
    ROW(SHOW, NATIVE),
    ROW(REASONING, DROPPED),
    ROW(SIGNED, DROPPED),
    ROW(ENCRYPTED, DROPPED),
    ROW(THOUGHT, NATIVE),
    ROW(IMAGE, NATIVE),
    ROW(IMAGE_URL, NATIVE),
    ROW(IMAGE_FILE, REFUSED),
    ROW(IMAGE_DETAIL, DROPPED),
    ROW(DOCUMENT, NATIVE),
    ROW(DOCUMENT_URL, NATIVE),
    ROW(DOCUMENT_FILE, REFUSED),
    ROW(AUDIO, NATIVE),
    ROW(RAW_PART, REFUSED),
    ROW(REFUSAL, EMULATED), /* as text */
    ROW(CACHE_HINT, DROPPED),
    ROW(SERVICE_TIER, DROPPED),
    ROW(USER, DROPPED),
    ROW(METADATA, DROPPED),
    ROW(PROMPT, EMULATED), /* as a user's message */
    ROW(COUNTING, NATIVE),
    ROW(EXTRA, DROPPED),
    ROW(DIMENSIONS, NATIVE),
    ROW(BASE64, NATIVE),
    ROW(INPUT_TOKENS, REFUSED),
    ROW(INPUT_TYPE, NATIVE),
};
