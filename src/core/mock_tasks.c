#include "core/mock_tasks.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"

static bool is_letter(unsigned char c)
{
    return c >= 0x80 || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* The next word of *text, which moves behind it; "" at the end. */
static struct tg_str next_word(struct tg_str *text)
{
    size_t from = 0, to;
    while (from < text->n && !is_letter((unsigned char)text->p[from]))
        from++;
    for (to = from; to < text->n && is_letter((unsigned char)text->p[to]); to++)
        continue;
    struct tg_str word = tg_str_make(text->p + from, to - from);
    *text = tg_str_from(*text, to);
    return word;
}

/* FNV-1a over the letters in lower case. */
static uint64_t hash_of(struct tg_str word)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];
        h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 0x100000001b3u;
    }
    return h;
}

/* xorshift64*: from one number to the next. */
static double next_number(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * 0x2545f4914f6cdd1du) >> 11) / (double)(1ull << 52) - 1.0;
}

static void add_word(double *v, uint32_t n, struct tg_str word)
{
    uint64_t state = hash_of(word) | 1;
    for (uint32_t i = 0; i < n; i++)
        v[i] += next_number(&state);
}

/* To length 1. */
static void normalize(double *v, uint32_t n)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++)
        squares += v[i] * v[i];
    double length = squares > 0 ? sqrt(squares) : 1;
    for (uint32_t i = 0; i < n; i++)
        v[i] /= length;
}

double *tg_mock_vector(struct tg_str text, uint32_t dimensions)
{
    double *v = tg_calloc(dimensions, sizeof *v);
    struct tg_str rest = text, word;
    if (!v)
        return NULL;
    add_word(v, dimensions, TG_STR("")); /* so that no text has no direction */
    while ((word = next_word(&rest)).n)
        add_word(v, dimensions, word);
    normalize(v, dimensions);
    return v;
}

void tg_mock_embedding(struct tg_buf *out, struct tg_str text, uint32_t dimensions)
{
    double *v = tg_mock_vector(text, dimensions);
    if (!v) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < dimensions; i++)
        (void)tg_buf_printf(out, "%c%.7f", i ? ',' : '[', v[i]);
    (void)tg_buf_char(out, ']');
    tg_free(v);
}

static bool has_word(struct tg_str text, struct tg_str wanted)
{
    struct tg_str word;
    while ((word = next_word(&text)).n)
        if (tg_str_ieq(word, wanted))
            return true;
    return false;
}

double tg_mock_relevance(struct tg_str query, struct tg_str text)
{
    struct tg_str word;
    unsigned all = 0, found = 0;
    while ((word = next_word(&query)).n) {
        all++;
        found += has_word(text, word);
    }
    return all ? (double)found / all : 0;
}

void tg_mock_verdict(struct tg_buf *out, struct tg_str text)
{
    static const char *const names[] = {"sexual",  "hate",      "harassment",
                                        "illicit", "self-harm", "violence"};
    bool flagged = false;
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        flagged |= has_word(text, tg_str_c(names[i]));
    (void)tg_buf_printf(out, "{\"flagged\":%s,\"categories\":{", flagged ? "true" : "false");
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        (void)tg_buf_printf(out, "%s\"%s\":%s", i ? "," : "", names[i],
                            has_word(text, tg_str_c(names[i])) ? "true" : "false");
    (void)tg_buf_lit(out, "},\"category_scores\":{");
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        (void)tg_buf_printf(out, "%s\"%s\":%s", i ? "," : "", names[i],
                            has_word(text, tg_str_c(names[i])) ? "0.99" : "0.01");
    (void)tg_buf_lit(out, "}}");
}

uint32_t tg_mock_dimensions(int64_t wanted, uint32_t otherwise)
{
    if (wanted <= 0)
        return otherwise;
    return wanted < TG_MOCK_MAX_DIMENSIONS ? (uint32_t)wanted : TG_MOCK_MAX_DIMENSIONS;
}

void tg_mock_item(struct tg_buf *out, const struct tg_chat_req *req, size_t i, uint32_t dimensions)
{
    const struct tg_inputs *in = &req->inputs;
    struct tg_str text = in->texts[i].n ? in->texts[i] : in->raw[i];
    if (req->task == TG_TASK_MODERATE)
        tg_mock_verdict(out, text);
    else if (req->task == TG_TASK_RERANK)
        (void)tg_buf_printf(out, "%.4f", tg_mock_relevance(req->prompt, text));
    else
        tg_mock_embedding(out, text, tg_mock_dimensions(in->dimensions, dimensions));
}
