#include "dialect/template_priv.h"

#include "base/err.h"

/* Bounds that keep the work small: how often variables are looked up, and in how many. */
enum { MAX_USES = 10000, MAX_VARIABLES = 1000 };

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static size_t skip_blanks(struct tg_str s, size_t at)
{
    while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\t' || s.p[at] == '\n' || s.p[at] == '\r'))
        at++;
    return at;
}

/* Length of the "{{ name }}" at s.p[at], 0 if there is none. Never looks past the next brace, so
 * that a search from brace to brace is linear. */
static size_t variable_at(struct tg_str s, size_t at, struct tg_str *out_name)
{
    if (at + 1 >= s.n || s.p[at] != '{' || s.p[at + 1] != '{')
        return 0;
    size_t begin = skip_blanks(s, at + 2), end = begin;
    while (end < s.n && is_name_byte(s.p[end]))
        end++;
    size_t close = skip_blanks(s, end);
    if (end == begin || close + 1 >= s.n || s.p[close] != '}' || s.p[close + 1] != '}')
        return 0;
    *out_name = tg_str_make(s.p + begin, end - begin);
    return close + 2 - at;
}

struct piece {
    struct tg_str text; /* plain, before the variable */
    struct tg_str name; /* "" at the end */
};

/* Takes the next plain text with the variable behind it. */
static bool next_piece(struct tg_str *rest, struct piece *out)
{
    if (!rest->n)
        return false;
    *out = (struct piece){.text = *rest};
    for (size_t at = 0; at < rest->n; at++) {
        size_t n = rest->p[at] == '{' ? variable_at(*rest, at, &out->name) : 0;
        if (n) {
            out->text = tg_str_first(*rest, at);
            *rest = tg_str_from(*rest, at + n);
            return true;
        }
    }
    *rest = TG_STR("");
    return true;
}

static int value_of(const struct piece *p, const struct tg_json *variables, struct tg_str prompt,
                    struct tg_str *out, struct tg_fail *f)
{
    char quoted[100];
    const struct tg_json *v = tg_json_get(variables, p->name);
    if (!v && prompt.p && tg_str_eq(p->name, TG_STR("prompt"))) {
        *out = prompt;
        return 0;
    }
    tg_fail_quote(p->name, quoted, sizeof(quoted));
    if (!v)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "variables",
                             "the template uses the unknown variable '%s'", quoted);
    if (tg_json_is_str(v))
        *out = tg_json_str(v);
    else if (tg_json_is_num(v))
        *out = tg_json_num(v);
    else if (tg_json_is_bool(v))
        *out = tg_json_true(v) ? TG_STR("true") : TG_STR("false");
    else
        return tg_fail_param(f, TG_E_INVALID_VALUE, "variables",
                             "the variable '%s' must be a string, a number or a boolean", quoted);
    return 0;
}

/* Length of the result; with out, writes it. */
static int render(struct tg_str text, const struct tg_json *variables, struct tg_str prompt,
                  char *out, size_t *out_n, struct tg_fail *f)
{
    struct piece p;
    size_t n = 0, uses = 0;
    while (next_piece(&text, &p)) {
        struct tg_str value = TG_STR("");
        if (p.name.n && ++uses > MAX_USES)
            return tg_fail_param(f, TG_E_INVALID_VALUE, "template",
                                 "the template uses more than %d variables", MAX_USES);
        int rc = p.name.n ? value_of(&p, variables, prompt, &value, f) : 0;
        if (rc)
            return rc;
        if (out && p.text.n)
            memcpy(out + n, p.text.p, p.text.n);
        if (out && value.n)
            memcpy(out + n + p.text.n, value.p, value.n);
        n += p.text.n + value.n;
        if (n > TG_TEMPLATE_MAX_BYTES)
            return tg_fail_param(f, TG_E_INVALID_VALUE, "template",
                                 "the template's result is longer than %u bytes",
                                 TG_TEMPLATE_MAX_BYTES);
    }
    *out_n = n;
    return 0;
}

int tg_template_render(struct tg_arena *a, struct tg_str text, const struct tg_json *variables,
                       struct tg_str prompt, struct tg_str *out, struct tg_fail *f)
{
    size_t n;
    if (tg_json_count(variables) > MAX_VARIABLES)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "variables",
                             "'variables' has more than %d members", MAX_VARIABLES);
    int rc = render(text, variables, prompt, NULL, &n, f);
    if (rc)
        return rc;
    char *p = tg_arena_alloc(a, n ? n : 1);
    if (!p)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the template");
    rc = render(text, variables, prompt, p, &n, f);
    if (rc)
        return rc;
    *out = tg_str_make(p, n);
    return 0;
}
