#include "config/mock_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/json.h"

struct reader {
    struct tg_arena *a;
    struct tg_json_doc *doc;
    struct tg_fail *fail;
    char path[96]; /* "steps[2].when" */
    size_t path_n;
};

/* A member of an object: who reads it, and into which field. */
struct member {
    const char *key;
    int (*read)(struct reader *r, const struct tg_json *v, void *field);
    size_t offset;
};

static size_t enter(struct reader *r, const char *fmt, ...) TG_PRINTF(2, 3);
static size_t enter(struct reader *r, const char *fmt, ...)
{
    size_t before = r->path_n;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(r->path + before, sizeof r->path - before, fmt, ap);
    va_end(ap);
    if (n > 0)
        r->path_n += (size_t)n < sizeof r->path - before ? (size_t)n : sizeof r->path - before - 1;
    return before;
}

static void leave(struct reader *r, size_t before)
{
    r->path_n = before;
    r->path[before] = '\0';
}

static int bad(struct reader *r, const char *expected)
{
    return tg_fail_param(r->fail, TG_E_CONFIG, r->path, "%s%s%s", r->path, r->path_n ? ": " : "",
                         expected);
}

static int no_memory(struct reader *r)
{
    return tg_fail_set(r->fail, TG_E_NOMEM, "not enough memory for the script");
}

static int unknown(struct reader *r, struct tg_str key, const struct member *m, size_t n)
{
    char known[256] = "", quoted[64];
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof known; i++)
        used +=
            (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", m[i].key);
    return tg_fail_param(r->fail, TG_E_CONFIG, r->path, "%s%shas no '%s'; known: %s", r->path,
                         r->path_n ? " " : "the script ", tg_fail_quote(key, quoted, sizeof quoted),
                         known);
}

static int unique(struct reader *r, const struct tg_json *v)
{
    struct tg_fail why;
    tg_fail_clear(&why);
    int rc = tg_json_check_duplicates(v, r->path, &why);
    if (rc < 0 && rc != TG_E_NOMEM)
        return tg_fail_param(r->fail, TG_E_CONFIG, why.param, "%s", why.message);
    return rc < 0 ? no_memory(r) : 0;
}

static int read_object(struct reader *r, const struct tg_json *v, const struct member *m, size_t n,
                       void *base)
{
    if (!tg_json_is_obj(v))
        return bad(r, "expected an object");
    int rc = unique(r, v);
    struct tg_json_iter it = tg_json_iter(v);
    while (rc >= 0 && tg_json_next(&it)) {
        size_t i = 0, before = r->path_n;
        while (i < n && !tg_str_eq(it.name, tg_str_c(m[i].key)))
            i++;
        if (i == n)
            return unknown(r, it.name, m, n);
        (void)enter(r, "%s%s", before ? "." : "", m[i].key);
        rc = m[i].read(r, it.value, (char *)base + m[i].offset);
        leave(r, before);
    }
    return rc < 0 ? rc : 0;
}

/* ---- values ---- */

static int read_text(struct reader *r, const struct tg_json *v, void *field)
{
    struct tg_str *out = field;
    if (!tg_json_is_str(v))
        return bad(r, "expected a string");
    *out = tg_arena_dup(r->a, tg_json_str(v));
    return out->p ? 0 : no_memory(r);
}

/* The elements of a list, or the one that is no list (where `one` is fine), into an array. */
struct list {
    int (*read)(struct reader *r, const struct tg_json *v, void *element);
    size_t size, max; /* of an element; elements */
    bool one;
    const char *expected;
};

static int read_elements(struct reader *r, const struct tg_json *v, const struct list *l,
                         void *out_elements, size_t *out_n)
{
    bool is_list = tg_json_is_arr(v);
    size_t n = is_list ? tg_json_count(v) : l->one;
    if (n == 0 || n > l->max)
        return bad(r, l->expected);
    char *elements = tg_arena_array(r->a, n, l->size);
    if (!elements)
        return no_memory(r);
    memcpy(out_elements, &elements, sizeof elements); /* a pointer of any type */
    *out_n = n;
    if (!is_list)
        return l->read(r, v, elements);
    int rc = 0;
    struct tg_json_iter it = tg_json_iter(v);
    while (rc >= 0 && tg_json_next(&it)) {
        size_t before = enter(r, "[%zu]", it.index);
        rc = l->read(r, it.value, elements + it.index * l->size);
        leave(r, before);
    }
    return rc;
}

/* A string or a list of strings. */
static int read_list(struct reader *r, const struct tg_json *v, void *field)
{
    static const struct list list = {read_text, sizeof(struct tg_str), TG_MOCK_MAX_WORDS, true,
                                     "expected a string or 1 to 32 of them"};
    struct tg_str_list *out = field;
    return read_elements(r, v, &list, &out->v, &out->n);
}

static int read_count(struct reader *r, const struct tg_json *v, void *field)
{
    int64_t n;
    if (tg_json_i64(v, &n) < 0 || n < 0)
        return bad(r, "expected a whole number");
    *(int64_t *)field = n;
    return 0;
}

static int read_bool(struct reader *r, const struct tg_json *v, void *field)
{
    return tg_json_bool(v, field) < 0 ? bad(r, "expected true or false") : 0;
}

/* ---- when ---- */

/* 3, or [1, 4], or [2, null] */
static int read_turn(struct reader *r, const struct tg_json *v, void *when)
{
    struct tg_mock_when *w = when;
    if (!tg_json_is_arr(v)) {
        int rc = read_count(r, v, &w->turn_min);
        w->turn_max = w->turn_min;
        return rc;
    }
    if (tg_json_count(v) != 2)
        return bad(r, "expected a number or [least, most]");
    int rc = read_count(r, tg_json_at(v, 0), &w->turn_min);
    if (rc == 0 && !tg_json_is_nil(tg_json_at(v, 1)))
        rc = read_count(r, tg_json_at(v, 1), &w->turn_max);
    if (rc == 0 && w->turn_max >= 0 && w->turn_max < w->turn_min)
        return bad(r, "expected [least, most]");
    return rc;
}

static int read_flag_or_list(struct reader *r, const struct tg_json *v, int *flag,
                             struct tg_str_list *list)
{
    bool b;
    if (tg_json_is_bool(v)) {
        *flag = tg_json_bool(v, &b) == 0 && b;
        return 0;
    }
    *flag = 1;
    return read_list(r, v, list);
}

static int read_tools(struct reader *r, const struct tg_json *v, void *when)
{
    struct tg_mock_when *w = when;
    return read_flag_or_list(r, v, &w->has_tools, &w->tools);
}

static int read_result(struct reader *r, const struct tg_json *v, void *when)
{
    struct tg_mock_when *w = when;
    return read_flag_or_list(r, v, &w->has_result, &w->result);
}

static int read_when(struct reader *r, const struct tg_json *v, void *field)
{
    static const struct member members[] = {
        {"turn", read_turn, 0},
        {"tools", read_tools, 0},
        {"result", read_result, 0},
        {"last", read_list, offsetof(struct tg_mock_when, last)},
        {"system", read_list, offsetof(struct tg_mock_when, system)},
        {"model", read_list, offsetof(struct tg_mock_when, model)},
    };
    return read_object(r, v, members, TG_ARRAY_LEN(members), field);
}

/* ---- calls ---- */

/* An object as it is written, or a string: whatever a model may write. */
static int read_arguments(struct reader *r, const struct tg_json *v, void *field)
{
    struct tg_str *out = field;
    if (tg_json_is_str(v))
        return read_text(r, v, out);
    if (!tg_json_is_obj(v))
        return bad(r, "expected an object, or a string that holds the arguments' text");
    *out = tg_arena_dup(r->a, tg_json_raw(r->doc, v));
    return out->p ? 0 : no_memory(r);
}

static int read_call(struct reader *r, const struct tg_json *v, void *element)
{
    struct tg_mock_call *out = element;
    static const struct member members[] = {
        {"tool", read_list, offsetof(struct tg_mock_call, tools)},
        {"id", read_text, offsetof(struct tg_mock_call, id)},
        {"arguments", read_arguments, offsetof(struct tg_mock_call, arguments)},
    };
    out->arguments = TG_STR("{}");
    int rc = read_object(r, v, members, TG_ARRAY_LEN(members), out);
    return rc == 0 && out->tools.n == 0 ? bad(r, "has no 'tool'") : rc;
}

static int read_alternatives(struct reader *r, const struct tg_json *v, void *element)
{
    static const struct list list = {read_call, sizeof(struct tg_mock_call), TG_MOCK_MAX_WORDS,
                                     true, "expected 1 to 32 alternatives"};
    struct tg_mock_calls *out = element;
    return read_elements(r, v, &list, &out->any, &out->n);
}

static int read_calls(struct reader *r, const struct tg_json *v, void *step)
{
    static const struct list list = {read_alternatives, sizeof(struct tg_mock_calls),
                                     TG_MOCK_MAX_CALLS, false, "expected a list of 1 to 16 calls"};
    struct tg_mock_step *s = step;
    return read_elements(r, v, &list, &s->calls, &s->n_calls);
}

/* ---- steps ---- */

static int read_usage(struct reader *r, const struct tg_json *v, void *field)
{
    static const struct member members[] = {
        {"input", read_count, offsetof(struct tg_mock_usage, input)},
        {"cache_read", read_count, offsetof(struct tg_mock_usage, cache_read)},
        {"cache_write", read_count, offsetof(struct tg_mock_usage, cache_write)},
        {"output", read_count, offsetof(struct tg_mock_usage, output)},
        {"reasoning", read_count, offsetof(struct tg_mock_usage, reasoning)},
    };
    ((struct tg_mock_usage *)field)->given = true;
    return read_object(r, v, members, TG_ARRAY_LEN(members), field);
}

static int read_finish(struct reader *r, const struct tg_json *v, void *field)
{
    static const char *const words[] = {
        [TG_MOCK_FINISH_STOP] = "stop",
        [TG_MOCK_FINISH_LENGTH] = "length",
        [TG_MOCK_FINISH_TOOL_CALLS] = "tool_calls",
        [TG_MOCK_FINISH_CONTENT_FILTER] = "content_filter",
    };
    for (size_t i = TG_MOCK_FINISH_STOP; i < TG_ARRAY_LEN(words); i++) {
        if (tg_json_str_is(v, tg_str_c(words[i]))) {
            *(enum tg_mock_finish *)field = (enum tg_mock_finish)i;
            return 0;
        }
    }
    return bad(r, "expected one of stop, length, tool_calls, content_filter");
}

static int read_step(struct reader *r, const struct tg_json *v, void *element)
{
    struct tg_mock_step *out = element;
    static const struct member members[] = {
        {"name", read_text, offsetof(struct tg_mock_step, name)},
        {"when", read_when, offsetof(struct tg_mock_step, when)},
        {"reasoning", read_text, offsetof(struct tg_mock_step, reasoning)},
        {"text", read_text, offsetof(struct tg_mock_step, text)},
        {"calls", read_calls, 0},
        {"weave", read_bool, offsetof(struct tg_mock_step, weave)},
        {"usage", read_usage, offsetof(struct tg_mock_step, usage)},
        {"finish", read_finish, offsetof(struct tg_mock_step, finish)},
    };
    out->when =
        (struct tg_mock_when){.turn_min = -1, .turn_max = -1, .has_tools = -1, .has_result = -1};
    return read_object(r, v, members, TG_ARRAY_LEN(members), out);
}

static int read_steps(struct reader *r, const struct tg_json *v, void *script)
{
    static const struct list list = {read_step, sizeof(struct tg_mock_step), TG_MOCK_MAX_STEPS,
                                     false, "expected a list of 1 to 256 steps"};
    struct tg_mock_steps *s = script;
    return read_elements(r, v, &list, &s->steps, &s->n_steps);
}

/* ---- variables ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool tg_mock_template_next(struct tg_str *text, struct tg_str *out_before, struct tg_str *out_name)
{
    for (size_t at = 0; at + 4 < text->n; at++) {
        size_t end = at + 2;
        if (text->p[at] != '{' || text->p[at + 1] != '{')
            continue;
        while (end < text->n && is_word(text->p[end]))
            end++;
        if (end == at + 2 || text->n - end < 2 || text->p[end] != '}' || text->p[end + 1] != '}')
            continue;
        *out_before = tg_str_first(*text, at);
        *out_name = tg_str_make(text->p + at + 2, end - at - 2);
        *text = tg_str_from(*text, end + 2);
        return true;
    }
    *out_before = *text;
    *text = (struct tg_str){NULL, 0};
    return false;
}

static int read_var(struct reader *r, const struct tg_json *v, struct tg_mock_var *out)
{
    static const struct member members[] = {
        {"after", read_list, offsetof(struct tg_mock_var, after)},
    };
    if (tg_json_is_str(v))
        return read_text(r, v, &out->value);
    int rc = read_object(r, v, members, TG_ARRAY_LEN(members), out);
    return rc == 0 && out->after.n == 0 ? bad(r, "expected a string or {\"after\": …}") : rc;
}

static int read_vars(struct reader *r, const struct tg_json *v, void *script)
{
    struct tg_mock_steps *s = script;
    size_t n = tg_json_count(v);
    if (!tg_json_is_obj(v) || n > TG_MOCK_MAX_VARS)
        return bad(r, "expected an object of at most 32 variables");
    s->vars = tg_arena_array(r->a, n, sizeof *s->vars);
    if (n && !s->vars)
        return no_memory(r);
    s->n_vars = n;
    int rc = unique(r, v);
    struct tg_json_iter it = tg_json_iter(v);
    while (rc >= 0 && tg_json_next(&it)) {
        struct tg_mock_var *var = s->vars + it.index;
        size_t before = enter(r, ".%.*s", TG_STR_ARG(tg_str_first(it.name, 40)));
        for (size_t i = 0; i < it.name.n && rc >= 0; i++)
            rc = is_word(it.name.p[i]) ? 0 : bad(r, "names are made of a-z, 0-9 and _");
        var->name = tg_arena_dup(r->a, it.name);
        if (rc >= 0)
            rc = var->name.p ? read_var(r, it.value, var) : no_memory(r);
        leave(r, before);
    }
    return rc < 0 ? rc : 0;
}

static bool is_known(const struct tg_mock_steps *s, struct tg_str name)
{
    static const char *const builtin[] = {TG_MOCK_BUILTIN_VARS};
    for (size_t i = 0; i < TG_ARRAY_LEN(builtin); i++)
        if (tg_str_eq(name, tg_str_c(builtin[i])))
            return true;
    for (size_t i = 0; i < s->n_vars; i++)
        if (tg_str_eq(name, s->vars[i].name))
            return true;
    return false;
}

static int check_template(struct reader *r, const struct tg_mock_steps *s, struct tg_str text)
{
    struct tg_str before, name;
    char quoted[64];
    while (tg_mock_template_next(&text, &before, &name)) {
        if (!is_known(s, name))
            return tg_fail_param(r->fail, TG_E_CONFIG, r->path,
                                 "%s: there is no variable '%s' in vars, and none of model, turn, "
                                 "result, user",
                                 r->path, tg_fail_quote(name, quoted, sizeof quoted));
    }
    return 0;
}

/* Every placeholder means something, wherever `vars` stands in the file. */
static int check_templates(struct reader *r, const struct tg_mock_steps *s)
{
    int rc = 0;
    for (size_t i = 0; i < s->n_steps && rc == 0; i++) {
        const struct tg_mock_step *step = &s->steps[i];
        size_t before = enter(r, "steps[%zu]", i);
        rc = check_template(r, s, step->text);
        if (rc == 0)
            rc = check_template(r, s, step->reasoning);
        for (size_t c = 0; c < step->n_calls && rc == 0; c++)
            for (size_t k = 0; k < step->calls[c].n && rc == 0; k++)
                rc = check_template(r, s, step->calls[c].any[k].arguments);
        leave(r, before);
    }
    return rc;
}

int tg_mock_steps_parse(struct tg_arena *scratch, struct tg_arena *a, struct tg_str json,
                        const struct tg_mock_steps **out, struct tg_fail *fail)
{
    static const struct member members[] = {
        {"vars", read_vars, 0},
        {"steps", read_steps, 0},
    };
    struct reader r = {.a = a, .fail = fail};
    struct tg_mock_steps *s = tg_arena_new(a, struct tg_mock_steps);
    if (!s)
        return no_memory(&r);
    struct tg_fail why;
    tg_fail_clear(&why);
    int rc = tg_json_parse(scratch, json, NULL, &r.doc, &why);
    if (rc == TG_E_NOMEM)
        return no_memory(&r);
    if (rc < 0)
        return tg_fail_set(fail, TG_E_CONFIG, "%s", why.message);
    rc = read_object(&r, tg_json_root(r.doc), members, TG_ARRAY_LEN(members), s);
    if (rc == 0 && s->n_steps == 0)
        rc = bad(&r, "the script has no 'steps'");
    if (rc == 0)
        rc = check_templates(&r, s);
    if (rc == 0)
        *out = s;
    return rc;
}
