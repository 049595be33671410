/* Output items of OpenAI's Responses → canonical parts. Servers differ in what they stream: some
 * tell arguments or texts only in the `.done` events, some only in the whole item, some annotations
 * only at the end. So each item counts what was told of it, and whatever comes later and is longer
 * tells the rest. Items of other kinds are raw parts, an image is one. */
#include "adapter/responses_priv.h"
#include "base/alloc.h"
#include "base/err.h"

enum { MAX_ITEMS = 4096 };

void tg_responses_free(struct tg_responses_dec *d)
{
    tg_free(d->items);
    *d = (struct tg_responses_dec){.whole = d->whole};
}

struct tg_responses_in *tg_responses_known(struct tg_responses_dec *d, int64_t index)
{
    for (uint32_t i = d->n_items; i-- > 0;) {
        if (d->items[i].index == index)
            return &d->items[i];
    }
    return NULL;
}

struct tg_responses_in *tg_responses_item(struct tg_responses_ctx *c, int64_t index,
                                          enum tg_responses_item_kind kind)
{
    struct tg_responses_dec *d = c->d;
    struct tg_responses_in *it = tg_responses_known(d, index);
    if (it)
        return it->kind == kind ? it : NULL;
    if (d->n_items == d->cap_items) {
        uint32_t cap = d->cap_items ? d->cap_items * 2 : 4;
        void *p = cap > MAX_ITEMS ? NULL : tg_realloc(d->items, cap * sizeof(*d->items));
        if (!p) {
            c->err = cap > MAX_ITEMS ? TG_E_UPSTREAM_INVALID : TG_E_NOMEM;
            return NULL;
        }
        d->items = p;
        d->cap_items = cap;
    }
    d->items[d->n_items] = (struct tg_responses_in){.index = index, .kind = kind};
    return &d->items[d->n_items++];
}

/* ---- parts ---- */

static void emit(struct tg_responses_ctx *c, const struct tg_event *ev)
{
    c->sink->on_event(c->sink, ev);
}

void tg_responses_close_part(struct tg_responses_ctx *c)
{
    if (c->d->open)
        emit(c, &(struct tg_event){.kind = TG_EV_PART_END, .part = c->d->open_part});
    c->d->open = false;
}

static void begin_part(struct tg_responses_ctx *c, struct tg_responses_in *it, struct tg_event *ev)
{
    bool call = ev->part_kind == TG_PART_TOOL_CALL;
    tg_responses_close_part(c);
    it->begun = true;
    it->part = c->d->n_parts++;
    ev->kind = TG_EV_PART_START;
    ev->part = it->part;
    emit(c, ev);
    if (call)
        return;
    c->d->open = true;
    c->d->open_part = it->part;
}

static void delta(struct tg_responses_ctx *c, const struct tg_responses_in *it,
                  enum tg_delta_kind kind, struct tg_str text, struct tg_str logprobs)
{
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = it->part,
                               .delta_kind = kind,
                               .text = text,
                               .logprobs = logprobs});
}

/* Of a whole text what was not told yet, of a piece all. */
static struct tg_str untold(struct tg_responses_in *it, struct tg_str text, bool rest)
{
    if (rest)
        text = tg_str_from(text, it->told_bytes);
    while (rest && text.n && ((unsigned char)text.p[0] & 0xC0) == 0x80)
        text = tg_str_from(text, 1); /* a whole that says something else than its pieces */
    it->told_bytes += text.n;
    return text;
}

/* ---- texts ---- */

/* Responses' list in the form of chat completions. */
static void text_delta(struct tg_responses_ctx *c, const struct tg_responses_in *it,
                       enum tg_delta_kind kind, struct tg_str text, const struct tg_json *logprobs)
{
    struct tg_buf b;
    if (!tg_json_is_arr(logprobs) || !tg_json_count(logprobs)) {
        delta(c, it, kind, text, (struct tg_str){NULL, 0});
        return;
    }
    tg_buf_init(&b, SIZE_MAX / 4);
    tg_buf_lit(&b, "{\"content\":");
    tg_buf_str_add(&b, tg_json_raw(c->doc, logprobs));
    tg_buf_lit(&b, ",\"refusal\":null}");
    if (tg_buf_ok(&b))
        delta(c, it, kind, text, tg_buf_str(&b));
    else
        c->err = TG_E_NOMEM;
    tg_buf_fini(&b);
}

/* Its newest part is the one that goes on; servers that weave texts have them in pieces. */
static bool is_open(const struct tg_responses_ctx *c, const struct tg_responses_in *it)
{
    return it->begun && c->d->open && c->d->open_part == it->part;
}

void tg_responses_text(struct tg_responses_ctx *c, struct tg_responses_in *it, int64_t inner,
                       enum tg_delta_kind kind, struct tg_str text, const struct tg_json *logprobs,
                       bool rest)
{
    bool next = inner >= it->n_inner, refusal = kind == TG_DELTA_REFUSAL;
    if (it->done || (!next && inner + 1 < it->n_inner))
        return; /* it went on to another content */
    if (next && !text.n)
        return;
    if (next) {
        it->n_inner = inner + 1;
        it->told_bytes = 0;
        it->citations = 0;
    }
    text = untold(it, text, rest);
    if (!text.n && (rest || !tg_json_count(logprobs)))
        return;
    if (next || refusal != it->refusal || !is_open(c, it))
        begin_part(c, it,
                   &(struct tg_event){.part_kind = refusal ? TG_PART_REFUSAL : TG_PART_TEXT});
    it->refusal = refusal;
    text_delta(c, it, kind, text, logprobs);
}

static int64_t number(const struct tg_json *obj, struct tg_str key)
{
    int64_t n;
    return tg_json_i64(tg_json_get(obj, key), &n) == 0 && n >= 0 ? n : -1;
}

void tg_responses_annotation(struct tg_responses_ctx *c, struct tg_responses_in *it,
                             const struct tg_json *v)
{
    if (it->done || !is_open(c, it) || !tg_json_is_obj(v))
        return;
    struct tg_str title = tg_json_get_str(v, TG_STR("title"));
    struct tg_citation cited = {
        .url = tg_json_get_str(v, TG_STR("url")),
        .title = title.p ? title : tg_json_get_str(v, TG_STR("filename")),
        .text = TG_STR(""),
        .start = number(v, TG_STR("start_index")),
        .end = number(v, TG_STR("end_index")),
        .raw = tg_json_raw(c->doc, v),
        .format = TG_WIRE_OPENAI_RESPONSES,
    };
    it->citations++;
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = it->part,
                               .delta_kind = TG_DELTA_CITATION,
                               .text = TG_STR(""),
                               .citation = &cited});
}

/* ---- reasoning ---- */

static void begin_reasoning(struct tg_responses_ctx *c, struct tg_responses_in *it,
                            struct tg_str id)
{
    if (!is_open(c, it))
        begin_part(c, it, &(struct tg_event){.part_kind = TG_PART_REASONING, .id = id});
}

/* Several summaries are paragraphs of one part. */
void tg_responses_reasoning(struct tg_responses_ctx *c, struct tg_responses_in *it, int64_t inner,
                            bool of_content, struct tg_str item_id, struct tg_str text, bool rest)
{
    bool next = inner >= it->n_inner;
    if (it->done || (!next && inner + 1 < it->n_inner))
        return;
    if (it->begun && it->of_content != of_content)
        return; /* the same thoughts in another form */
    if (next && !text.n)
        return;
    it->of_content = of_content;
    if (next)
        it->told_bytes = 0;
    text = untold(it, text, rest);
    if (!text.n)
        return;
    begin_reasoning(c, it, item_id);
    if (next && it->n_inner)
        delta(c, it, TG_DELTA_REASONING, TG_STR("\n\n"), (struct tg_str){NULL, 0});
    it->n_inner = next ? inner + 1 : it->n_inner;
    delta(c, it, TG_DELTA_REASONING, text, (struct tg_str){NULL, 0});
}

static void reasoning_list(struct tg_responses_ctx *c, struct tg_responses_in *it,
                           const struct tg_json *item, struct tg_str key, bool of_content)
{
    struct tg_json_iter in = tg_json_iter(tg_json_get(item, key));
    while (tg_json_next(&in))
        tg_responses_reasoning(c, it, (int64_t)in.index, of_content,
                               tg_json_get_str(item, TG_STR("id")),
                               tg_json_get_str(in.value, TG_STR("text")), true);
}

static void reasoning_done(struct tg_responses_ctx *c, struct tg_responses_in *it,
                           const struct tg_json *item)
{
    struct tg_str sealed = tg_json_get_str(item, TG_STR("encrypted_content"));
    reasoning_list(c, it, item, TG_STR("summary"), false);
    reasoning_list(c, it, item, TG_STR("content"), true);
    if (!sealed.n)
        return;
    begin_reasoning(c, it, tg_json_get_str(item, TG_STR("id")));
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = it->part,
                               .delta_kind = TG_DELTA_SIGNATURE,
                               .opaque = TG_OPAQUE_ENCRYPTED,
                               .text = sealed});
}

/* ---- calls ---- */

static void begin_call(struct tg_responses_ctx *c, struct tg_responses_in *it,
                       const struct tg_json *item)
{
    struct tg_str name = tg_json_get_str(item, TG_STR("name"));
    struct tg_str space = tg_json_get_str(item, TG_STR("namespace"));
    struct tg_str id = tg_json_get_str(item, TG_STR("call_id"));
    struct tg_buf b;
    if (it->begun)
        return;
    c->d->has_calls = true;
    tg_buf_init(&b, SIZE_MAX / 4);
    if (space.n) { /* as the Responses dialect names the tools of a namespace */
        tg_buf_str_add(&b, space);
        tg_buf_lit(&b, "__");
    }
    tg_buf_str_add(&b, name);
    if (!tg_buf_ok(&b))
        c->err = TG_E_NOMEM;
    begin_part(c, it,
               &(struct tg_event){.part_kind = TG_PART_TOOL_CALL,
                                  .id = id.p ? id : tg_json_get_str(item, TG_STR("id")),
                                  .name = tg_buf_str(&b)});
    tg_buf_fini(&b);
}

/* The text of a custom tool as the value of `input`, which is how such tools are emulated. */
static void custom_delta(struct tg_responses_ctx *c, const struct tg_responses_in *it,
                         struct tg_str text, bool first)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    if (first)
        tg_buf_lit(&b, "{\"input\":\"");
    tg_buf_json(&b, text);
    if (!tg_buf_ok(&b))
        c->err = TG_E_NOMEM;
    else if (b.n)
        delta(c, it, TG_DELTA_ARGUMENTS, tg_buf_str(&b), (struct tg_str){NULL, 0});
    tg_buf_fini(&b);
}

void tg_responses_arguments(struct tg_responses_ctx *c, struct tg_responses_in *it,
                            struct tg_str text, bool rest)
{
    if (it->done || !it->begun)
        return;
    text = untold(it, text, rest);
    if (!text.n)
        return;
    if (it->kind == TG_RESPONSES_ITEM_CUSTOM)
        custom_delta(c, it, text, it->n_inner++ == 0);
    else
        delta(c, it, TG_DELTA_ARGUMENTS, text, (struct tg_str){NULL, 0});
}

static void call_done(struct tg_responses_ctx *c, struct tg_responses_in *it,
                      const struct tg_json *item)
{
    bool custom = it->kind == TG_RESPONSES_ITEM_CUSTOM;
    begin_call(c, it, item);
    tg_responses_arguments(
        c, it, tg_json_get_str(item, custom ? TG_STR("input") : TG_STR("arguments")), true);
    if (custom) {
        if (it->n_inner == 0)
            custom_delta(c, it, TG_STR(""), true);
        delta(c, it, TG_DELTA_ARGUMENTS, TG_STR("\"}"), (struct tg_str){NULL, 0});
    }
    emit(c, &(struct tg_event){.kind = TG_EV_PART_END, .part = it->part});
}

/* ---- items ---- */

static enum tg_responses_item_kind kind_of(const struct tg_json *item)
{
    static const struct {
        struct tg_str type;
        enum tg_responses_item_kind kind;
    } kinds[] = {
        {TG_STR_INIT("message"), TG_RESPONSES_ITEM_MESSAGE},
        {TG_STR_INIT("reasoning"), TG_RESPONSES_ITEM_REASONING},
        {TG_STR_INIT("function_call"), TG_RESPONSES_ITEM_FUNCTION},
        {TG_STR_INIT("custom_tool_call"), TG_RESPONSES_ITEM_CUSTOM},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        if (tg_json_str_is(tg_json_get(item, TG_STR("type")), kinds[i].type))
            return kinds[i].kind;
    }
    return TG_RESPONSES_ITEM_OTHER;
}

void tg_responses_item_added(struct tg_responses_ctx *c, int64_t index, const struct tg_json *item)
{
    struct tg_responses_in *it = tg_responses_item(c, index, kind_of(item));
    if (it && !it->done &&
        (it->kind == TG_RESPONSES_ITEM_FUNCTION || it->kind == TG_RESPONSES_ITEM_CUSTOM))
        begin_call(c, it, item);
}

static void message_done(struct tg_responses_ctx *c, struct tg_responses_in *it,
                         const struct tg_json *item)
{
    struct tg_json_iter in = tg_json_iter(tg_json_get(item, TG_STR("content")));
    while (tg_json_next(&in)) {
        const struct tg_json *v = in.value;
        int64_t inner = (int64_t)in.index;
        if (inner + 1 < it->n_inner)
            continue;
        if (tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("refusal")))
            tg_responses_text(c, it, inner, TG_DELTA_REFUSAL, tg_json_get_str(v, TG_STR("refusal")),
                              NULL, true);
        else
            tg_responses_text(c, it, inner, TG_DELTA_TEXT, tg_json_get_str(v, TG_STR("text")),
                              it->told_bytes && it->n_inner == inner + 1
                                  ? NULL
                                  : tg_json_get(v, TG_STR("logprobs")),
                              true);
        if (it->n_inner != inner + 1)
            continue; /* it was empty */
        struct tg_json_iter a = tg_json_iter(tg_json_get(v, TG_STR("annotations")));
        while (tg_json_next(&a)) {
            if (a.index >= it->citations)
                tg_responses_annotation(c, it, a.value);
        }
    }
}

static struct tg_str image_mime(const struct tg_json *item)
{
    struct tg_str format = tg_json_get_str(item, TG_STR("output_format"));
    if (tg_str_eq(format, TG_STR("jpeg")))
        return TG_STR("image/jpeg");
    return tg_str_eq(format, TG_STR("webp")) ? TG_STR("image/webp") : TG_STR("image/png");
}

static void other_done(struct tg_responses_ctx *c, struct tg_responses_in *it,
                       const struct tg_json *item)
{
    struct tg_str image = tg_json_get_str(item, TG_STR("result"));
    if (image.n &&
        tg_json_str_is(tg_json_get(item, TG_STR("type")), TG_STR("image_generation_call"))) {
        struct tg_media m = {.source = TG_MEDIA_INLINE, .mime = image_mime(item), .data = image};
        begin_part(c, it, &(struct tg_event){.part_kind = TG_PART_IMAGE, .media = &m});
        return;
    }
    if (!tg_json_is_obj(item))
        return;
    begin_part(c, it,
               &(struct tg_event){.part_kind = TG_PART_RAW,
                                  .format = TG_WIRE_OPENAI_RESPONSES,
                                  .text = tg_json_raw(c->doc, item)});
}

void tg_responses_item_done(struct tg_responses_ctx *c, int64_t index, const struct tg_json *item)
{
    struct tg_responses_in *it = tg_responses_item(c, index, kind_of(item));
    if (!it || it->done)
        return;
    switch (it->kind) {
    case TG_RESPONSES_ITEM_MESSAGE:
        message_done(c, it, item);
        break;
    case TG_RESPONSES_ITEM_REASONING:
        reasoning_done(c, it, item);
        break;
    case TG_RESPONSES_ITEM_FUNCTION:
    case TG_RESPONSES_ITEM_CUSTOM:
        call_done(c, it, item);
        break;
    case TG_RESPONSES_ITEM_OTHER:
        other_done(c, it, item);
        break;
    }
    it->done = true;
    if (c->d->open && it->begun && c->d->open_part == it->part)
        tg_responses_close_part(c);
}
