/* The fidelity tables hold: for every field that a client format has a name for, a request that
 * uses it is parsed by the real dialect and written by every real adapter. Native: it is there.
 * Dropped: it is not. Both must be as the row says, or as the encoder reports of the value. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "json/json.h"

struct sample {
    enum tg_feature f;
    const char *members;  /* more members of the request */
    const char *messages; /* NULL: the plain ones */
    const char *mark; /* what is in a body that has it; NULL: any other body than the plain one */
};

struct format {
    const struct tg_dialect *d;
    const char *target;
    const char *form; /* of a body: messages, members */
    const char *plain;
    const struct sample *samples;
    size_t n;
};

#define S(id, members, messages, mark)           \
    {                                            \
        TG_FEATURE_##id, members, messages, mark \
    }
#define SCHEMA                                                                  \
    "{\"type\":\"object\",\"properties\":{\"seventy7\":{\"type\":\"string\"}}," \
    "\"required\":[\"seventy7\"],\"additionalProperties\":false}"
#define FN    "{\"type\":\"function\",\"function\":{\"name\":\"fn77\",\"parameters\":" SCHEMA "}}"
#define TOOLS ",\"tools\":[" FN "]"
#define PNG   "iVBORw0KGgo77"
#define ASKED "{\"role\":\"user\",\"content\":\"hi\"}"

/* ---- OpenAI's chat ---- */

#define PART(text) "{\"role\":\"user\",\"content\":[" text "]}"
#define SAID(text) ASKED ",{\"role\":\"assistant\",\"content\":\"yes\"," text "}," ASKED
#define CALLED                                                                            \
    ASKED ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\"," \
          "\"type\":\"function\",\"function\":{\"name\":\"fn77\",\"arguments\":\"{}\"}}]}"

static const struct sample openai_chat[] = {
    S(SYSTEM, "", "{\"role\":\"system\",\"content\":\"sys77\"}," ASKED, "sys77"),
    S(DEVELOPER, "", "{\"role\":\"developer\",\"content\":\"sys77\"}," ASKED, "sys77"),
    S(NAME, "", "{\"role\":\"user\",\"content\":\"hi\",\"name\":\"ann77\"}", "ann77"),
    S(TEMPERATURE, ",\"temperature\":0.25", NULL, "0.25"),
    S(TOP_P, ",\"top_p\":0.625", NULL, "0.625"),
    S(TOP_K, ",\"top_k\":77", NULL, "77"),
    S(MIN_P, ",\"min_p\":0.77", NULL, "0.77"),
    S(PRESENCE, ",\"presence_penalty\":0.77", NULL, "0.77"),
    S(FREQUENCY, ",\"frequency_penalty\":0.77", NULL, "0.77"),
    S(REPETITION, ",\"repetition_penalty\":1.77", NULL, "1.77"),
    S(MAX_TOKENS, ",\"max_tokens\":77", NULL, "77"),
    S(SEED, ",\"seed\":77", NULL, "77"),
    S(N, ",\"n\":2", NULL, NULL),
    S(LOGPROBS, ",\"logprobs\":true", NULL, NULL),
    S(TOP_LOGPROBS, ",\"logprobs\":true,\"top_logprobs\":7", NULL, "7"),
    S(STOP, ",\"stop\":[\"s77\"]", NULL, "s77"),
    S(LOGIT_BIAS, ",\"logit_bias\":{\"7\":7}", NULL, NULL),
    S(TOOLS, TOOLS, NULL, "fn77"),
    S(TOOL_TYPES, ",\"tools\":[{\"type\":\"web77\"}]", NULL, "web77"),
    S(TOOL_STRICT,
      ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"fn77\",\"strict\":true,"
      "\"parameters\":" SCHEMA "}}]",
      NULL, "strict"),
    S(TOOL_CHOICE, TOOLS ",\"tool_choice\":\"auto\"", NULL, NULL),
    S(TOOL_REQUIRED, TOOLS ",\"tool_choice\":\"required\"", NULL, NULL),
    S(TOOL_NAMED, TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"fn77\"}}",
      NULL, NULL),
    S(TOOL_CHOICE_RAW, TOOLS ",\"tool_choice\":{\"type\":\"other77\"}", NULL, "other77"),
    S(PARALLEL, TOOLS ",\"parallel_tool_calls\":false", NULL, "parallel"),
    S(RESULT_MEDIA, TOOLS,
      CALLED ",{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":[{\"type\":\"image_url\","
             "\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]}",
      PNG),
    S(JSON_OBJECT, ",\"response_format\":{\"type\":\"json_object\"}", NULL, NULL),
    S(JSON_SCHEMA,
      ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
      "\"strict\":true,\"schema\":" SCHEMA "}}",
      NULL, "seventy7"),
    S(EFFORT, ",\"reasoning_effort\":\"high\"", NULL, NULL),
    S(BUDGET, ",\"reasoning\":{\"max_tokens\":7777}", NULL, "7777"),
    S(SHOW, ",\"reasoning\":{\"exclude\":true,\"max_tokens\":7777}", NULL, NULL),
    S(REASONING, "", SAID("\"reasoning_content\":\"think77\""), "think77"),
    S(SIGNED, "",
      SAID("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\","
           "\"format\":\"anthropic-claude-v1\",\"signature\":\"sig77\"}]"),
      "sig77"),
    S(ENCRYPTED, "",
      SAID("\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":\"enc77\","
           "\"id\":\"rs_1\",\"format\":\"openai-responses-v1\"}]"),
      "enc77"),
    S(THOUGHT, TOOLS,
      ASKED
      ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\","
      "\"type\":\"function\",\"extra_content\":{\"google\":{\"thought_signature\":\"c2lnNzc3\"}},"
      "\"function\":{\"name\":\"fn77\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_"
      "id\":"
      "\"call_1\",\"content\":\"x\"}",
      "c2lnNzc3"),
    S(IMAGE, "",
      PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}"),
      PNG),
    S(IMAGE_URL, "",
      PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x.example/77.png\"}}"),
      "x.example/77.png"),
    S(IMAGE_DETAIL, "",
      PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG
           "\",\"detail\":\"low\"}}"),
      "\"low\""),
    S(DOCUMENT, "",
      PART("{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
           "\"data:application/pdf;base64,JVBER77A\"}}"),
      "JVBER77A"),
    S(DOCUMENT_URL, "",
      PART("{\"type\":\"file\",\"file\":{\"file_data\":\"https://x.example/77.pdf\"}}"),
      "x.example/77.pdf"),
    S(DOCUMENT_FILE, "", PART("{\"type\":\"file\",\"file\":{\"file_id\":\"file77\"}}"), "file77"),
    S(AUDIO, "",
      PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"QVVE77AA\",\"format\":\"wav\"}}"),
      "QVVE77AA"),
    S(RAW_PART, "", PART("{\"type\":\"odd77\"}"), "odd77"),
    S(REFUSAL, "", ASKED ",{\"role\":\"assistant\",\"refusal\":\"no77\"}," ASKED, "no77"),
    S(CACHE_HINT, "",
      PART("{\"type\":\"text\",\"text\":\"hi\",\"cache_control\":{\"type\":\"ephemeral\"}}"), NULL),
    S(SERVICE_TIER, ",\"service_tier\":\"default\"", NULL, NULL),
    S(USER, ",\"user\":\"ann77\"", NULL, "ann77"),
    S(METADATA, ",\"metadata\":{\"a\":\"b77\"}", NULL, "b77"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

/* ---- OpenAI's Responses ---- */

#define RFN     "{\"type\":\"function\",\"name\":\"fn77\",\"parameters\":" SCHEMA "}"
#define RTOOLS  ",\"tools\":[" RFN "]"
#define ITEM(p) "{\"role\":\"user\",\"content\":[" p "]}"
#define RCALLED                                                                                  \
    ASKED ",{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"fn77\",\"arguments\":" \
          "\"{}\"}"

static const struct sample responses[] = {
    S(SYSTEM, ",\"instructions\":\"sys77\"", NULL, "sys77"),
    S(DEVELOPER, "", "{\"role\":\"developer\",\"content\":\"sys77\"}," ASKED, "sys77"),
    S(TEMPERATURE, ",\"temperature\":0.25", NULL, "0.25"),
    S(TOP_P, ",\"top_p\":0.625", NULL, "0.625"),
    S(MAX_TOKENS, ",\"max_output_tokens\":77", NULL, "77"),
    S(LOGPROBS, ",\"include\":[\"message.output_text.logprobs\"]", NULL, NULL),
    S(TOP_LOGPROBS, ",\"top_logprobs\":7", NULL, "7"),
    S(TOOLS, RTOOLS, NULL, "fn77"),
    S(TOOL_TYPES, ",\"tools\":[{\"type\":\"web77\"}]", NULL, "web77"),
    S(TOOL_STRICT,
      ",\"tools\":[{\"type\":\"function\",\"name\":\"fn77\",\"strict\":true,\"parameters\":" SCHEMA
      "}]",
      NULL, "strict"),
    S(TOOL_CHOICE, RTOOLS ",\"tool_choice\":\"auto\"", NULL, NULL),
    S(TOOL_REQUIRED, RTOOLS ",\"tool_choice\":\"required\"", NULL, NULL),
    S(TOOL_NAMED, RTOOLS ",\"tool_choice\":{\"type\":\"function\",\"name\":\"fn77\"}", NULL, NULL),
    S(TOOL_CHOICE_RAW, RTOOLS ",\"tool_choice\":{\"type\":\"other77\"}", NULL, "other77"),
    S(PARALLEL, RTOOLS ",\"parallel_tool_calls\":false", NULL, "parallel"),
    S(RESULT_MEDIA, RTOOLS,
      RCALLED ",{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":"
              "[{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64," PNG "\"}]}",
      PNG),
    S(JSON_OBJECT, ",\"text\":{\"format\":{\"type\":\"json_object\"}}", NULL, NULL),
    S(JSON_SCHEMA,
      ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,"
      "\"schema\":" SCHEMA "}}",
      NULL, "seventy7"),
    S(EFFORT, ",\"reasoning\":{\"effort\":\"high\"}", NULL, NULL),
    S(SHOW, ",\"reasoning\":{\"summary\":\"auto\",\"effort\":\"high\"}", NULL, NULL),
    S(REASONING, "",
      ASKED ",{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\","
            "\"text\":\"think77\"}]}," ASKED,
      "think77"),
    S(ENCRYPTED, "",
      ASKED ",{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":"
            "\"enc77\"}," ASKED,
      "enc77"),
    S(IMAGE, "", ITEM("{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64," PNG "\"}"),
      PNG),
    S(IMAGE_URL, "", ITEM("{\"type\":\"input_image\",\"image_url\":\"https://x.example/77.png\"}"),
      "x.example/77.png"),
    S(IMAGE_FILE, "", ITEM("{\"type\":\"input_image\",\"file_id\":\"file77\"}"), "file77"),
    S(IMAGE_DETAIL, "",
      ITEM("{\"type\":\"input_image\",\"detail\":\"low\",\"image_url\":"
           "\"data:image/png;base64," PNG "\"}"),
      "\"low\""),
    S(DOCUMENT, "",
      ITEM("{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":"
           "\"data:application/pdf;base64,JVBER77A\"}"),
      "JVBER77A"),
    S(DOCUMENT_URL, "", ITEM("{\"type\":\"input_file\",\"file_url\":\"https://x.example/77.pdf\"}"),
      "x.example/77.pdf"),
    S(DOCUMENT_FILE, "", ITEM("{\"type\":\"input_file\",\"file_id\":\"file77\"}"), "file77"),
    S(RAW_PART, "", ITEM("{\"type\":\"odd77\"}"), "odd77"),
    S(REFUSAL, "",
      ASKED ",{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\","
            "\"refusal\":\"no77\"}]}," ASKED,
      "no77"),
    S(SERVICE_TIER, ",\"service_tier\":\"default\"", NULL, NULL),
    S(USER, ",\"safety_identifier\":\"ann77\"", NULL, "ann77"),
    S(METADATA, ",\"metadata\":{\"a\":\"b77\"}", NULL, "b77"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

/* ---- Anthropic's Messages ---- */

#define AFN    "{\"name\":\"fn77\",\"input_schema\":" SCHEMA "}"
#define ATOOLS ",\"tools\":[" AFN "]"
#define AUSED                                                                                \
    ASKED ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"toolu_1\"," \
          "\"name\":\"fn77\",\"input\":{}}]}"
#define ARESULT(m)                                                                                 \
    AUSED                                                                                          \
    ",{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\"" m "}" \
    "]"                                                                                            \
    "}"
#define ASAID(b)                                     \
    ASKED ",{\"role\":\"assistant\",\"content\":[" b \
          ",{\"type\":\"text\",\"text\":\"yes\"}]}," ASKED

static const struct sample anthropic[] = {
    S(SYSTEM, ",\"system\":\"sys77\"", NULL, "sys77"),
    S(TEMPERATURE, ",\"temperature\":0.25", NULL, "0.25"),
    S(TOP_P, ",\"top_p\":0.625", NULL, "0.625"),
    S(TOP_K, ",\"top_k\":77", NULL, "77"),
    S(STOP, ",\"stop_sequences\":[\"s77\"]", NULL, "s77"),
    S(TOOLS, ATOOLS, NULL, "fn77"),
    S(TOOL_TYPES, ",\"tools\":[{\"type\":\"web77\",\"name\":\"w\"}]", NULL, "web77"),
    S(TOOL_STRICT, ",\"tools\":[{\"name\":\"fn77\",\"strict\":true,\"input_schema\":" SCHEMA "}]",
      NULL, "strict"),
    S(TOOL_CHOICE, ATOOLS ",\"tool_choice\":{\"type\":\"auto\"}", NULL, NULL),
    S(TOOL_REQUIRED, ATOOLS ",\"tool_choice\":{\"type\":\"any\"}", NULL, NULL),
    S(TOOL_NAMED, ATOOLS ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"fn77\"}", NULL, NULL),
    S(TOOL_CHOICE_RAW, ATOOLS ",\"tool_choice\":{\"type\":\"other77\"}", NULL, "other77"),
    S(PARALLEL, ATOOLS ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}",
      NULL, "parallel"),
    S(RESULT_ERROR, ATOOLS, ARESULT(",\"is_error\":true,\"content\":\"bad\""), NULL),
    S(RESULT_MEDIA, ATOOLS,
      ARESULT(",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
              "\"media_type\":\"image/png\",\"data\":\"" PNG "\"}}]"),
      PNG),
    S(JSON_SCHEMA,
      ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA "}}", NULL,
      "seventy7"),
    S(EFFORT, ",\"output_config\":{\"effort\":\"high\"}", NULL, NULL),
    S(BUDGET, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":7777}", NULL, "7777"),
    S(SHOW, ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}", NULL, NULL),
    S(SIGNED, "", ASAID("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"sig77\"}"),
      "sig77"),
    S(IMAGE, "",
      PART("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
           "png\",\"data\":\"" PNG "\"}}"),
      PNG),
    S(IMAGE_URL, "",
      PART("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x.example/"
           "77.png\"}}"),
      "x.example/77.png"),
    S(IMAGE_FILE, "",
      PART("{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"file77\"}}"), "file77"),
    S(DOCUMENT, "",
      PART("{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":"
           "\"application/pdf\",\"data\":\"JVBER77A\"}}"),
      "JVBER77A"),
    S(DOCUMENT_URL, "",
      PART("{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x.example/"
           "77.pdf\"}}"),
      "x.example/77.pdf"),
    S(DOCUMENT_FILE, "",
      PART("{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"file77\"}}"),
      "file77"),
    S(RAW_PART, "", PART("{\"type\":\"odd77\"}"), "odd77"),
    S(CACHE_HINT, "",
      PART("{\"type\":\"text\",\"text\":\"hi\",\"cache_control\":{\"type\":\"ephemeral\"}}"), NULL),
    S(SERVICE_TIER, ",\"service_tier\":\"default\"", NULL, NULL),
    S(USER, ",\"metadata\":{\"user_id\":\"ann77\"}", NULL, "ann77"),
    S(METADATA, ",\"metadata\":{\"a\":\"b77\"}", NULL, "b77"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

/* ---- Gemini ---- */

#define GASKED    "{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}"
#define GPART(p)  "{\"role\":\"user\",\"parts\":[" p "]}"
#define CONFIG(m) ",\"generationConfig\":{" m "}"
#define GTOOLS                                                                                   \
    ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"fn77\",\"parametersJsonSchema\":" SCHEMA \
    "}]}]"
#define MODE(m) GTOOLS ",\"toolConfig\":{\"functionCallingConfig\":{" m "}}"
#define GCALLED \
    GASKED ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"fn77\",\"args\":{}}}]}"
#define GRESULT(m) \
    GCALLED ",{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"fn77\"," m "}}]}"

static const struct sample gemini[] = {
    S(SYSTEM, ",\"systemInstruction\":{\"parts\":[{\"text\":\"sys77\"}]}", NULL, "sys77"),
    S(TEMPERATURE, CONFIG("\"temperature\":0.25"), NULL, "0.25"),
    S(TOP_P, CONFIG("\"topP\":0.625"), NULL, "0.625"),
    S(TOP_K, CONFIG("\"topK\":77"), NULL, "77"),
    S(PRESENCE, CONFIG("\"presencePenalty\":0.77"), NULL, "0.77"),
    S(FREQUENCY, CONFIG("\"frequencyPenalty\":0.77"), NULL, "0.77"),
    S(MAX_TOKENS, CONFIG("\"maxOutputTokens\":77"), NULL, "77"),
    S(SEED, CONFIG("\"seed\":77"), NULL, "77"),
    S(N, CONFIG("\"candidateCount\":2"), NULL, NULL),
    S(LOGPROBS, CONFIG("\"responseLogprobs\":true"), NULL, NULL),
    S(TOP_LOGPROBS, CONFIG("\"responseLogprobs\":true,\"logprobs\":7"), NULL, "7"),
    S(STOP, CONFIG("\"stopSequences\":[\"s77\"]"), NULL, "s77"),
    S(TOOLS, GTOOLS, NULL, "fn77"),
    S(TOOL_TYPES, ",\"tools\":[{\"web77\":{}}]", NULL, "web77"),
    S(TOOL_CHOICE, MODE("\"mode\":\"AUTO\""), NULL, NULL),
    S(TOOL_REQUIRED, MODE("\"mode\":\"ANY\""), NULL, NULL),
    S(TOOL_NAMED, MODE("\"mode\":\"ANY\",\"allowedFunctionNames\":[\"fn77\"]"), NULL, NULL),
    S(TOOL_CHOICE_RAW, MODE("\"mode\":\"ANY\",\"allowedFunctionNames\":[\"a77\",\"b\"]"), NULL,
      "a77"),
    S(RESULT_ERROR, GTOOLS, GRESULT("\"response\":{\"error\":\"bad\"}"), NULL),
    S(RESULT_MEDIA, GTOOLS,
      GRESULT("\"response\":{},\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\","
              "\"data\":\"" PNG "\"}}]"),
      PNG),
    S(JSON_OBJECT, CONFIG("\"responseMimeType\":\"application/json\""), NULL, NULL),
    S(JSON_SCHEMA,
      CONFIG("\"responseMimeType\":\"application/json\",\"responseJsonSchema\":" SCHEMA), NULL,
      "seventy7"),
    S(EFFORT, CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"HIGH\"}"), NULL, NULL),
    S(BUDGET, CONFIG("\"thinkingConfig\":{\"thinkingBudget\":7777}"), NULL, "7777"),
    S(SHOW, CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":-1}"), NULL,
      NULL),
    S(REASONING, "",
      GASKED ",{\"role\":\"model\",\"parts\":[{\"text\":\"think77\",\"thought\":true},"
             "{\"text\":\"yes\"}]}," GASKED,
      "think77"),
    S(THOUGHT, GTOOLS,
      GASKED ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"fn77\",\"args\":{}},"
             "\"thoughtSignature\":\"c2lnNzc3\"}]},{\"role\":\"user\",\"parts\":[{"
             "\"functionResponse\":{\"name\":"
             "\"fn77\",\"response\":{}}}]}",
      "c2lnNzc3"),
    S(IMAGE, "", GPART("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"" PNG "\"}}"), PNG),
    S(IMAGE_URL, "",
      GPART("{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://x.example/77.png\"}}"),
      "x.example/77.png"),
    S(IMAGE_FILE, "",
      GPART("{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"gs://b/77.png\"}}"),
      "gs://b/77.png"),
    S(DOCUMENT, "",
      GPART("{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"JVBER77A\"}}"),
      "JVBER77A"),
    S(DOCUMENT_URL, "",
      GPART("{\"fileData\":{\"mimeType\":\"application/pdf\",\"fileUri\":"
            "\"https://x.example/77.pdf\"}}"),
      "x.example/77.pdf"),
    S(DOCUMENT_FILE, "",
      GPART("{\"fileData\":{\"mimeType\":\"application/pdf\",\"fileUri\":\"gs://b/77.pdf\"}}"),
      "gs://b/77.pdf"),
    S(AUDIO, "", GPART("{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"QVVE77AA\"}}"),
      "QVVE77AA"),
    S(RAW_PART, "", GPART("{\"odd77\":{}}"), "odd77"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

/* ---- Ollama ---- */

#define OPTION(m) ",\"options\":{" m "}"

static const struct sample ollama[] = {
    S(SYSTEM, "", "{\"role\":\"system\",\"content\":\"sys77\"}," ASKED, "sys77"),
    S(TEMPERATURE, OPTION("\"temperature\":0.25"), NULL, "0.25"),
    S(TOP_P, OPTION("\"top_p\":0.625"), NULL, "0.625"),
    S(TOP_K, OPTION("\"top_k\":77"), NULL, "77"),
    S(MIN_P, OPTION("\"min_p\":0.77"), NULL, "0.77"),
    S(PRESENCE, OPTION("\"presence_penalty\":0.77"), NULL, "0.77"),
    S(FREQUENCY, OPTION("\"frequency_penalty\":0.77"), NULL, "0.77"),
    S(REPETITION, OPTION("\"repeat_penalty\":1.77"), NULL, "1.77"),
    S(MAX_TOKENS, OPTION("\"num_predict\":77"), NULL, "77"),
    S(SEED, OPTION("\"seed\":77"), NULL, "77"),
    S(STOP, OPTION("\"stop\":[\"s77\"]"), NULL, "s77"),
    S(TOOLS, TOOLS, NULL, "fn77"),
    S(TOOL_TYPES, ",\"tools\":[{\"type\":\"web77\"}]", NULL, "web77"),
    S(TOOL_STRICT,
      ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"fn77\",\"strict\":true,"
      "\"parameters\":" SCHEMA "}}]",
      NULL, "strict"),
    S(JSON_OBJECT, ",\"format\":\"json\"", NULL, NULL),
    S(JSON_SCHEMA, ",\"format\":" SCHEMA, NULL, "seventy7"),
    S(EFFORT, ",\"think\":\"high\"", NULL, NULL),
    S(BUDGET, ",\"think\":true", NULL, NULL),
    S(REASONING, "",
      ASKED ",{\"role\":\"assistant\",\"content\":\"yes\",\"thinking\":\"think77\"}," ASKED,
      "think77"),
    S(IMAGE, "", "{\"role\":\"user\",\"content\":\"hi\",\"images\":[\"" PNG "\"]}", PNG),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

static const struct sample ollama_generate[] = {
    S(SYSTEM, ",\"system\":\"sys77\"", NULL, "sys77"),
    S(TEMPERATURE, OPTION("\"temperature\":0.25"), NULL, "0.25"),
    S(TOP_P, OPTION("\"top_p\":0.625"), NULL, "0.625"),
    S(TOP_K, OPTION("\"top_k\":77"), NULL, "77"),
    S(MIN_P, OPTION("\"min_p\":0.77"), NULL, "0.77"),
    S(PRESENCE, OPTION("\"presence_penalty\":0.77"), NULL, "0.77"),
    S(FREQUENCY, OPTION("\"frequency_penalty\":0.77"), NULL, "0.77"),
    S(REPETITION, OPTION("\"repeat_penalty\":1.77"), NULL, "1.77"),
    S(MAX_TOKENS, OPTION("\"num_predict\":77"), NULL, "77"),
    S(SEED, OPTION("\"seed\":77"), NULL, "77"),
    S(STOP, OPTION("\"stop\":[\"s77\"]"), NULL, "s77"),
    S(JSON_OBJECT, ",\"format\":\"json\"", NULL, NULL),
    S(JSON_SCHEMA, ",\"format\":" SCHEMA, NULL, "seventy7"),
    S(EFFORT, ",\"think\":\"high\"", NULL, NULL),
    S(BUDGET, ",\"think\":true", NULL, NULL),
    S(IMAGE, ",\"images\":[\"" PNG "\"]", NULL, PNG),
    S(PROMPT, ",\"raw\":true", NULL, "hi"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

/* ---- the others ---- */

static const struct sample completions[] = {
    S(TEMPERATURE, ",\"temperature\":0.25", NULL, "0.25"),
    S(TOP_P, ",\"top_p\":0.625", NULL, "0.625"),
    S(TOP_K, ",\"top_k\":77", NULL, "77"),
    S(MIN_P, ",\"min_p\":0.77", NULL, "0.77"),
    S(PRESENCE, ",\"presence_penalty\":0.77", NULL, "0.77"),
    S(FREQUENCY, ",\"frequency_penalty\":0.77", NULL, "0.77"),
    S(REPETITION, ",\"repetition_penalty\":1.77", NULL, "1.77"),
    S(MAX_TOKENS, ",\"max_tokens\":77", NULL, "77"),
    S(SEED, ",\"seed\":77", NULL, "77"),
    S(N, ",\"n\":2", NULL, NULL),
    S(LOGPROBS, ",\"logprobs\":7", NULL, NULL),
    S(TOP_LOGPROBS, ",\"logprobs\":7", NULL, "7"),
    S(STOP, ",\"stop\":[\"s77\"]", NULL, "s77"),
    S(LOGIT_BIAS, ",\"logit_bias\":{\"7\":7}", NULL, NULL),
    S(USER, ",\"user\":\"ann77\"", NULL, "ann77"),
    S(METADATA, ",\"metadata\":{\"a\":\"b77\"}", NULL, "b77"),
    S(PROMPT, "", "\"said 77\"", "said 77"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};
static const struct sample generate[] = {
    S(TEMPERATURE, ",\"temperature\":0.25", NULL, "0.25"),
    S(TOP_P, ",\"top_p\":0.625", NULL, "0.625"),
    S(MAX_TOKENS, ",\"max_length\":77", NULL, "77"),
    S(STOP, ",\"stop\":[\"s77\"]", NULL, "s77"),
    S(USER, ",\"user_id\":\"ann77\"", NULL, "ann77"),
};
static const struct sample simple_chat[] = {
    S(SYSTEM, ",\"system\":\"sys77\"", NULL, "sys77"),
    S(TEMPERATURE, ",\"temperature\":0.25", NULL, "0.25"),
    S(MAX_TOKENS, ",\"max_tokens\":77", NULL, "77"),
    S(USER, ",\"user_id\":\"ann77\"", NULL, "ann77"),
};
static const struct sample embeddings[] = {
    S(USER, ",\"user\":\"ann77\"", NULL, "ann77"),
    S(DIMENSIONS, ",\"dimensions\":77", NULL, "77"),
    S(BASE64, ",\"encoding_format\":\"base64\"", NULL, NULL),
    S(INPUT_TOKENS, "", "[77,78]", "77"),
    S(INPUT_TYPE, ",\"input_type\":\"search_query\"", NULL, NULL),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};
static const struct sample gemini_embed[] = {
    S(DIMENSIONS, ",\"outputDimensionality\":77", NULL, "77"),
    S(INPUT_TYPE, ",\"taskType\":\"RETRIEVAL_QUERY\"", NULL, NULL),
};
static const struct sample ollama_embed[] = {
    S(DIMENSIONS, ",\"dimensions\":77", NULL, "77"),
    S(EXTRA, ",\"foo77\":1", NULL, "foo77"),
};

#define FORMAT(d, target, form, plain, list)             \
    {                                                    \
        d, target, form, plain, list, TG_ARRAY_LEN(list) \
    }
static const struct format formats[] = {
    FORMAT(&tg_dialect_openai_chat, "/v1/chat/completions", "{\"model\":\"m\",\"messages\":[%s]%s}",
           ASKED, openai_chat),
    FORMAT(&tg_dialect_responses, "/v1/responses",
           "{\"model\":\"m\",\"store\":false,\"input\":[%s]%s}", ASKED, responses),
    FORMAT(&tg_dialect_anthropic, "/v1/messages",
           "{\"model\":\"m\",\"max_tokens\":20000,\"messages\":[%s]%s}", ASKED, anthropic),
    FORMAT(&tg_dialect_gemini, "/v1beta/models/m:generateContent", "{\"contents\":[%s]%s}", GASKED,
           gemini),
    FORMAT(&tg_dialect_ollama_chat, "/api/chat", "{\"model\":\"m\",\"messages\":[%s]%s}", ASKED,
           ollama),
    FORMAT(&tg_dialect_ollama_generate, "/api/generate", "{\"model\":\"m\",\"prompt\":%s%s}",
           "\"hi\"", ollama_generate),
    FORMAT(&tg_dialect_openai_completions, "/v1/completions", "{\"model\":\"m\",\"prompt\":%s%s}",
           "\"hi\"", completions),
    FORMAT(&tg_dialect_generate, "/v1/generate", "{\"model\":\"m\",\"prompt\":%s%s}", "\"hi\"",
           generate),
    FORMAT(&tg_dialect_simple_chat, "/api/chat", "{\"model\":\"m\",\"message\":%s%s}", "\"hi\"",
           simple_chat),
    FORMAT(&tg_dialect_openai_embeddings, "/v1/embeddings", "{\"model\":\"m\",\"input\":%s%s}",
           "\"hi\"", embeddings),
    FORMAT(&tg_dialect_gemini_embed, "/v1beta/models/m:embedContent",
           "{\"content\":{\"parts\":[{\"text\":%s}]}%s}", "\"hi\"", gemini_embed),
    FORMAT(&tg_dialect_ollama_embed, "/api/embed", "{\"model\":\"m\",\"input\":%s%s}", "\"hi\"",
           ollama_embed),
};

static const struct to {
    const struct tg_adapter *ad;
    const char *model;
} providers[] = {
    {&tg_adapter_openai, "gpt-5"},
    {&tg_adapter_azure, "deployment"},
    {&tg_adapter_openai_responses, "gpt-5"},
    {&tg_adapter_azure_responses, "deployment"},
    {&tg_adapter_anthropic, "claude-sonnet-4-5"},
    {&tg_adapter_vertex_claude, "claude-sonnet-4-5@20250929"},
    {&tg_adapter_bedrock_invoke, "anthropic.claude-sonnet-4-5-20250929-v1:0"},
    {&tg_adapter_bedrock, "anthropic.claude-sonnet-4-5-20250929-v1:0"},
    {&tg_adapter_gemini, "gemini-3-pro"},
    {&tg_adapter_vertex, "gemini-3-pro"},
    {&tg_adapter_huggingface, "tgi"},
    {&tg_adapter_cohere, "command-a-reasoning-08-2025"},
    {&tg_adapter_ollama, "qwen3"},
};

static struct tg_arena arena;
static struct tg_fail fail;
static struct tg_call call;
static struct tg_chat_req req;
static struct tg_adapter_request out;
static unsigned n_cells, n_wrong;

static int setup(void **state)
{
    tg_arena_init(&arena, 64 * 1024, 256u << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static void parse(const struct format *fm, const char *messages, const char *members)
{
    struct tg_str form = tg_str_c(fm->form), before, between = {0};
    struct tg_http_head head = {.method = TG_HTTP_POST, .target = tg_str_c(fm->target)};
    assert_true(tg_str_split(&form, '%', &before) && tg_str_split(&form, '%', &between));
    struct tg_str body = tg_arena_printf(&arena, "%.*s%s%.*s%s%.*s", TG_STR_ARG(before), messages,
                                         TG_STR_ARG(tg_str_from(between, 1)), members,
                                         TG_STR_ARG(tg_str_from(form, 1)));
    assert_non_null(body.p);
    tg_fail_clear(&fail);
    if (fm->d->open(&arena, &head, body, &call, &fail) || fm->d->parse(&arena, &call, &req, &fail))
        fail_msg("%s: %.*s: %s", fm->d->name, TG_STR_ARG(body), fail.message);
}

static int encode(const struct to *to)
{
    struct tg_adapter_target target = {.model = tg_str_c(to->model),
                                       .base_path = TG_STR("/v1"),
                                       .api_version = TG_STR("v1"),
                                       .region = TG_STR("r"),
                                       .project = TG_STR("p")};
    out = (struct tg_adapter_request){0};
    tg_fail_clear(&fail);
    return to->ad->encode(&arena, &req, &target, &out, &fail);
}

static void wrong(const struct format *fm, const struct to *to, enum tg_feature f, const char *what)
{
    print_error("%s → %s: %s is %s: %s\n  %.*s\n", fm->d->name, to->ad->name, tg_feature_name(f),
                tg_fidelity_name((enum tg_fidelity)to->ad->fidelity[f]), what,
                TG_STR_ARG(out.body));
    n_wrong++;
}

/* What is lost is said in the client's words. */
static void hold_name(const struct format *fm, const struct to *to, enum tg_feature f)
{
    struct tg_buf b;
    struct tg_client_fields client = {fm->d->fields, call.body};
    struct tg_losses lost = {.dropped = 1ull << f};
    tg_buf_init(&b, 4096);
    tg_fidelity_write(&lost, &client, &req, &b);
    struct tg_str want = f == TG_FEATURE_EXTRA ? TG_STR("foo77") : tg_client_field(&client, f);
    if (tg_str_find(tg_buf_str(&b), want) < 0)
        wrong(fm, to, f, "is not named by the client's own field");
    tg_buf_fini(&b);
}

/* Some other thing that the request needs is refused there: it comes to nothing. */
static bool is_refused_anyway(const struct sample *s, const struct tg_adapter *ad)
{
    return tg_features_with(tg_features_of(&req) & ~(1ull << s->f), ad->fidelity, TG_REFUSED) != 0;
}

/* Whether a body that should not have it does. Showing reasoning needs reasoning beside it. */
static bool is_there(const struct sample *s, struct tg_str plain)
{
    if (s->mark)
        return tg_str_find(out.body, tg_str_c(s->mark)) >= 0;
    bool alone = !s->messages && !strstr(s->members, "tools") && s->f != TG_FEATURE_SHOW;
    return alone && !tg_str_eq(out.body, plain);
}

/* Vectors are packed by the gateway. */
static bool is_missing(const struct sample *s, struct tg_str plain)
{
    if (s->f == TG_FEATURE_BASE64)
        return false;
    return tg_str_eq(out.body, plain) || (s->mark && tg_str_find(out.body, tg_str_c(s->mark)) < 0);
}

static void hold_cell(const struct format *fm, const struct sample *s, const struct to *to,
                      struct tg_str plain)
{
    enum tg_fidelity fate = (enum tg_fidelity)to->ad->fidelity[s->f];
    n_cells++;
    int rc = encode(to);
    if (fate == TG_REFUSED) { /* by the row, before anything is encoded */
        if (rc && rc != TG_E_UNSUPPORTED_PARAMETER)
            wrong(fm, to, s->f, "fails in another way");
        return;
    }
    if (rc) {
        wrong(fm, to, s->f, fail.message);
        return;
    }
    uint64_t bit = 1ull << s->f;
    if (out.dropped & bit)
        fate = TG_DROPPED;
    else if (out.emulated & bit)
        fate = TG_EMULATED;
    if (fate == TG_DROPPED && is_there(s, plain))
        wrong(fm, to, s->f, "is dropped, and there");
    if (fate == TG_NATIVE && is_missing(s, plain))
        wrong(fm, to, s->f, "is native, and not there");
    if (fate == TG_DROPPED || fate == TG_EMULATED)
        hold_name(fm, to, s->f);
}

static bool is_own(const struct tg_adapter *ad, const struct tg_dialect *d)
{
    return ad->api == req.wire || tg_wire_in(ad->formats, d->format);
}

static void hold_format(const struct format *fm)
{
    struct tg_str plain[TG_ARRAY_LEN(providers)];
    parse(fm, fm->plain, "");
    for (size_t i = 0; i < TG_ARRAY_LEN(providers); i++)
        plain[i] = encode(&providers[i]) ? TG_STR("") : out.body;
    for (size_t k = 0; k < fm->n; k++) {
        const struct sample *s = &fm->samples[k];
        parse(fm, s->messages ? s->messages : fm->plain, s->members);
        if (!(tg_features_of(&req) >> s->f & 1u))
            fail_msg("%s: nothing uses %s", fm->d->name, tg_feature_name(s->f));
        for (size_t i = 0; i < TG_ARRAY_LEN(providers); i++) {
            const struct tg_adapter *ad = providers[i].ad;
            if (!is_own(ad, fm->d) && ad->tasks >> fm->d->task & 1u && !is_refused_anyway(s, ad))
                hold_cell(fm, s, &providers[i], plain[i]);
        }
    }
}

static void every_cell_is_true(void **state)
{
    n_cells = n_wrong = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(formats); i++)
        hold_format(&formats[i]);
    print_message("# %u cells\n", n_cells);
    assert_true(n_cells > 1500);
    assert_int_equal(n_wrong, 0);
}

/* What only opaque state of other providers is told by, and what is an endpoint of its own. */
static bool is_told_otherwise(enum tg_feature f)
{
    return f == TG_FEATURE_SIGNED || f == TG_FEATURE_ENCRYPTED || f == TG_FEATURE_THOUGHT ||
           f == TG_FEATURE_COUNTING || f == TG_FEATURE_REASONING;
}

/* No name without a request that uses it; no feature of a request without a name. */
static void every_name_is_of_use(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(formats); i++) {
        const struct format *fm = &formats[i];
        uint64_t named = 0, used = 0, seen = 0;
        for (int f = 0; f < TG_FEATURE_COUNT; f++)
            named |= fm->d->fields[f] ? 1ull << f : 0;
        for (size_t k = 0; k < fm->n; k++) {
            used |= 1ull << fm->samples[k].f;
            parse(fm, fm->samples[k].messages ? fm->samples[k].messages : fm->plain,
                  fm->samples[k].members);
            seen |= tg_features_of(&req);
        }
        for (int f = 0; f < TG_FEATURE_COUNT; f++) {
            uint64_t bit = 1ull << f;
            if (named & bit && !(used & bit) && !(seen & bit) &&
                !is_told_otherwise((enum tg_feature)f) && f != TG_FEATURE_EXTRA &&
                f != TG_FEATURE_AUDIO && f != TG_FEATURE_INPUT_TOKENS)
                fail_msg("%s: no request uses %s", fm->d->name, fm->d->fields[f]);
            if (seen & bit && !(named & bit))
                fail_msg("%s: no name for %s", fm->d->name, tg_feature_name((enum tg_feature)f));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_cell_is_true, setup, teardown),
        cmocka_unit_test_setup_teardown(every_name_is_of_use, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
