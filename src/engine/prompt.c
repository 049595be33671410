#include "engine/prompt_priv.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/num.h"
#include "base/rand.h"

enum {
    RENDERED_MAX_BYTES = 4 << 20,
    MARKER_HEAD = 20, /* "{tg:" and 16 digits */
};

size_t tg_prompt_marker(uint64_t nonce, uint32_t index, char *out)
{
    int n =
        snprintf(out, TG_PROMPT_MARKER_CAP, "{tg:%016llx:%u}", (unsigned long long)nonce, index);
    return n > 0 ? (size_t)n : 0;
}

static int add_segment(struct tg_segment *out, size_t cap, size_t *n, bool content, struct tg_str s)
{
    if (s.n == 0)
        return 0;
    if (*n == cap)
        return TG_E_FULL;
    out[(*n)++] = (struct tg_segment){content, s};
    return 0;
}

int tg_prompt_split(struct tg_str rendered, uint64_t nonce, const struct tg_str *contents,
                    uint32_t n_contents, struct tg_segment *out, size_t cap)
{
    char marker[TG_PROMPT_MARKER_CAP];
    tg_prompt_marker(nonce, 0, marker);
    struct tg_str head = tg_str_make(marker, MARKER_HEAD + 1); /* up to the second colon */
    size_t n = 0;
    for (;;) {
        ptrdiff_t at = tg_str_find(rendered, head);
        struct tg_str before = at < 0 ? rendered : tg_str_first(rendered, (size_t)at);
        if (add_segment(out, cap, &n, false, before))
            return TG_E_FULL;
        if (at < 0)
            return (int)n;
        struct tg_str rest = tg_str_from(rendered, (size_t)at + head.n);
        ptrdiff_t close = tg_str_chr(rest, '}');
        uint64_t index;
        if (close < 0 || tg_parse_u64(tg_str_first(rest, (size_t)close), &index) < 0 ||
            index >= n_contents)
            return TG_E_INVALID_ARG;
        if (add_segment(out, cap, &n, true, contents[index]))
            return TG_E_FULL;
        rendered = tg_str_from(rest, (size_t)close + 1);
    }
}

/* ---- rendering ---- */

struct maker {
    const struct tg_prompt_model *m;
    struct tg_fail *f;
    uint32_t max_tokens;
    struct tg_segment *segments;
    size_t n_segments;
    struct tg_buf rendered; /* the template's text with markers; segments point into it */
    struct tg_buf joined;   /* the whole prompt as one text */
    int32_t *tokens;
    uint32_t n_tokens, cap_tokens;
};

static const char *role_word(enum tg_p_role r)
{
    static const char *const words[] = {"system", "user", "assistant", "tool"};
    return words[r];
}

int tg_prompt_render(const struct tg_llm *m, const char *name, const struct tg_llm_message *msgs,
                     size_t n, struct tg_buf *out)
{
    size_t want = 256;
    for (size_t i = 0; i < n; i++)
        want += 2 * strlen(msgs[i].content) + 64;
    for (int tries = 0; tries < 2; tries++) {
        int rc = tg_buf_reserve(out, want);
        if (!rc)
            rc = tg_llm_template(m, name, msgs, n, out->p + out->n, out->cap - out->n);
        if (rc < 0)
            return rc;
        if ((size_t)rc <= out->cap - out->n) {
            out->n += (size_t)rc;
            return 0;
        }
        want = (size_t)rc;
    }
    return TG_E_FULL;
}

static int render(struct maker *k, const struct tg_p_generate *req)
{
    size_t n = req->n_messages;
    struct tg_llm_message *msgs = tg_calloc(n, sizeof *msgs);
    struct tg_str *contents = tg_calloc(n, sizeof *contents);
    char(*markers)[TG_PROMPT_MARKER_CAP] = tg_calloc(n, sizeof *markers);
    size_t cap = 2 * n + 16;
    k->segments = tg_calloc(cap, sizeof *k->segments);
    int rc = msgs && contents && markers && k->segments ? 0 : TG_E_NOMEM;
    uint64_t nonce = tg_rand_u64();
    for (size_t i = 0; !rc && i < n; i++) {
        tg_prompt_marker(nonce, (uint32_t)i, markers[i]);
        msgs[i] = (struct tg_llm_message){role_word(req->messages[i].role), markers[i]};
        contents[i] = req->messages[i].text;
    }
    if (!rc)
        rc = tg_prompt_render(k->m->llm, k->m->chat_template[0] ? k->m->chat_template : NULL, msgs,
                              n, &k->rendered);
    if (rc == TG_E_LOCAL_FAILED)
        tg_fail_set(k->f, rc,
                    "the model's chat template is not one that this engine knows; name a format "
                    "in the setting chat_template (for example chatml, llama3, mistral-v7, gemma)");
    if (!rc)
        rc = tg_prompt_split(tg_buf_str(&k->rendered), nonce, contents, (uint32_t)n, k->segments,
                             cap);
    if (rc >= 0) {
        k->n_segments = (size_t)rc;
        rc = 0;
    }
    tg_free(markers);
    tg_free(contents);
    tg_free(msgs);
    return rc;
}

/* ---- tokenising ---- */

static int too_long(struct maker *k)
{
    return tg_fail_set(k->f, TG_E_CONTEXT_LENGTH,
                       "the prompt has more than the %u tokens that this model's context allows",
                       k->max_tokens);
}

static int add_tokens(struct maker *k, struct tg_str text, bool first, bool special)
{
    int n = tg_llm_tokenize(k->m->llm, text, first, special, k->tokens + k->n_tokens,
                            k->cap_tokens - k->n_tokens);
    if (n == TG_E_FULL)
        return too_long(k);
    if (n < 0)
        return n;
    k->n_tokens += (uint32_t)n;
    return 0;
}

static int join(struct maker *k)
{
    for (size_t i = 0; i < k->n_segments; i++)
        tg_buf_str_add(&k->joined, k->segments[i].text);
    return tg_buf_ok(&k->joined) ? 0 : TG_E_NOMEM;
}

/* Whether a control token's text touches any content, also where content and template meet. */
static bool content_spells_control(const struct maker *k)
{
    struct tg_str all = tg_buf_str(&k->joined);
    size_t seg = 0, seg_start = 0, at, len;
    for (size_t from = 0; tg_control_find(k->m->control, all, from, &at, &len); from = at + len) {
        while (seg_start + k->segments[seg].text.n <= at)
            seg_start += k->segments[seg++].text.n;
        bool inside = !k->segments[seg].content && at + len <= seg_start + k->segments[seg].text.n;
        if (!inside)
            return true;
    }
    return false;
}

/* The usual case is one text, tokenised as the model saw it in training; a prompt whose contents
 * spell control tokens goes piece by piece, contents as plain text. */
static int tokenise(struct maker *k, const struct tg_p_generate *req)
{
    if (req->kind != TG_P_CHAT)
        return add_tokens(k, req->messages[0].text, true, false);
    int rc = render(k, req);
    if (!rc)
        rc = join(k);
    if (rc)
        return rc;
    if (!content_spells_control(k))
        return add_tokens(k, tg_buf_str(&k->joined), true, true);
    for (size_t i = 0; i < k->n_segments && !rc; i++)
        rc = add_tokens(k, k->segments[i].text, i == 0, !k->segments[i].content);
    return rc;
}

int tg_prompt_make(const struct tg_prompt_model *m, const struct tg_p_generate *req,
                   uint32_t max_tokens, struct tg_fail *f, struct tg_prompt *out)
{
    struct maker k = {.m = m, .f = f, .max_tokens = max_tokens, .cap_tokens = max_tokens};
    tg_buf_init(&k.rendered, RENDERED_MAX_BYTES);
    tg_buf_init(&k.joined, RENDERED_MAX_BYTES);
    k.tokens = tg_calloc(max_tokens ? max_tokens : 1, sizeof *k.tokens);
    int rc = k.tokens ? tokenise(&k, req) : TG_E_NOMEM;
    if (!rc && k.n_tokens == 0)
        rc = tg_fail_set(f, TG_E_INVALID_VALUE, "the prompt is empty");
    if (rc == TG_E_NOMEM || rc == TG_E_FULL)
        rc = tg_fail_set(f, TG_E_NOMEM, "out of memory for the prompt");
    else if (rc < 0)
        rc = tg_fail_set(f, rc, "the prompt can't be tokenised");
    tg_buf_fini(&k.rendered);
    tg_buf_fini(&k.joined);
    tg_free(k.segments);
    if (rc) {
        tg_free(k.tokens);
        return rc;
    }
    int32_t *fit = tg_realloc(k.tokens, k.n_tokens * sizeof *k.tokens);
    out->tokens = fit ? fit : k.tokens;
    out->n = k.n_tokens;
    return 0;
}
