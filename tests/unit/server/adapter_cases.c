/* Good answers for the conformance suite: of every adapter, each kind that it decodes. */
#include "adapter_cases.h"

/* Claude as the clouds serve it. */
#define CLAUDE_CHUNK                                                                              \
    "event: content_block_delta\ndata: {\"id\":\"x\",\"type\":\"content_block_delta\",\"index\":" \
    "0,\"delta\":{\"type\":\"text_delta\",\"text\":\"t\"}}\n\n"
#define CLAUDE_END                                                                    \
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n" \
    "data: {\"type\":\"message_stop\"}\n\n"
#define CLAUDE_STREAM                                                                           \
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{}}}\n\n"            \
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\"," \
    "\"text\":\"\"}}\n\n" CLAUDE_CHUNK                                                          \
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n" CLAUDE_END

const struct adapter_case adapter_cases[] = {
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     ": hi\r\n\r\n"
     "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
     "\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\xc3\xa4 \\u00e4 "
     "\\ud83d\\ude00\"},"
     "\"logprobs\":{\"content\":[]}}]}\r\n\r\n"
     "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},{\"index\":1,"
     "\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
     "data: [DONE]\n\n",
     "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"text\"}}]}\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, false,
     "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
     "\"h\xc3\xa4\",\"tool_calls\":[{\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":"
     "\"{}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,"
     "\"completion_tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_openai, TG_WIRE_OPENAI_COMPLETIONS, true,
     "data: {\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason\":null}]}\n\n"
     "data: {\"id\":\"c\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"length\"}]}"
     "\n\ndata: [DONE]\n\n",
     "data: {\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0}]}\n\n",
     "data: {\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_COMPLETIONS, false,
     "{\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason\":\"length\"}]}", NULL,
     NULL},
    /* a provider that ignores the wish for a stream */
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\n\"message\":{"
     "\"tool_calls\":[{\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
     "\"finish_reason\":\"tool_calls\"}]}",
     NULL, NULL, true},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, true,
     ": hi\r\n\r\n"
     "event: response.created\ndata: "
     "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"service_tier\":"
     "\"default\"}}\n\n"
     "event: response.output_item.added\ndata: "
     "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"reasoning\","
     "\"id\":\"rs_1\"}}\n\n"
     "event: response.reasoning_summary_text.delta\ndata: "
     "{\"type\":\"response.reasoning_summary_text.delta\",\"item_id\":\"rs_1\",\"output_index\":0,"
     "\"summary_index\":0,\"delta\":\"hm\"}\n\n"
     "event: response.output_item.done\ndata: "
     "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\","
     "\"id\":\"rs_1\",\"summary\":[{\"text\":\"hm\"}],\"encrypted_content\":\"g=\"}}\n\n"
     "event: response.output_text.delta\ndata: "
     "{\"type\":\"response.output_text.delta\",\"output_index\":1,\"content_index\":0,\"delta\":"
     "\"h\\u00e4 \\ud83d\\ude00\",\"logprobs\":[{\"token\":\"h\"}]}\r\n\r\n"
     "event: response.output_text.annotation.added\ndata: "
     "{\"type\":\"response.output_text.annotation.added\",\"output_index\":1,\"annotation\":{"
     "\"type\":\"x\",\"url\":\"u\"}}\n\n"
     "event: response.output_item.added\ndata: "
     "{\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"type\":\"function_"
     "call\",\"call_id\":\"t\",\"name\":\"f\",\"namespace\":\"n\"}}\n\n"
     "event: response.function_call_arguments.delta\ndata: "
     "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"{\"}\n\n"
     "event: response.output_item.added\ndata: "
     "{\"type\":\"response.output_item.added\",\"output_index\":3,\"item\":{\"type\":\"custom_tool_"
     "call\",\"call_id\":\"u\",\"name\":\"g\"}}\n\n"
     "event: response.custom_tool_call_input.delta\ndata: "
     "{\"type\":\"response.custom_tool_call_input.delta\",\"output_index\":3,\"delta\":\"a\\\"\"}"
     "\n\n"
     "event: response.output_item.done\ndata: "
     "{\"type\":\"response.output_item.done\",\"output_index\":4,\"item\":{\"type\":\"web_search_"
     "call\",\"id\":\"w\"}}\n\n"
     "event: response.completed\ndata: "
     "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\","
     "\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n",
     "event: response.output_text.delta\ndata: "
     "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":"
     "\"text\"}\n\n",
     "event: response.completed\ndata: "
     "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, false,
     "{\"id\":\"r\",\"object\":\"response\",\"status\":\"completed\",\"output\":[{\"type\":"
     "\"message\",\"id\":\"m\",\"content\":[{\"type\":\"output_text\",\"text\":\"h\","
     "\"annotations\":[{\"type\":\"x\"}]}]},{\"type\":\"function_call\",\"call_id\":\"t\",\"name\":"
     "\"f\",\"arguments\":\"{}\"}],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, true,
     "{\"id\":\"r\",\"status\":\"completed\",\n\"output\":[{\"type\":\"message\",\"id\":\"m\","
     "\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}]}",
     NULL, NULL, true},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, true,
     ": hi\r\n\r\n"
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":"
     "\"c\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
     "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"signature_delta\",\"signature\":\"s+/=\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
     "event: ping\ndata: {\"type\": \"ping\"}\r\n\r\n"
     "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\","
     "\"text\":\"\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"h\xc3\xa4 \\u00e4 \\ud83d\\ude00\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
     "\"citations_delta\",\"citation\":{\"type\":\"x\",\"url\":\"u\"}}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":"
     "\"server_tool_use\",\"id\":\"s\",\"input\":{}}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":"
     "\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":1}\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":"
     "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":3}\n\n"
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\","
     "\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
     "\"type\":\"text_delta\",\"text\":\"text\"}}\n\n",
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
     "data: {\"type\":\"message_stop\"}\n\n"},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, false,
     "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"redacted_thinking\",\"data\":"
     "\"r\"},{\"type\":\"text\",\"text\":\"h\xc3\xa4\"},{\"type\":\"web_search_tool_result\","
     "\"content\":[]},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}],"
     "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, true,
     "{\"id\":\"m\",\"type\":\"message\",\n\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
     "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     NULL, NULL, true},
    {&tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE, false,
     "{\"id\":\"c\",\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{"
     "\"reasoningContent\":{"
     "\"reasoningText\":{\"text\":\"hm\",\"signature\":\"s+/=\"}}},{\"text\":\"h\xc3\xa4\"},{"
     "\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\",\"input\":{}}}]}},\"stopReason\":\"tool_"
     "use\","
     "\"usage\":{\"inputTokens\":1,\"outputTokens\":2}}",
     NULL, NULL},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_CHAT, true,
     "{\"id\":\"c\",\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\","
     "\"thinking\":\"hm\"},"
     "\"done\":false}\n"
     "\r\n{\"message\":{\"content\":\"h\xc3\xa4 \\u00e4\"},\"done\":false}\r\n"
     "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{"
     "\"a\":1}}}]},\"done\":false}\n"
     "{\"message\":{\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,\"prompt_eval_count\":"
     "1,"
     "\"eval_count\":2}\n",
     "{\"message\":{\"content\":\"text\"},\"done\":false}\n",
     "{\"message\":{\"content\":\"\"},\"done\":true}\n"},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_GENERATE, false,
     "{\"id\":\"c\",\"model\":\"m\",\"response\":\"h\xc3\xa4\",\"thinking\":\"hm\",\"done_reason\":"
     "\"length\","
     "\"done\":true,\"prompt_eval_count\":1,\"eval_count\":2}",
     NULL, NULL},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, true,
     ": hi\r\n\r\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true,"
     "\"thoughtSignature\":\"Qw==\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\","
     "\"responseId\":\"r\"}\r\n\r\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\xc3\xa4 \\u00e4 "
     "\\ud83d\\ude00\"}]},\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"h\","
     "\"logProbability\":-1}]}}]}\n\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"t\",\"name\":"
     "\"f\",\"args\":{\"a\":1}}},{\"executableCode\":{\"code\":\"1\"}}]}},{\"index\":1,\"content\":"
     "{"
     "\"parts\":[{\"functionCall\":{\"name\":\"g\",\"willContinue\":true}}]}}]}\n\n"
     "data: {\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"functionCall\":{"
     "\"partialArgs\":[{\"jsonPath\":\"$.a[0].b\",\"stringValue\":\"x\"}]}}]},\"safetyRatings\":[1]"
     "}]}\n\n"
     "data: {\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"},{\"index\":1,"
     "\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{\"promptTokenCount\":1,"
     "\"candidatesTokenCount\":2}}\r\n\r\n",
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"text\"}]},\"index\":0}]}\n\n",
     "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}]}\n\n"},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, true,
     " [{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a]}\\\"\"},{\"functionCall\":"
     "{\"id\":\"t\",\"name\":\"f\"}}]}}]}\r\n,\r\n{\"candidates\":[{\"finishReason\":\"STOP\"}],"
     "\"usageMetadata\":{\"promptTokenCount\":1}}\n]",
     NULL, NULL},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, false,
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\xc3\xa4\"},{\"functionCall\":"
     "{\"id\":\"t\",\"name\":\"f\",\"args\":{}}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
     "\"promptTokenCount\":1}}",
     NULL, NULL},
    /* a provider that ignores the wish for a stream */
    {&tg_adapter_vertex, TG_WIRE_GEMINI_GENERATE, true,
     "{\"candidates\":[{\"content\":{\"parts\":[\n{\"functionCall\":{\"id\":\"t\",\"name\":\"f\"}}"
     "]},\"finishReason\":\"STOP\"}]}",
     NULL, NULL, true},
    /* details with opaque state, a name that comes late, citations, images */
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     "data: {\"id\":\"c\",\"service_tier\":\"flex\",\"choices\":[{\"index\":0,\"delta\":{"
     "\"reasoning\":\"h\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"h\","
     "\"index\":0}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":"
     "\"reasoning.text\",\"signature\":\"s\",\"format\":\"anthropic-claude-v1\",\"index\":0}]}}]}"
     "\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"annotations\":[{\"type\":"
     "\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"start_index\":0,"
     "\"end_index\":1}}],\"images\":[{\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]}}]}"
     "\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
     "\"function\":{\"arguments\":\"\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
     "\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
     "data: [DONE]\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":"
     "\"reasoning.text\",\"text\":\"h\",\"index\":0}]}}]}\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_EMBEDDINGS, false,
     "{\"id\":\"e\",\"data\":[{\"index\":0,\"embedding\":[0.5,-1]},{\"index\":1,"
     "\"embedding\":\"AACAPw==\"}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,"
     "\"total_tokens\":1}}",
     NULL, NULL},
    {&tg_adapter_openai, TG_WIRE_OPENAI_MODERATIONS, false,
     "{\"id\":\"m\",\"results\":[{\"flagged\":false}]}", NULL, NULL},
    {&tg_adapter_openai, TG_WIRE_RERANK, false,
     "{\"id\":\"r\",\"results\":[{\"index\":0,\"relevance_score\":0.5}],\"usage\":{\"total_"
     "tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_azure, TG_WIRE_OPENAI_CHAT, false,
     "{\"id\":\"c\",\"prompt_filter_results\":[{\"prompt_index\":0}],\"choices\":[{\"index\":0,"
     "\"message\":{\"content\":\"a\"},\"content_filter_results\":{\"hate\":{\"filtered\":false}},"
     "\"finish_reason\":\"stop\"}]}",
     NULL, NULL},
    {&tg_adapter_azure, TG_WIRE_OPENAI_CHAT, true,
     "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0,"
     "\"content_filter_results\":{\"hate\":{\"filtered\":false}}}]}\n\n"
     "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\"},"
     "\"content_filter_results\":{\"hate\":{\"filtered\":false}}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t\"}}]}\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_azure_responses, TG_WIRE_OPENAI_RESPONSES, true,
     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
     "\"output_index\":0,\"content_index\":0,\"delta\":\"h\"}\n\n"
     "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
     "{\"id\":\"r\",\"status\":\"completed\"}}\n\n",
     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
     "\"output_index\":0,\"content_index\":0,\"delta\":\"t\"}\n\n",
     "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
     "{\"status\":\"completed\"}}\n\n"},
    {&tg_adapter_azure_responses, TG_WIRE_OPENAI_RESPONSES, false,
     "{\"id\":\"r\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"m\","
     "\"content\":[{\"type\":\"output_text\",\"text\":\"h\",\"annotations\":[]}]}]}"},
    {&tg_adapter_azure, TG_WIRE_OPENAI_EMBEDDINGS, false,
     "{\"id\":\"e\",\"data\":[{\"index\":0,\"embedding\":[0.5]}],\"usage\":{\"prompt_tokens\":1}}",
     .task = TG_TASK_EMBED},
    {&tg_adapter_azure_responses, TG_WIRE_OPENAI_EMBEDDINGS, false,
     "{\"id\":\"e\",\"data\":[{\"index\":0,\"embedding\":[0.5]}],\"usage\":{\"prompt_tokens\":1}}",
     .task = TG_TASK_EMBED},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_EMBEDDINGS, false,
     "{\"id\":\"e\",\"data\":[{\"index\":0,\"embedding\":[0.5]}],\"usage\":{\"prompt_tokens\":1}}",
     .task = TG_TASK_EMBED},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_MODERATIONS, false,
     "{\"id\":\"m\",\"results\":[{\"flagged\":true}]}", .task = TG_TASK_MODERATE},
    {&tg_adapter_openai_responses, TG_WIRE_RERANK, false,
     "{\"id\":\"r\",\"results\":[{\"index\":0,\"relevance_score\":0.5}]}", .task = TG_TASK_RERANK},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, false,
     "{\"id\":\"r\",\"object\":\"response.input_tokens\",\"input_tokens\":11}",
     .task = TG_TASK_COUNT, .translated_only = true},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_COUNT, false, "{\"id\":\"c\",\"input_tokens\":11}",
     .task = TG_TASK_COUNT},
    {&tg_adapter_vertex_claude, TG_WIRE_ANTHROPIC_MESSAGES, false,
     "{\"id\":\"c\",\"input_tokens\":11}", .task = TG_TASK_COUNT},
    {&tg_adapter_vertex_claude, TG_WIRE_ANTHROPIC_MESSAGES, false,
     "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"h\"}],"
     "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}"},
    {&tg_adapter_vertex_claude, TG_WIRE_ANTHROPIC_MESSAGES, true, CLAUDE_STREAM, CLAUDE_CHUNK,
     CLAUDE_END},
    {&tg_adapter_bedrock_invoke, TG_WIRE_ANTHROPIC_MESSAGES, false,
     "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\","
     "\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\",\"usage\":{"
     "\"input_tokens\":1,\"output_tokens\":2}}"},
    {&tg_adapter_bedrock_invoke, TG_WIRE_ANTHROPIC_MESSAGES, true,
     "chunk "
     "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n"
     "chunk {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
     "\"text\":\"\"}}\n"
     "chunk {\"id\":\"x\",\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"text_delta\",\"text\":\"h\xc3\xa4\"}}\n"
     "chunk {\"type\":\"content_block_stop\",\"index\":0}\n"
     "chunk {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
     "\"output_tokens\":9}}\n"
     "chunk {\"type\":\"message_stop\"}\n",
     "chunk {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"t\"}}\n",
     "chunk {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n"
     "chunk {\"type\":\"message_stop\"}\n",
     .framing = FRAMES_BASE64},
    {&tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE, true,
     "messageStart {\"id\":\"x\",\"role\":\"assistant\"}\n"
     "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":"
     "\"hm\"}}}\n"
     "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":"
     "\"s+/=\"}}}\n"
     "contentBlockStop {\"contentBlockIndex\":0}\n"
     "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"text\":\"h\xc3\xa4\"}}\n"
     "contentBlockStop {\"contentBlockIndex\":1}\n"
     "contentBlockStart {\"contentBlockIndex\":2,\"start\":{\"toolUse\":{\"toolUseId\":\"t\","
     "\"name\":\"f\"}}}\n"
     "contentBlockDelta {\"contentBlockIndex\":2,\"delta\":{\"toolUse\":{\"input\":\"{}\"}}}\n"
     "contentBlockStop {\"contentBlockIndex\":2}\n"
     "messageStop {\"stopReason\":\"tool_use\"}\n"
     "metadata {\"usage\":{\"inputTokens\":1,\"outputTokens\":2}}\n",
     "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"t\"}}\n",
     "messageStop {\"stopReason\":\"end_turn\"}\n", .framing = FRAMES},
    {&tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE, false, "{\"id\":\"c\",\"inputTokens\":11}",
     .task = TG_TASK_COUNT},
    {&tg_adapter_cohere, TG_WIRE_COHERE_CHAT, true,
     "event: message-start\ndata: {\"id\":\"c\",\"type\":\"message-start\",\"delta\":{\"message\":{"
     "\"role\":\"assistant\"}}}\n\n"
     "event: tool-plan-delta\ndata: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{"
     "\"tool_plan\":\"hm\"}}}\n\n"
     "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{"
     "\"content\":{\"text\":\"h\xc3\xa4 \\u00e4\"}}}}\n\n"
     "event: citation-start\ndata: "
     "{\"type\":\"citation-start\",\"index\":0,\"delta\":{\"message\":{"
     "\"citations\":{\"start\":0,\"end\":1,\"text\":\"h\",\"sources\":[{\"type\":\"document\"}]}}}}"
     "\n\n"
     "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{"
     "\"message\":{\"tool_calls\":{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"\"}}}}}\n\n"
     "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{"
     "\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}}}\n\n"
     "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":"
     "\"TOOL_CALL\",\"usage\":{\"tokens\":{\"input_tokens\":1,\"output_tokens\":2}}}}\n\n",
     "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{"
     "\"content\":{\"text\":\"t\"}}}}\n\n",
     "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":"
     "\"COMPLETE\"}}\n\n"},
    {&tg_adapter_cohere, TG_WIRE_COHERE_CHAT, false,
     "{\"id\":\"c\",\"message\":{\"role\":\"assistant\",\"tool_plan\":\"hm\",\"content\":[{"
     "\"type\":"
     "\"text\",\"text\":\"h\xc3\xa4\"}],\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"TOOL_CALL\","
     "\"usage\":{\"tokens\":{\"input_tokens\":1,\"output_tokens\":2}}}"},
    {&tg_adapter_cohere, TG_WIRE_COHERE_EMBED, false,
     "{\"id\":\"e\",\"embeddings\":{\"float\":[[0.5,-1],[1,2]]},\"meta\":{\"billed_units\":{"
     "\"input_tokens\":2}}}",
     .task = TG_TASK_EMBED},
    {&tg_adapter_cohere, TG_WIRE_RERANK, false,
     "{\"id\":\"r\",\"results\":[{\"index\":1,\"relevance_score\":0.5},{\"index\":0,"
     "\"relevance_score\":0.25}],\"meta\":{\"billed_units\":{\"search_units\":1}}}",
     .task = TG_TASK_RERANK},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_CHAT, false,
     "{\"id\":\"c\",\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"h\"},"
     "\"done_reason\":\"stop\",\"done\":true,\"prompt_eval_count\":1,\"eval_count\":2}"},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_GENERATE, true,
     "{\"id\":\"c\",\"model\":\"m\",\"response\":\"h\",\"done\":false}\n"
     "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1]}\n",
     "{\"response\":\"t\",\"done\":false}\n", "{\"response\":\"\",\"done\":true}\n"},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_EMBED, false,
     "{\"id\":\"e\",\"model\":\"m\",\"embeddings\":[[0.5,-1],[1,2]],\"prompt_eval_count\":2}",
     .task = TG_TASK_EMBED},
    {&tg_adapter_huggingface, TG_WIRE_HF_GENERATE, true,
     ": hi\r\n\r\n"
     "data:{\"id\":\"c\",\"token\":{\"id\":1,\"text\":\"h\xc3\xa4 \\u00e4\",\"special\":false},"
     "\"generated_text\":null,\"details\":null}\n\n"
     "data:{\"index\":2,\"token\":{\"text\":\"</s>\",\"special\":true},\"generated_text\":\"h\","
     "\"details\":{\"finish_reason\":\"eos_token\",\"generated_tokens\":2,\"input_length\":1}}\n\n",
     "data:{\"token\":{\"text\":\"text\"},\"generated_text\":null}\n\n",
     "data:{\"token\":{\"text\":\"\"},\"generated_text\":\"\"}\n\n"},
    {&tg_adapter_huggingface, TG_WIRE_HF_GENERATE, false,
     "{\"id\":\"c\",\"generated_text\":\"h\xc3\xa4\",\"details\":{\"finish_reason\":\"length\","
     "\"generated_tokens\":2,\"seed\":null,\"prefill\":[],\"tokens\":[]}}"},
    {&tg_adapter_huggingface, TG_WIRE_HF_GENERATE, false, "[[0.5,-1],[1e-3]]",
     .task = TG_TASK_EMBED},
    {&tg_adapter_huggingface, TG_WIRE_HF_GENERATE, false,
     "[{\"id\":\"c\",\"index\":1,\"score\":0.9},{\"index\":0,\"score\":0.1}]",
     .task = TG_TASK_RERANK},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_COUNT, false, "{\"id\":\"c\",\"totalTokens\":11}",
     .task = TG_TASK_COUNT},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_EMBED, false,
     "{\"id\":\"e\",\"embeddings\":[{\"values\":[0.5,-1]},{\"values\":[1]}]}",
     .task = TG_TASK_EMBED},
    {&tg_adapter_vertex, TG_WIRE_GEMINI_GENERATE, false,
     "{\"id\":\"v\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\"}]},\"finishReason\":"
     "\"STOP\"}]}"},
    {&tg_adapter_vertex, TG_WIRE_GEMINI_GENERATE, false, "{\"id\":\"c\",\"totalTokens\":11}",
     .task = TG_TASK_COUNT, .translated_only = true},
    {&tg_adapter_vertex, TG_WIRE_GEMINI_GENERATE, false,
     "{\"id\":\"e\",\"predictions\":[{\"embeddings\":{\"values\":[0.5],\"statistics\":{"
     "\"token_count\":3}}}]}",
     .task = TG_TASK_EMBED, .translated_only = true},
};

const size_t n_adapter_cases = sizeof adapter_cases / sizeof *adapter_cases;
