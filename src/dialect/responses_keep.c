/* Responses that are kept: what the keeper of conversations must know of this format. */
#include "base/err.h"
#include "dialect/responses.h"
#include "json/json.h"
#include "wire/sse.h"

#define TYPE_BYTES 96 /* of a block, in which its type stands */

static int read_object(struct tg_json_doc *doc, const struct tg_json *v, struct tg_kept_answer *out)
{
    const struct tg_json *output = tg_json_get(v, TG_STR("output"));
    struct tg_kept_answer k = {
        .id = tg_json_get_str(v, TG_STR("id")),
        .status = tg_json_get_str(v, TG_STR("status")),
        .response = tg_json_raw(doc, v),
        .at_provider = tg_json_true(tg_json_get(v, TG_STR("store"))),
    };
    if (!k.id.n || !tg_json_is_arr(output))
        return 0;
    bool over =
        tg_str_eq(k.status, TG_STR("completed")) ||
        tg_str_eq(k.status, TG_STR("incomplete")); /* failed, queued: no turn to go on from */
    k.output = tg_json_raw(doc, output);
    if (!over)
        return 0;
    *out = k;
    return 1;
}

static int read_text(struct tg_arena *a, struct tg_str text, struct tg_kept_answer *out)
{
    struct tg_json_doc *doc;
    int rc = tg_json_parse(a, text, NULL, &doc, NULL);
    if (rc < 0)
        return rc == TG_E_NOMEM ? rc : 0;
    return read_object(doc, tg_json_root(doc), out);
}

/* response.completed and response.incomplete have the whole response in them. */
static int read_event(struct tg_arena *a, struct tg_str data, struct tg_kept_answer *out)
{
    struct tg_json_doc *doc;
    int rc = tg_json_parse(a, data, NULL, &doc, NULL);
    if (rc < 0)
        return rc == TG_E_NOMEM ? rc : 0;
    const struct tg_json *type = tg_json_get(tg_json_root(doc), TG_STR("type"));
    if (!tg_json_str_is(type, TG_STR("response.completed")) &&
        !tg_json_str_is(type, TG_STR("response.incomplete")))
        return 0;
    return read_object(doc, tg_json_get(tg_json_root(doc), TG_STR("response")), out);
}

static bool may_be_last(struct tg_str block)
{
    struct tg_str front = tg_str_first(block, TYPE_BYTES);
    return tg_str_find(front, TG_STR("response.completed")) >= 0 ||
           tg_str_find(front, TG_STR("response.incomplete")) >= 0;
}

static int read_block(struct tg_arena *a, struct tg_str block, struct tg_kept_answer *out)
{
    struct tg_sse_dec dec;
    struct tg_sse_event ev;
    struct tg_str in = block, data = {NULL, 0};
    if (!may_be_last(block))
        return 0;
    tg_sse_dec_init(&dec, block.n + 1);
    if (tg_sse_next(&dec, &in, &ev) == 1 && ev.has_data)
        data = tg_arena_dup(a, ev.data);
    tg_sse_dec_fini(&dec);
    return data.p ? read_event(a, data, out) : 0;
}

static int passed(struct tg_arena *a, struct tg_str unit, bool stream, struct tg_kept_answer *out)
{
    return stream ? read_block(a, unit, out) : read_text(a, unit, out);
}

static int rendered(struct tg_arena *a, const void *state, struct tg_kept_answer *out)
{
    struct tg_responses_answer answer;
    tg_responses_answer(state, &answer);
    if (!answer.response.n)
        return 0;
    int rc = read_text(a, answer.response, out);
    out->at_provider = rc == 1 ? false : out->at_provider; /* `store` is the gateway's word here */
    return rc;
}

const struct tg_keep_ops tg_responses_keep = {
    .input = tg_responses_input,
    .references = tg_responses_references,
    .rendered = rendered,
    .passed = passed,
};
