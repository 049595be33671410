/* POST /api/chat (with `messages`) and /api/generate: the tables, opening, and the canonical form.
 * Streaming is the default. */
#include "base/err.h"
#include "dialect/fields_priv.h"
#include "dialect/ollama_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule chat_rules[] = {
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("tools", TG_F_TOOLS, TG_CHECK_ARRAY),
    TG_RULE("think", TG_F_REASONING, TG_CHECK_ANY),
    TG_RULE("format", TG_F_RESPONSE_FORMAT, TG_CHECK_STRING_OR_OBJECT),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("options", TG_F_OPTIONS, TG_CHECK_OBJECT),
    TG_RULE("messages", TG_F_MESSAGES, TG_CHECK_ARRAY),
    TG_RULE("keep_alive", TG_F_NONE, TG_CHECK_ANY),
};
static const struct tg_field_rule generate_rules[] = {
    TG_RULE("raw", TG_F_RAW, TG_CHECK_BOOL),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("think", TG_F_REASONING, TG_CHECK_ANY),
    TG_RULE("images", TG_F_IMAGES, TG_CHECK_ARRAY),
    TG_RULE("prompt", TG_F_PROMPT, TG_CHECK_STRING),
    TG_RULE("system", TG_F_SYSTEM, TG_CHECK_STRING),
    TG_RULE("format", TG_F_RESPONSE_FORMAT, TG_CHECK_STRING_OR_OBJECT),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("options", TG_F_OPTIONS, TG_CHECK_OBJECT),
};
static const struct tg_field_table chat_table = {chat_rules, TG_ARRAY_LEN(chat_rules),
                                                 TG_STR_INIT("messages")};
static const struct tg_field_table generate_table = {generate_rules, TG_ARRAY_LEN(generate_rules),
                                                     TG_STR_INIT("")};

static int open_body(const struct tg_dialect *d, const struct tg_field_table *t, struct tg_arena *a,
                     struct tg_str text, struct tg_body **out_body, struct tg_call *out,
                     struct tg_fail *f)
{
    int rc = tg_body_open(a, text, t, out_body, f);
    if (rc)
        return rc;
    tg_body_fill_call(d, text, *out_body, out);
    out->stream = tg_json_is_nil((*out_body)->v[TG_F_STREAM]) || out->stream;
    out->include_usage = true; /* counts are part of every last line */
    return 0;
}

/* Without a message or a prompt the model is loaded, and with a keep_alive of 0 unloaded; the
 * answer is one object, also to who wants a stream. */
static void only_loads(struct tg_call *c)
{
    c->loads = true;
    c->stream = false;
}

static int open_chat(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                     struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = open_body(&tg_dialect_ollama_chat, &chat_table, a, text, &b, out, f);
    if (rc == 0 && !tg_json_count(b->v[TG_F_MESSAGES]))
        only_loads(out);
    return rc;
}

static int open_generate(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                         struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = open_body(&tg_dialect_ollama_generate, &generate_table, a, text, &b, out, f);
    if (rc == 0 && !tg_body_str(b, TG_F_PROMPT).n)
        only_loads(out);
    return rc;
}

static int parse_chat(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                      struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    int rc = tg_ollama_parse_options(a, b, &req, f);
    if (rc == 0)
        rc = tg_ollama_parse_messages(a, b, &req, f);
    if (rc == 0 && (tg_body_top_extra(a, b, &chat_table, &req.extra) < 0 ||
                    tg_ollama_left_options(a, b, &req.extra) < 0))
        rc = tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    if (rc == 0)
        *out = req;
    return rc;
}

/* A user message with the prompt and its images, behind the system's. */
static int prompt_messages(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req,
                           struct tg_fail *f)
{
    const struct tg_json *images = b->v[TG_F_IMAGES];
    int rc = tg_body_one_message(a, tg_body_str(b, TG_F_SYSTEM), tg_body_str(b, TG_F_PROMPT), req);
    if (rc < 0)
        return tg_fail_set(f, rc, "not enough memory for the request");
    if (!tg_json_count(images))
        return 0;
    struct tg_message *m = &req->messages[req->n_messages - 1];
    struct tg_part *parts = tg_arena_array(a, tg_json_count(images) + 1, sizeof *parts);
    if (!parts)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    parts[0] = m->parts[0];
    m->parts = parts;
    return tg_ollama_images(images, "images", m->parts, &m->n_parts, f);
}

static int parse_generate(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                          struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    int rc = tg_ollama_parse_options(a, b, &req, f);
    if (rc < 0)
        return rc;
    req.is_completion = tg_body_true(b, TG_F_RAW);
    if (req.is_completion)
        req.prompt = tg_body_str(b, TG_F_PROMPT);
    else
        rc = prompt_messages(a, b, &req, f);
    if (rc == 0 && (tg_body_top_extra(a, b, &generate_table, &req.extra) < 0 ||
                    tg_ollama_left_options(a, b, &req.extra) < 0))
        rc = tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    if (rc == 0)
        *out = req;
    return rc;
}

static const struct tg_endpoint chat_endpoints[] = {
    {TG_HTTP_POST, "/api/chat", "Ollama chat (a body with `messages`)", "OllamaChatRequest",
     "OllamaChat", "OllamaChat", "OllamaError"},
};
static const struct tg_endpoint generate_endpoints[] = {
    {TG_HTTP_POST, "/api/generate", "Ollama generate", "OllamaGenerateRequest", "OllamaGenerate",
     "OllamaGenerate", "OllamaError"},
};

const struct tg_dialect tg_dialect_ollama_chat = {
    .name = "ollama_chat",
    .fields = tg_fields_ollama,
    .endpoints = chat_endpoints,
    .n_endpoints = TG_ARRAY_LEN(chat_endpoints),
    .format = TG_WIRE_OLLAMA_CHAT,
    .curl = true,
    .open = open_chat,
    .parse = parse_chat,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_ollama_render),
    .begin = tg_ollama_begin,
    .render = tg_ollama_render,
    .finish = tg_ollama_finish,
    .fini = tg_ollama_fini,
    .render_fail = tg_ollama_fail,
    .stream_content_type = "application/x-ndjson",
    .write_silence = tg_ollama_write_silence,
};

const struct tg_dialect tg_dialect_ollama_generate = {
    .name = "ollama_generate",
    .fields = tg_fields_ollama_generate,
    .prompt_field = "prompt",
    .endpoints = generate_endpoints,
    .n_endpoints = TG_ARRAY_LEN(generate_endpoints),
    .format = TG_WIRE_OLLAMA_GENERATE,
    .curl = true,
    .open = open_generate,
    .parse = parse_generate,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_ollama_render),
    .begin = tg_ollama_begin,
    .render = tg_ollama_render,
    .finish = tg_ollama_finish,
    .fini = tg_ollama_fini,
    .render_fail = tg_ollama_fail,
    .stream_content_type = "application/x-ndjson",
    .write_silence = tg_ollama_write_silence,
};
