/* One candidate of a GenerateContentResponse → canonical events: its parts, its sources, and what
 * else stands beside them.
 *
 * Ends. finishReason may come before the last content and metadata, so FINISH is told at the end of
 * the answer. STOP with a call in the answer is the canonical "tool calls". */
#include "adapter/gemini_priv.h"
#include "base/alloc.h"
#include "base/err.h"

enum { MAX_CANDIDATES = 4096 };

/* ---- parts ---- */

struct tg_gemini_cand *tg_gemini_find_cand(struct tg_gemini_chunk *c, uint32_t index)
{
    struct tg_gemini_dec *d = c->d;
    for (uint32_t i = 0; i < d->n_cands; i++) {
        if (d->cands[i].index == index)
            return &d->cands[i];
    }
    if (d->n_cands == d->cap_cands) {
        uint32_t cap = d->cap_cands ? d->cap_cands * 2 : 1;
        void *p = cap > MAX_CANDIDATES ? NULL : tg_realloc(d->cands, cap * sizeof *d->cands);
        if (!p) {
            c->err = cap > MAX_CANDIDATES ? TG_E_UPSTREAM_INVALID : TG_E_NOMEM;
            return NULL;
        }
        d->cands = p;
        d->cap_cands = cap;
    }
    d->cands[d->n_cands] = (struct tg_gemini_cand){.index = index};
    return &d->cands[d->n_cands++];
}

static void emit(struct tg_gemini_chunk *c, struct tg_event *ev)
{
    ev->choice = c->c->index;
    c->sink->on_event(c->sink, ev);
}

static void emit_delta(struct tg_gemini_chunk *c, enum tg_delta_kind kind, struct tg_str text)
{
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = c->c->open_part,
                               .delta_kind = kind,
                               .text = text,
                               .logprobs = c->logprobs});
    c->logprobs = TG_STR("");
}

static void end_part(struct tg_gemini_chunk *c)
{
    emit(c, &(struct tg_event){.kind = TG_EV_PART_END, .part = c->c->open_part});
    c->c->open = false;
}

/* The arguments of a call that came in pieces, whole. */
static void end_call(struct tg_gemini_chunk *c)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    int rc = tg_gemini_args_write(&c->c->args, &b);
    if (rc)
        c->err = rc;
    else
        emit_delta(c, TG_DELTA_ARGUMENTS, tg_buf_str(&b));
    tg_buf_fini(&b);
    tg_gemini_args_clear(&c->c->args);
    end_part(c);
}

static void end_open(struct tg_gemini_chunk *c)
{
    if (!c->c->open)
        return;
    if (c->c->open_kind == TG_PART_TOOL_CALL)
        end_call(c);
    else
        end_part(c);
}

static void start_part(struct tg_gemini_chunk *c, struct tg_event *ev)
{
    end_open(c);
    ev->kind = TG_EV_PART_START;
    ev->part = c->c->open_part = c->c->n_parts++;
    c->c->open = true;
    c->c->open_kind = ev->part_kind;
    c->c->text_bytes = 0;
    c->c->not_ascii = c->c->is_signed = false;
    emit(c, ev);
}

static void note_text(struct tg_gemini_cand *c, struct tg_str text)
{
    for (size_t i = 0; i < text.n && !c->not_ascii; i++)
        c->not_ascii = (unsigned char)text.p[i] >= 0x80;
    c->text_bytes += text.n;
}

/* ---- texts and signatures ---- */

/* goes_on: it may be the next piece of the part that is open. */
static void text_part(struct tg_gemini_chunk *c, const struct tg_json *v, struct tg_str signature,
                      bool goes_on)
{
    bool thought = tg_json_true(tg_json_get(v, TG_STR("thought")));
    struct tg_str text = tg_json_get_str(v, TG_STR("text"));
    enum tg_part_kind kind = thought ? TG_PART_REASONING : TG_PART_TEXT;
    if (!text.n && !signature.n)
        return;
    bool same = c->c->open && c->c->open_kind == kind && goes_on && !c->c->is_signed;
    if (!same)
        start_part(c, &(struct tg_event){.part_kind = kind});
    note_text(c->c, text);
    if (text.n)
        emit_delta(c, thought ? TG_DELTA_REASONING : TG_DELTA_TEXT, text);
    if (!signature.n)
        return;
    c->c->is_signed = true; /* more text is another part; citations may still come for this one */
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = c->c->open_part,
                               .delta_kind = TG_DELTA_SIGNATURE,
                               .opaque = TG_OPAQUE_THOUGHT,
                               .text = signature});
}

/* ---- calls ---- */

/* "call_<responseId>_<n>": Gemini 2.5 gives calls no ids, and a conversation must not have one
 * twice. */
static struct tg_str call_id(struct tg_gemini_chunk *c, const struct tg_json *call)
{
    struct tg_str id = tg_json_get_str(call, TG_STR("id"));
    uint32_t n = c->c->n_calls++;
    if (id.n)
        return id;
    if (c->id.n && c->id.n <= 64)
        id = tg_arena_printf(&c->d->scratch, "call_%.*s_%u_%u", TG_STR_ARG(c->id), c->c->index, n);
    else
        id = tg_arena_printf(&c->d->scratch, "call_%016llx_%u_%u", (unsigned long long)c->d->seed,
                             c->c->index, n);
    if (!id.p)
        c->err = TG_E_NOMEM;
    return id;
}

static void add_pieces(struct tg_gemini_chunk *c, const struct tg_json *call)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(call, TG_STR("partialArgs")));
    while (!c->err && tg_json_next(&it))
        c->err = tg_gemini_args_add(&c->c->args, c->doc, it.value);
}

static void call_part(struct tg_gemini_chunk *c, const struct tg_json *call,
                      struct tg_str signature)
{
    struct tg_str name = tg_json_get_str(call, TG_STR("name"));
    const struct tg_json *args = tg_json_get(call, TG_STR("args"));
    bool more = tg_json_true(tg_json_get(call, TG_STR("willContinue")));
    bool goes_on = c->c->open && c->c->open_kind == TG_PART_TOOL_CALL && !name.n;
    if (!goes_on && !name.n)
        return; /* the end of a call that is over */
    if (!goes_on) {
        struct tg_str id = call_id(c, call);
        start_part(c,
                   &(struct tg_event){.part_kind = TG_PART_TOOL_CALL,
                                      .id = id,
                                      .name = name,
                                      .signature = signature,
                                      .opaque = signature.n ? TG_OPAQUE_THOUGHT : TG_OPAQUE_NONE});
        c->c->has_calls = true;
    }
    add_pieces(c, call);
    if (more || c->err)
        return;
    if (!tg_json_is_obj(args)) {
        end_call(c);
        return;
    }
    emit_delta(c, TG_DELTA_ARGUMENTS, tg_json_raw(c->doc, args));
    tg_gemini_args_clear(&c->c->args);
    end_part(c);
}

/* ---- other parts ---- */

static void media_part(struct tg_gemini_chunk *c, const struct tg_json *v, bool blob)
{
    struct tg_str mime = tg_json_proto_str(v, TG_STR("mimeType"));
    struct tg_media m = {
        .source = blob ? TG_MEDIA_INLINE : TG_MEDIA_URL,
        .mime = mime,
        .data = blob ? tg_json_get_str(v, TG_STR("data")) : tg_json_proto_str(v, TG_STR("fileUri")),
    };
    bool audio = tg_str_istarts(mime, TG_STR("audio/"));
    start_part(c,
               &(struct tg_event){.part_kind = audio ? TG_PART_AUDIO : TG_PART_IMAGE, .media = &m});
    end_part(c);
}

static bool is_media(const struct tg_json *v)
{
    struct tg_str mime = tg_json_proto_str(v, TG_STR("mimeType"));
    return tg_str_istarts(mime, TG_STR("image/")) || tg_str_istarts(mime, TG_STR("audio/"));
}

static void raw_part(struct tg_gemini_chunk *c, const struct tg_json *v)
{
    start_part(c, &(struct tg_event){.part_kind = TG_PART_RAW,
                                     .format = TG_WIRE_GEMINI_GENERATE,
                                     .text = tg_json_raw(c->doc, v)});
    end_part(c);
}

static void one_part(struct tg_gemini_chunk *c, const struct tg_json *v, bool goes_on)
{
    const struct tg_json *call = tg_json_proto_get(v, TG_STR("functionCall"));
    const struct tg_json *blob = tg_json_proto_get(v, TG_STR("inlineData"));
    const struct tg_json *file = tg_json_proto_get(v, TG_STR("fileData"));
    const struct tg_json *text = tg_json_get(v, TG_STR("text"));
    struct tg_str signature = tg_json_proto_str(v, TG_STR("thoughtSignature"));
    if (tg_json_is_obj(call))
        call_part(c, call, signature);
    else if (is_media(blob) || is_media(file))
        media_part(c, is_media(blob) ? blob : file, is_media(blob));
    else if (tg_json_is_str(text) || (signature.n && tg_json_count(v) == 1))
        text_part(c, v, signature, goes_on);
    else if (tg_json_count(v))
        raw_part(c, v);
}

static void parts(struct tg_gemini_chunk *c, const struct tg_json *content)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(content, TG_STR("parts")));
    while (!c->err && tg_json_next(&it))
        one_part(c, it.value, it.index == 0);
}

/* Pass-through wants to know only that content has begun. */
static void note_content(struct tg_gemini_chunk *c, const struct tg_json *content)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(content, TG_STR("parts")));
    while (!c->d->content_seen && tg_json_next(&it)) {
        struct tg_event ev = {.kind = TG_EV_DELTA,
                              .text = tg_json_get_str(it.value, TG_STR("text"))};
        if (tg_json_true(tg_json_get(it.value, TG_STR("thought"))))
            ev.delta_kind = TG_DELTA_REASONING;
        if (tg_json_get(it.value, TG_STR("functionCall")))
            ev.delta_kind = TG_DELTA_ARGUMENTS;
        if (!ev.text.n && ev.delta_kind != TG_DELTA_ARGUMENTS &&
            !tg_json_get(it.value, TG_STR("inlineData")))
            continue;
        c->d->content_seen = true;
        emit(c, &ev);
    }
}

/* Calls; and signatures, so that the conversation goes back to the account that made them. */
static void note_calls(struct tg_gemini_chunk *c, const struct tg_json *content)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(content, TG_STR("parts")));
    while (tg_json_next(&it)) {
        struct tg_str signature = tg_json_proto_str(it.value, TG_STR("thoughtSignature"));
        c->c->has_calls |= tg_json_get(it.value, TG_STR("functionCall")) != NULL;
        if (signature.n)
            emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                                       .delta_kind = TG_DELTA_SIGNATURE,
                                       .opaque = TG_OPAQUE_THOUGHT,
                                       .text = signature});
    }
}

/* ---- sources ---- */

static int64_t place(const struct tg_gemini_chunk *c, const struct tg_json *v, bool start)
{
    int64_t n;
    if (c->c->not_ascii) /* Google counts bytes */
        return -1;
    if (tg_json_i64(v, &n))
        return start ? 0 : -1; /* 0 is left out */
    return n;
}

static void citation(struct tg_gemini_chunk *c, const struct tg_json *source,
                     const struct tg_json *at)
{
    struct tg_str url = tg_json_get_str(source, TG_STR("uri"));
    struct tg_str title = tg_json_get_str(source, TG_STR("title"));
    struct tg_citation cite = {
        .url = url.p ? url : TG_STR(""),
        .title = title.p ? title : TG_STR(""),
        .text = TG_STR(""),
        .start = place(c, tg_json_get(at, TG_STR("startIndex")), true),
        .end = place(c, tg_json_get(at, TG_STR("endIndex")), false),
        .raw = tg_json_raw(c->doc, source),
        .format = TG_WIRE_GEMINI_GENERATE,
    };
    if (tg_json_get(source, TG_STR("text")))
        cite.text = tg_json_get_str(source, TG_STR("text"));
    if (!url.n && !title.n)
        return;
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = c->c->open_part,
                               .delta_kind = TG_DELTA_CITATION,
                               .citation = &cite});
}

/* groundingChunks[i] is {"web":{…}}, {"retrievedContext":{…}} or {"maps":{…}}. */
static const struct tg_json *source_of(const struct tg_json *chunk)
{
    struct tg_json_iter it = tg_json_iter(chunk);
    return tg_json_next(&it) && tg_json_is_obj(it.value) ? it.value : NULL;
}

static void grounding(struct tg_gemini_chunk *c, const struct tg_json *meta)
{
    const struct tg_json *chunks = tg_json_get(meta, TG_STR("groundingChunks"));
    struct tg_json_iter it = tg_json_iter(tg_json_get(meta, TG_STR("groundingSupports")));
    while (tg_json_next(&it)) {
        const struct tg_json *segment = tg_json_get(it.value, TG_STR("segment"));
        struct tg_json_iter k =
            tg_json_iter(tg_json_get(it.value, TG_STR("groundingChunkIndices")));
        while (tg_json_next(&k)) {
            int64_t n;
            if (tg_json_i64(k.value, &n) || n < 0 || n >= 1024)
                continue;
            const struct tg_json *source = source_of(tg_json_at(chunks, (size_t)n));
            if (source)
                citation(c, source, segment);
        }
    }
}

static void citations(struct tg_gemini_chunk *c, const struct tg_json *meta)
{
    const struct tg_json *list = tg_json_get(meta, TG_STR("citationSources"));
    struct tg_json_iter it = tg_json_iter(list ? list : tg_json_get(meta, TG_STR("citations")));
    while (tg_json_next(&it))
        citation(c, it.value, it.value);
}

void tg_gemini_emit_extra(struct tg_gemini_chunk *c, const struct tg_json_iter *it)
{
    emit(c, &(struct tg_event){.kind = TG_EV_EXTRA,
                               .name = it->name,
                               .text = tg_json_raw(c->doc, it->value),
                               .format = TG_WIRE_GEMINI_GENERATE});
}

/* Members of a candidate beside its content. */
static void beside(struct tg_gemini_chunk *c, const struct tg_json *v)
{
    struct tg_json_iter it = tg_json_iter(v);
    bool text = c->c->open && c->c->open_kind == TG_PART_TEXT;
    while (!c->err && tg_json_next(&it)) {
        bool known =
            tg_str_eq(it.name, TG_STR("content")) || tg_str_eq(it.name, TG_STR("finishReason")) ||
            tg_str_eq(it.name, TG_STR("index")) || tg_str_eq(it.name, TG_STR("tokenCount")) ||
            tg_str_eq(it.name, TG_STR("logprobsResult"));
        if (known || tg_json_is_nil(it.value))
            continue;
        if (text && tg_str_eq(it.name, TG_STR("groundingMetadata")))
            grounding(c, it.value);
        if (text && tg_str_eq(it.name, TG_STR("citationMetadata")))
            citations(c, it.value);
        tg_gemini_emit_extra(c, &it);
    }
}

/* ---- the end ---- */

static enum tg_finish finish_of(const struct tg_gemini_cand *c)
{
    static const struct {
        const char *word;
        enum tg_finish finish;
    } words[] = {
        {"STOP", TG_FINISH_STOP},
        {"FINISH_REASON_STOP", TG_FINISH_STOP},
        {"", TG_FINISH_STOP},
        {"MAX_TOKENS", TG_FINISH_LENGTH},
        {"SAFETY", TG_FINISH_CONTENT_FILTER},
        {"RECITATION", TG_FINISH_CONTENT_FILTER},
        {"LANGUAGE", TG_FINISH_CONTENT_FILTER},
        {"BLOCKLIST", TG_FINISH_CONTENT_FILTER},
        {"PROHIBITED_CONTENT", TG_FINISH_CONTENT_FILTER},
        {"SPII", TG_FINISH_CONTENT_FILTER},
        {"MODEL_ARMOR", TG_FINISH_CONTENT_FILTER},
        {"IMAGE_SAFETY", TG_FINISH_CONTENT_FILTER},
        {"IMAGE_PROHIBITED_CONTENT", TG_FINISH_CONTENT_FILTER},
        {"IMAGE_RECITATION", TG_FINISH_CONTENT_FILTER},
    };
    enum tg_finish f = TG_FINISH_OTHER;
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (strcmp(c->word, words[i].word) == 0)
            f = words[i].finish;
    }
    return f == TG_FINISH_STOP && c->has_calls ? TG_FINISH_TOOL_CALLS : f;
}

bool tg_gemini_is_complete(const struct tg_gemini_dec *d)
{
    if (d->resp.task != TG_TASK_CHAT)
        return d->started;
    return d->n_cands ? d->n_finished == d->n_cands : d->blocked;
}

int tg_gemini_dec_finish(struct tg_gemini_dec *d, struct tg_sink *sink)
{
    struct tg_gemini_chunk c = {.d = d, .sink = sink, .logprobs = TG_STR("")};
    for (uint32_t i = 0; i < d->n_cands; i++) {
        c.c = &d->cands[i];
        if (!d->resp.tap)
            end_open(&c);
        if (c.err)
            return tg_gemini_broken(d, sink, c.err, "a tool call of the provider's is malformed");
        emit(&c, &(struct tg_event){
                     .kind = TG_EV_FINISH, .finish = finish_of(c.c), .text = tg_str_c(c.c->word)});
    }
    return 0;
}

void tg_gemini_note_finish(struct tg_gemini_chunk *c, struct tg_str word)
{
    if (!c->c->finished)
        c->d->n_finished++;
    c->c->finished = true;
    tg_str_to_c(word, c->c->word, sizeof c->c->word);
}

void tg_gemini_on_candidate(struct tg_gemini_chunk *c, const struct tg_json *v, size_t position)
{
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    const struct tg_json *logprobs = tg_json_get(v, TG_STR("logprobsResult"));
    struct tg_str word = tg_json_proto_str(v, TG_STR("finishReason"));
    struct tg_buf b;
    int64_t index;
    if (tg_json_i64(tg_json_get(v, TG_STR("index")), &index))
        index = (int64_t)position;
    if (index < 0 || index >= MAX_CANDIDATES || !tg_json_is_obj(v)) {
        c->err = TG_E_UPSTREAM_INVALID;
        return;
    }
    c->c = tg_gemini_find_cand(c, (uint32_t)index);
    if (!c->c)
        return;
    if (c->d->resp.tap) {
        note_content(c, content);
        note_calls(c, content);
    } else {
        tg_buf_init(&b, SIZE_MAX / 4);
        if (logprobs)
            tg_gemini_logprobs(logprobs, &b);
        c->logprobs = tg_buf_ok(&b) ? tg_buf_str(&b) : TG_STR("");
        parts(c, content);
        if (c->logprobs.n && c->c->open && c->c->open_kind == TG_PART_TEXT)
            emit_delta(c, TG_DELTA_TEXT, TG_STR(""));
        c->logprobs = TG_STR("");
        tg_buf_fini(&b);
        if (!c->err)
            beside(c, v);
    }
    if (word.n || c->d->whole)
        tg_gemini_note_finish(c, word);
}
