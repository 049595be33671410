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

static struct tg_str input_at(const struct tg_chat_req *req, size_t i)
{
    const struct tg_inputs *in = &req->inputs;
    return in->texts[i].n ? in->texts[i] : in->raw[i];
}

int tg_mock_items_init(struct tg_mock_items *m, const struct tg_chat_req *req, uint32_t dimensions,
                       struct tg_arena *a)
{
    const struct tg_inputs *in = &req->inputs;
    *m = (struct tg_mock_items){.req = req, .n = in->n};
    m->dimensions = tg_mock_dimensions(in->dimensions, dimensions);
    if (req->task != TG_TASK_RERANK || in->n == 0)
        return 0;
    m->scores = tg_arena_array(a, in->n, sizeof *m->scores);
    if (!m->scores)
        return TG_E_NOMEM;
    for (size_t i = 0; i < in->n; i++)
        m->scores[i] = tg_mock_relevance(req->prompt, input_at(req, i));
    if (in->top_n >= 0 && (uint64_t)in->top_n < in->n)
        m->n = (size_t)in->top_n;
    return 0;
}

static size_t best_of(const struct tg_mock_items *m)
{
    size_t best = 0;
    for (size_t i = 1; i < m->req->inputs.n; i++)
        if (m->scores[i] > m->scores[best])
            best = i;
    return best;
}

bool tg_mock_items_next(struct tg_mock_items *m, struct tg_buf *out, uint32_t *out_index)
{
    if (m->told == m->n)
        return false;
    size_t i = m->scores ? best_of(m) : m->told;
    m->told++;
    *out_index = (uint32_t)i;
    if (m->scores) {
        (void)tg_buf_printf(out, "%.4f", m->scores[i]);
        m->scores[i] = -1;
    } else if (m->req->task == TG_TASK_MODERATE) {
        tg_mock_verdict(out, input_at(m->req, i));
    } else {
        tg_mock_embedding(out, input_at(m->req, i), m->dimensions);
    }
    return true;
}
