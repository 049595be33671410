#include "server/mock_lists.h"

#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "core/mock_tasks.h"
#include "json/write.h"
#include "server/mock_answer.h"

#define K(lit)   TG_STR(lit)
#define MAX_BODY (32u << 20)

static void usage(struct tg_jw *w, uint32_t tokens)
{
    tg_jw_key(w, K("usage"));
    tg_jw_obj(w);
    tg_jw_ki64(w, K("prompt_tokens"), tokens);
    tg_jw_ki64(w, K("total_tokens"), tokens);
    tg_jw_end_obj(w);
}

/* Floats, least byte first, as OpenAI packs them. */
static void packed(struct tg_jw *w, struct tg_str text, uint32_t dimensions)
{
    struct tg_buf raw, text64;
    double *v = tg_mock_vector(text, dimensions);
    tg_buf_init(&raw, MAX_BODY);
    tg_buf_init(&text64, MAX_BODY);
    for (uint32_t i = 0; v && i < dimensions; i++) {
        float f = (float)v[i];
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        for (int k = 0; k < 32; k += 8)
            (void)tg_buf_char(&raw, (char)(bits >> k));
    }
    tg_free(v);
    tg_base64_encode(tg_buf_str(&raw), &text64);
    tg_jw_str(w, tg_buf_str(&text64));
    tg_buf_fini(&raw);
    tg_buf_fini(&text64);
}

static void embedding(struct tg_jw *w, const struct tg_json *root, struct tg_str text,
                      uint32_t dimensions)
{
    struct tg_buf b;
    if (tg_json_str_is(tg_json_get(root, K("encoding_format")), K("base64"))) {
        packed(w, text, dimensions);
        return;
    }
    tg_buf_init(&b, MAX_BODY);
    tg_mock_embedding(&b, text, dimensions);
    tg_jw_raw(w, tg_buf_str(&b));
    tg_buf_fini(&b);
}

/* One input, which is a string, or anything else, which counts as no text. */
typedef void (*item_fn)(struct tg_jw *w, const struct tg_json *root, struct tg_str text, size_t i,
                        uint32_t dimensions);

static void each_input(struct tg_jw *w, const struct tg_json *root, struct tg_str key, item_fn item,
                       uint32_t dimensions)
{
    const struct tg_json *input = tg_json_get(root, key);
    tg_jw_arr(w);
    if (!tg_json_is_arr(input) || tg_json_is_num(tg_json_at(input, 0))) {
        item(w, root, tg_json_str(input), 0, dimensions);
    } else {
        struct tg_json_iter it = tg_json_iter(input);
        while (tg_json_next(&it)) {
            const struct tg_json *text = tg_json_get(it.value, K("text"));
            item(w, root, tg_json_str(text ? text : it.value), it.index, dimensions);
        }
    }
    tg_jw_end_arr(w);
}

static void embedding_item(struct tg_jw *w, const struct tg_json *root, struct tg_str text,
                           size_t i, uint32_t dimensions)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, K("object"), K("embedding"));
    tg_jw_ki64(w, K("index"), (int64_t)i);
    tg_jw_key(w, K("embedding"));
    embedding(w, root, text, dimensions);
    tg_jw_end_obj(w);
}

static void embeddings(struct tg_jw *w, const struct tg_json *root, uint32_t dimensions,
                       uint32_t tokens)
{
    int64_t wanted = 0;
    if (tg_json_i64(tg_json_get(root, K("dimensions")), &wanted) < 0)
        wanted = 0;
    tg_jw_kstr(w, K("object"), K("list"));
    tg_jw_key(w, K("data"));
    each_input(w, root, K("input"), embedding_item, tg_mock_dimensions(wanted, dimensions));
    tg_jw_kstr(w, K("model"), tg_json_get_str(root, K("model")));
    usage(w, tokens);
}

static void verdict_item(struct tg_jw *w, const struct tg_json *root TG_UNUSED, struct tg_str text,
                         size_t i TG_UNUSED, uint32_t dimensions TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 1u << 16);
    tg_mock_verdict(&b, text);
    tg_jw_raw(w, tg_buf_str(&b));
    tg_buf_fini(&b);
}

static void moderations(struct tg_jw *w, const struct tg_json *root)
{
    tg_jw_kstr(w, K("id"), K("modr-mock"));
    tg_jw_kstr(w, K("model"), tg_json_get_str(root, K("model")));
    tg_jw_key(w, K("results"));
    each_input(w, root, K("input"), verdict_item, 0);
}

/* Cohere's and Jina's form. The mock keeps the documents' order only among equals. */
static void ranking(struct tg_jw *w, const struct tg_json *root, uint32_t tokens)
{
    const struct tg_json *documents = tg_json_get(root, K("documents"));
    struct tg_str query = tg_json_get_str(root, K("query"));
    size_t n = tg_json_count(documents);
    int64_t top = (int64_t)n;
    double *scores = tg_calloc(n + 1, sizeof *scores);
    if (tg_json_i64(tg_json_get(root, K("top_n")), &top) < 0)
        top = (int64_t)n;
    struct tg_json_iter it = tg_json_iter(documents);
    while (scores && tg_json_next(&it)) {
        const struct tg_json *text = tg_json_get(it.value, K("text"));
        scores[it.index] = tg_mock_relevance(query, tg_json_str(text ? text : it.value));
    }
    tg_jw_kstr(w, K("model"), tg_json_get_str(root, K("model")));
    tg_jw_key(w, K("results"));
    tg_jw_arr(w);
    for (size_t rank = 0; scores && rank < n && (int64_t)rank < top; rank++) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (scores[i] > scores[best])
                best = i;
        tg_jw_obj(w);
        tg_jw_ki64(w, K("index"), (int64_t)best);
        tg_jw_kdouble(w, K("relevance_score"), scores[best]);
        tg_jw_end_obj(w);
        scores[best] = -1; /* taken */
    }
    tg_jw_end_arr(w);
    usage(w, tokens);
    tg_free(scores);
}

bool tg_mock_lists(struct tg_buf *out, struct tg_str path, const struct tg_json *root,
                   uint32_t dimensions, uint32_t prompt_tokens)
{
    struct tg_buf body;
    tg_buf_init(&body, MAX_BODY);
    struct tg_jw w = tg_jw(&body);
    tg_jw_obj(&w);
    bool mine = true;
    if (tg_str_ends(path, K("/embeddings")))
        embeddings(&w, root, dimensions, prompt_tokens);
    else if (tg_str_ends(path, K("/moderations")))
        moderations(&w, root);
    else if (tg_str_ends(path, K("/rerank")))
        ranking(&w, root, prompt_tokens);
    else
        mine = false;
    tg_jw_end_obj(&w);
    if (mine && tg_buf_ok(&body))
        tg_mock_json(out, 200, TG_STR(""), tg_buf_str(&body));
    if (!tg_buf_ok(&body))
        out->failed = true;
    tg_buf_fini(&body);
    return mine;
}
