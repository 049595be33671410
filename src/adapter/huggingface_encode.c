/* Canonical request → /generate, /generate_stream, /embed or /rerank. The servers know no
 * conversations: one becomes a plain text, `User: … Assistant:`, which is said to be emulated.
 * `details` are asked for always: the finish reason and the counts are in them. */
#include "adapter/encode_priv.h"
#include "adapter/huggingface_priv.h"
#include "base/err.h"
#include "chat/fidelity.h"

#define ROW(id, fate) [TG_FEATURE_##id] = TG_##fate

const uint8_t tg_huggingface_fidelity[TG_FEATURE_COUNT] = {
    ROW(SYSTEM, EMULATED),
    ROW(DEVELOPER, EMULATED),
    ROW(NAME, DROPPED),
    ROW(TEMPERATURE, NATIVE),
    ROW(TOP_P, NATIVE),
    ROW(TOP_K, NATIVE),
    ROW(MIN_P, DROPPED),
    ROW(PRESENCE, DROPPED),
    ROW(FREQUENCY, NATIVE),
    ROW(REPETITION, NATIVE),
    ROW(MAX_TOKENS, NATIVE),
    ROW(SEED, NATIVE),
    ROW(N, REFUSED),
    ROW(LOGPROBS, DROPPED),
    ROW(TOP_LOGPROBS, DROPPED),
    ROW(STOP, NATIVE),
    ROW(LOGIT_BIAS, DROPPED),
    ROW(TOOLS, REFUSED),
    ROW(TOOL_TYPES, REFUSED),
    ROW(TOOL_STRICT, DROPPED),
    ROW(TOOL_CHOICE, DROPPED),
    ROW(TOOL_REQUIRED, REFUSED),
    ROW(TOOL_NAMED, REFUSED),
    ROW(TOOL_CHOICE_RAW, REFUSED),
    ROW(PARALLEL, DROPPED),
    ROW(RESULT_ERROR, REFUSED),
    ROW(RESULT_MEDIA, REFUSED),
    ROW(JSON_OBJECT, EMULATED),
    ROW(JSON_SCHEMA, NATIVE),
    ROW(EFFORT, DROPPED),
    ROW(BUDGET, DROPPED),
    ROW(SHOW, DROPPED),
    ROW(REASONING, DROPPED),
    ROW(SIGNED, DROPPED),
    ROW(ENCRYPTED, DROPPED),
    ROW(THOUGHT, DROPPED),
    ROW(IMAGE, REFUSED),
    ROW(IMAGE_URL, REFUSED),
    ROW(IMAGE_FILE, REFUSED),
    ROW(IMAGE_DETAIL, REFUSED),
    ROW(DOCUMENT, REFUSED),
    ROW(DOCUMENT_URL, REFUSED),
    ROW(DOCUMENT_FILE, REFUSED),
    ROW(AUDIO, REFUSED),
    ROW(RAW_PART, REFUSED),
    ROW(REFUSAL, EMULATED),
    ROW(CACHE_HINT, DROPPED),
    ROW(SERVICE_TIER, DROPPED),
    ROW(USER, DROPPED),
    ROW(METADATA, DROPPED),
    ROW(PROMPT, NATIVE),
    ROW(COUNTING, EMULATED),
    ROW(EXTRA, DROPPED),
    ROW(DIMENSIONS, NATIVE),
    ROW(BASE64, NATIVE),
    ROW(INPUT_TOKENS, NATIVE),
    ROW(INPUT_TYPE, NATIVE),
};

/* ---- the prompt ---- */

static int write_parts(struct tg_jw *w, const struct tg_message *m, size_t index,
                       struct tg_fail *fail)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind == TG_PART_TEXT || p->kind == TG_PART_REFUSAL)
            tg_jw_str_piece(w, p->text);
        else if (p->kind != TG_PART_REASONING)
            return tg_adapter_cannot(fail, index, "a part that is no text");
    }
    return 0;
}

static int write_message(struct tg_jw *w, const struct tg_message *m, size_t index,
                         struct tg_fail *fail)
{
    bool system = m->role == TG_ROLE_SYSTEM || m->role == TG_ROLE_DEVELOPER;
    if (m->role == TG_ROLE_TOOL)
        return tg_adapter_cannot(fail, index, "a tool's result");
    if (!system)
        tg_jw_str_piece(w, m->role == TG_ROLE_USER ? TG_STR("User: ") : TG_STR("Assistant: "));
    int rc = write_parts(w, m, index, fail);
    tg_jw_str_piece(w, system ? TG_STR("\n\n") : TG_STR("\n"));
    return rc;
}

static int write_prompt(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    int rc = 0;
    tg_jw_key(w, TG_STR("inputs"));
    if (req->is_completion) {
        tg_jw_str(w, req->prompt);
        return 0;
    }
    tg_jw_str_open(w);
    for (size_t i = 0; i < req->n_messages && !rc; i++)
        rc = write_message(w, &req->messages[i], i, fail);
    tg_jw_str_piece(w, TG_STR("Assistant:"));
    tg_jw_str_close(w);
    return rc;
}

/* ---- parameters ---- */

/* The server refuses a temperature of 0 and a top_p of 1: both mean what it does without them. It
 * takes the likeliest token unless it is told to draw. */
static void write_sampling(struct tg_jw *w, const struct tg_sampling *s, uint64_t *out_dropped)
{
    if (s->has & TG_HAS_TEMPERATURE && s->temperature > 0) {
        tg_jw_kdouble(w, TG_STR("temperature"), s->temperature);
        tg_jw_kbool(w, TG_STR("do_sample"), true);
    } else if (s->has & TG_HAS_TEMPERATURE) {
        tg_jw_kbool(w, TG_STR("do_sample"), false);
    }
    if (s->has & TG_HAS_TOP_P && s->top_p > 0 && s->top_p < 1)
        tg_jw_kdouble(w, TG_STR("top_p"), s->top_p);
    if (s->has & TG_HAS_TOP_K && s->top_k > 0)
        tg_jw_ki64(w, TG_STR("top_k"), s->top_k);
    if (s->has & TG_HAS_FREQUENCY)
        tg_jw_kdouble(w, TG_STR("frequency_penalty"), s->frequency_penalty);
    if (s->has & TG_HAS_REPEAT)
        tg_jw_kdouble(w, TG_STR("repetition_penalty"), s->repeat_penalty);
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, TG_STR("max_new_tokens"), s->max_tokens);
    if (s->has & TG_HAS_SEED && s->seed > 0)
        tg_jw_ki64(w, TG_STR("seed"), s->seed);
    else if (s->has & TG_HAS_SEED)
        *out_dropped |= TG_FEATURE_BIT(SEED);
}

static void write_stops(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_sampling *s = &req->sampling;
    if (!s->n_stops && req->is_completion)
        return;
    tg_jw_key(w, TG_STR("stop"));
    tg_jw_arr(w);
    for (size_t i = 0; i < s->n_stops; i++)
        tg_jw_str(w, s->stops[i]);
    if (!req->is_completion)
        tg_jw_str(w, TG_STR(TG_HUGGINGFACE_TURN));
    tg_jw_end_arr(w);
}

static void write_grammar(struct tg_jw *w, const struct tg_output_format *f)
{
    if (f->kind != TG_FORMAT_JSON && f->kind != TG_FORMAT_SCHEMA)
        return;
    bool schema = f->kind == TG_FORMAT_SCHEMA && f->schema.n;
    tg_jw_key(w, TG_STR("grammar"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("json"));
    tg_jw_kraw(w, TG_STR("value"), schema ? f->schema : TG_STR("{\"type\":\"object\"}"));
    tg_jw_end_obj(w);
}

static int write_generate(struct tg_jw *w, const struct tg_chat_req *req,
                          struct tg_adapter_request *out, struct tg_fail *fail)
{
    int rc = write_prompt(w, req, fail);
    tg_jw_key(w, TG_STR("parameters"));
    tg_jw_obj(w);
    write_sampling(w, &req->sampling, &out->dropped);
    write_stops(w, req);
    write_grammar(w, &req->format);
    tg_jw_kbool(w, TG_STR("return_full_text"), false);
    tg_jw_kbool(w, TG_STR("details"), true);
    tg_jw_end_obj(w);
    if (!req->is_completion)
        out->emulated |= TG_FEATURE_BIT(PROMPT);
    return rc;
}

/* ---- embeddings and ranking ---- */

/* Texts and lists of tokens are both fine. */
static int write_embed(struct tg_jw *w, const struct tg_inputs *in, struct tg_fail *fail)
{
    tg_jw_key(w, TG_STR("inputs"));
    tg_jw_arr(w);
    for (size_t i = 0; i < in->n; i++) {
        struct tg_str raw = in->raw ? in->raw[i] : TG_STR("");
        if (raw.n && raw.p[0] == '{' && !in->texts[i].n)
            return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "input",
                                 "an input that is not text is not supported by this model's API");
        if (raw.n && raw.p[0] == '[')
            tg_jw_raw(w, raw);
        else
            tg_jw_str(w, in->texts[i]);
    }
    tg_jw_end_arr(w);
    if (in->dimensions >= 0)
        tg_jw_ki64(w, TG_STR("dimensions"), in->dimensions);
    if (in->purpose.n)
        tg_jw_kstr(w, TG_STR("prompt_name"), in->purpose);
    return 0;
}

/* Without top_n: the decoder cuts the list. */
static int write_rerank(struct tg_jw *w, const struct tg_chat_req *req)
{
    tg_jw_kstr(w, TG_STR("query"), req->prompt);
    tg_jw_key(w, TG_STR("texts"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->inputs.n; i++)
        tg_jw_str(w, req->inputs.texts[i]);
    tg_jw_end_arr(w);
    return 0;
}

int tg_huggingface_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                               struct tg_adapter_request *out, struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    tg_jw_obj(&w);
    int rc = req->task == TG_TASK_EMBED    ? write_embed(&w, &req->inputs, fail)
             : req->task == TG_TASK_RERANK ? write_rerank(&w, req)
                                           : write_generate(&w, req, out, fail);
    tg_jw_end_obj(&w);
    return tg_adapter_take_body(a, &b, rc, &out->body, fail);
}
