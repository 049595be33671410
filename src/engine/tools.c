#include "engine/tools_priv.h"

#include <stdio.h>

#include "base/err.h"
#include "engine/callparse_priv.h"
#include "engine/schema_priv.h"

enum {
    TEXT_MAX_BYTES = TG_ENGINE_MAX_TEXT_BYTES + 4096, /* the engine itself says what is too long */
    MAX_CALLS = 16,                                   /* in one answer */
    MAX_TOOLS = 512,
};

bool tg_tools_wanted(const struct tg_chat_req *chat)
{
    return chat->n_tools > 0 && chat->tool_choice.kind != TG_TOOL_CHOICE_NONE;
}

bool tg_tools_forced(const struct tg_chat_req *chat)
{
    return tg_tools_wanted(chat) && (chat->tool_choice.kind == TG_TOOL_CHOICE_REQUIRED ||
                                     chat->tool_choice.kind == TG_TOOL_CHOICE_NAMED);
}

static bool is_named(const struct tg_chat_req *chat, const struct tg_tool *t)
{
    return chat->tool_choice.kind != TG_TOOL_CHOICE_NAMED ||
           tg_str_eq(chat->tool_choice.name, t->name);
}

/* ---- the conversation ---- */

static void describe(const struct tg_chat_req *chat, struct tg_buf *b)
{
    tg_buf_lit(b, "# Tools\n\nYou can call functions. These are their signatures:\n<tools>\n");
    for (size_t i = 0; i < chat->n_tools; i++) {
        const struct tg_tool *t = &chat->tools[i];
        tg_buf_lit(b, "{\"type\": \"function\", \"function\": {\"name\": ");
        tg_buf_json_str(b, t->name);
        if (t->description.n) {
            tg_buf_lit(b, ", \"description\": ");
            tg_buf_json_str(b, t->description);
        }
        tg_buf_lit(b, ", \"parameters\": ");
        tg_buf_str_add(b, t->parameters.n ? t->parameters : TG_STR("{}"));
        tg_buf_lit(b, "}}\n");
    }
    tg_buf_lit(b, "</tools>\n\nTo call a function, answer with its name and its arguments as JSON "
                  "between these tags:\n" TG_CALL_OPEN
                  "\n{\"name\": \"the function's name\", \"arguments\": {}}\n" TG_CALL_CLOSE);
}

static void put_call(const struct tg_part *p, struct tg_buf *b)
{
    if (b->n)
        tg_buf_char(b, '\n');
    tg_buf_lit(b, TG_CALL_OPEN "\n{\"name\": ");
    tg_buf_json_str(b, p->tool_name);
    tg_buf_lit(b, ", \"arguments\": ");
    tg_buf_str_add(b, p->arguments.n ? p->arguments : TG_STR("{}"));
    tg_buf_lit(b, "}\n" TG_CALL_CLOSE);
}

static int not_text(size_t message, size_t part, struct tg_fail *f)
{
    char where[64];
    snprintf(where, sizeof where, "messages[%zu].content[%zu]", message, part);
    return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, where, "the local model takes text only");
}

static int put_result(const struct tg_part *p, size_t message, struct tg_fail *f, struct tg_buf *b)
{
    if (b->n)
        tg_buf_char(b, '\n');
    tg_buf_str_add(b,
                   p->is_error ? TG_STR("<tool_response>\nError: ") : TG_STR("<tool_response>\n"));
    for (size_t i = 0; i < p->n_parts; i++) {
        if (p->parts[i].kind != TG_PART_TEXT)
            return not_text(message, i, f);
        tg_buf_str_add(b, p->parts[i].text);
    }
    if (p->n_parts == 0)
        tg_buf_str_add(b, p->text);
    tg_buf_lit(b, "\n</tool_response>");
    return 0;
}

/* Reasoning of earlier turns stays out, as models' own templates leave it out. */
static int put_message(const struct tg_message *m, size_t at, struct tg_fail *f, struct tg_buf *b)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        int rc = 0;
        if (p->kind == TG_PART_TEXT || p->kind == TG_PART_REFUSAL)
            tg_buf_str_add(b, p->text);
        else if (p->kind == TG_PART_TOOL_CALL)
            put_call(p, b);
        else if (p->kind == TG_PART_TOOL_RESULT)
            rc = put_result(p, at, f, b);
        else if (p->kind != TG_PART_REASONING)
            rc = not_text(at, i, f);
        if (rc)
            return rc;
    }
    return 0;
}

static bool is_result(const struct tg_message *m)
{
    return m->n_parts > 0 && m->parts[0].kind == TG_PART_TOOL_RESULT;
}

static bool is_system(const struct tg_message *m)
{
    return m->role == TG_ROLE_SYSTEM || m->role == TG_ROLE_DEVELOPER;
}

/* The text of message i, and of the results right behind it; *out_next is the message after. */
static int message_text(struct tg_arena *a, const struct tg_chat_req *chat, size_t i, bool tools,
                        struct tg_fail *f, struct tg_str *out, size_t *out_next)
{
    const struct tg_message *m = &chat->messages[i];
    struct tg_buf b;
    *out_next = i + 1;
    if (!tools && m->n_parts == 1 && m->parts[0].kind == TG_PART_TEXT) {
        *out = m->parts[0].text;
        return 0;
    }
    tg_buf_init(&b, TEXT_MAX_BYTES);
    int rc = put_message(m, i, f, &b);
    while (!rc && is_result(m) && *out_next < chat->n_messages &&
           is_result(&chat->messages[*out_next])) {
        rc = put_message(&chat->messages[*out_next], *out_next, f, &b);
        (*out_next)++;
    }
    if (tools && b.n)
        tg_buf_lit(&b, "\n\n");
    if (tools)
        describe(chat, &b);
    if (!rc && !tg_buf_ok(&b))
        rc =
            tg_fail_param(f, TG_E_CONTEXT_LENGTH, tools ? "tools" : "messages",
                          "a local model takes at most %u bytes of text", TG_ENGINE_MAX_TEXT_BYTES);
    *out = rc || !b.n ? TG_STR("") : tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    return !rc && !out->p ? tg_fail_set(f, TG_E_NOMEM, "out of memory") : rc;
}

int tg_tools_messages(struct tg_arena *a, const struct tg_chat_req *chat, struct tg_fail *f,
                      const struct tg_engine_message **out, size_t *out_n)
{
    struct tg_engine_message *m = tg_arena_array(a, chat->n_messages + 1, sizeof *m);
    bool tools = tg_tools_wanted(chat);
    size_t n = 0;
    if (!m)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    if (tools && (chat->n_messages == 0 || !is_system(&chat->messages[0]))) {
        const struct tg_message none = {.role = TG_ROLE_SYSTEM};
        struct tg_chat_req only = *chat;
        size_t next;
        only.messages = (struct tg_message *)(uintptr_t)&none;
        only.n_messages = 1;
        int rc = message_text(a, &only, 0, true, f, &m[0].text, &next);
        if (rc)
            return rc;
        m[n++].role = TG_ROLE_SYSTEM;
        tools = false;
    }
    for (size_t i = 0, next; i < chat->n_messages; i = next) {
        int rc = message_text(a, chat, i, tools, f, &m[n].text, &next);
        if (rc)
            return rc;
        /* Results come as the user's words: few templates know a role for them. */
        m[n++].role = is_result(&chat->messages[i]) ? TG_ROLE_USER : chat->messages[i].role;
        tools = false;
    }
    *out = m;
    *out_n = n;
    return 0;
}

/* ---- the grammar ---- */

struct grammar_job {
    struct tg_grammar *g;
    const struct tg_chat_req *chat;
    bool strict;
    struct tg_buf *lost;
    struct tg_fail *f;
};

static int check_tools(const struct tg_chat_req *chat, struct tg_fail *f)
{
    bool found = false;
    if (chat->tool_choice.kind == TG_TOOL_CHOICE_RAW)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "the local model knows auto, none, required and a function's name");
    if (chat->n_tools > MAX_TOOLS)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "tools",
                             "the local model takes at most %d tools", MAX_TOOLS);
    for (size_t i = 0; i < chat->n_tools; i++) {
        char where[48];
        snprintf(where, sizeof where, "tools[%zu]", i);
        if (!chat->tools[i].is_function)
            return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, where,
                                 "the local model calls functions only");
        for (size_t k = 0; k < chat->tools[i].name.n; k++)
            if (strchr("\"\\", chat->tools[i].name.p[k]) ||
                (unsigned char)chat->tools[i].name.p[k] < 0x20)
                return tg_fail_param(f, TG_E_INVALID_VALUE, where,
                                     "a function's name has letters, digits, _ and -");
        found = found || is_named(chat, &chat->tools[i]);
    }
    return found ? 0
                 : tg_fail_param(f, TG_E_INVALID_VALUE, "tool_choice",
                                 "tool_choice names a function that is not among the tools");
}

static int arguments_rule(struct grammar_job *j, size_t i, uint32_t *out)
{
    const struct tg_tool *t = &j->chat->tools[i];
    struct tg_str bare = tg_str_trim(t->parameters);
    char where[64];
    snprintf(where, sizeof where, "tools[%zu].parameters", i);
    if (bare.n == 0 || tg_str_eq(bare, TG_STR("{}")) || tg_str_eq(bare, TG_STR("null"))) {
        *out = tg_schema_any_object(j->g);
        return 0;
    }
    return tg_schema_add(j->g, bare, tg_str_c(where), j->strict || t->strict == 1, NULL, j->f, out);
}

/* {"name": "f", "arguments": …} of any tool that may be called, blanks around it, the closing tag.
 */
static int call_rule(struct grammar_job *j, uint32_t *out)
{
    struct tg_grammar *g = j->g;
    uint32_t ws = tg_schema_ws(g), tail = tg_grammar_rule(g, TG_STR(""));
    *out = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(g, *out);
    tg_grammar_ref(g, a, ws);
    tg_grammar_lit(g, a, TG_STR("{\"name\": \""));
    tg_grammar_ref(g, a, tail);
    tg_grammar_lit(g, a, TG_STR("}"));
    tg_grammar_ref(g, a, ws);
    tg_grammar_lit(g, a, TG_STR(TG_CALL_CLOSE));
    for (size_t i = 0; i < j->chat->n_tools; i++) {
        uint32_t arguments = 0;
        if (!is_named(j->chat, &j->chat->tools[i]))
            continue;
        int rc = arguments_rule(j, i, &arguments);
        if (rc)
            return rc;
        a = tg_grammar_alt(g, tail);
        tg_grammar_lit(g, a, j->chat->tools[i].name);
        tg_grammar_lit(g, a, TG_STR("\", \"arguments\": "));
        tg_grammar_ref(g, a, arguments);
    }
    return 0;
}

/* What follows the first opening tag: a call, and others if several are allowed. */
static int calls_rule(struct grammar_job *j, uint32_t *out)
{
    struct tg_grammar *g = j->g;
    uint32_t call, more = tg_grammar_rule(g, TG_STR(""));
    int rc = call_rule(j, &call);
    if (rc)
        return rc;
    struct tg_galt *a = tg_grammar_alt(g, more);
    tg_grammar_ref(g, a, tg_schema_ws(g));
    tg_grammar_lit(g, a, TG_STR(TG_CALL_OPEN));
    tg_grammar_ref(g, a, call);
    *out = tg_grammar_rule(g, TG_STR(""));
    a = tg_grammar_alt(g, *out);
    tg_grammar_ref(g, a, call);
    tg_grammar_rep(g, a, more, 0, j->chat->tool_choice.parallel == 0 ? 0 : MAX_CALLS - 1);
    return 0;
}

/* Any text; behind the first opening tag in it, calls and nothing else. Rule k has read k letters
 * of the tag, whose first letter comes in it only once. */
static void text_rule(struct grammar_job *j, uint32_t root, uint32_t calls)
{
    static const struct tg_str tag = TG_STR_INIT(TG_CALL_OPEN);
    struct tg_grammar *g = j->g;
    uint32_t rules[sizeof TG_CALL_OPEN];
    rules[0] = root;
    for (size_t k = 1; k < tag.n; k++)
        rules[k] = tg_grammar_rule(g, TG_STR(""));
    rules[tag.n] = calls;
    for (size_t k = 0; k < tag.n; k++) {
        uint32_t want = (unsigned char)tag.p[k], first = (unsigned char)tag.p[0];
        uint32_t lo = want < first ? want : first, hi = want < first ? first : want;
        const struct tg_gchar next = {want, want}, again = {first, first};
        const struct tg_gchar others[] = {{1, lo - 1}, {lo + 1, hi - 1}, {hi + 1, 0x10FFFF}};
        tg_grammar_alt(g, rules[k]);
        struct tg_galt *a = tg_grammar_alt(g, rules[k]);
        tg_grammar_class(g, a, &next, 1);
        tg_grammar_ref(g, a, rules[k + 1]);
        for (size_t i = 0; i < TG_ARRAY_LEN(others); i++) {
            if (others[i].lo > others[i].hi || (i == 1 && lo == hi))
                continue;
            a = tg_grammar_alt(g, rules[k]);
            tg_grammar_class(g, a, &others[i], 1);
            tg_grammar_ref(g, a, root);
        }
        if (want == first)
            continue;
        a = tg_grammar_alt(g, rules[k]);
        tg_grammar_class(g, a, &again, 1);
        tg_grammar_ref(g, a, rules[1]);
    }
}

static int format_rule(struct grammar_job *j, uint32_t *out)
{
    const struct tg_output_format *o = &j->chat->format;
    if (o->kind == TG_FORMAT_JSON || o->schema.n == 0) {
        *out = tg_schema_any_object(j->g);
        return 0;
    }
    return tg_schema_add(j->g, o->schema, TG_STR("response_format.json_schema.schema"),
                         j->strict || o->strict == 1, j->lost, j->f, out);
}

static int put_root(struct grammar_job *j, bool tools, bool json)
{
    uint32_t calls = 0, value = 0;
    int rc = tools ? check_tools(j->chat, j->f) : 0;
    if (!rc && tools)
        rc = calls_rule(j, &calls);
    bool forced = tools && tg_tools_forced(j->chat);
    if (!rc && json && !forced) {
        rc = format_rule(j, &value);
        tg_grammar_ref(j->g, tg_grammar_alt(j->g, 0), value);
    }
    if (rc || !tools)
        return rc;
    if (!forced && !json) {
        text_rule(j, 0, calls);
        return 0;
    }
    struct tg_galt *a = tg_grammar_alt(j->g, 0);
    tg_grammar_lit(j->g, a, TG_STR(TG_CALL_OPEN));
    tg_grammar_ref(j->g, a, calls);
    return 0;
}

int tg_tools_grammar(struct tg_arena *a, const struct tg_chat_req *chat, bool strict,
                     struct tg_buf *lost, struct tg_fail *f, struct tg_str *out)
{
    bool tools = tg_tools_wanted(chat);
    bool json = chat->format.kind == TG_FORMAT_JSON || chat->format.kind == TG_FORMAT_SCHEMA;
    struct tg_buf b;
    *out = TG_STR("");
    if (!tools && !json)
        return 0;
    struct grammar_job j = {
        .g = tg_grammar_new(), .chat = chat, .strict = strict, .lost = lost, .f = f};
    if (!j.g)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    tg_buf_init(&b, 2 * TG_GRAMMAR_MAX_BYTES);
    int rc = put_root(&j, tools, json);
    if (!rc)
        rc = tg_schema_print(
            j.g, json ? TG_STR("response_format.json_schema.schema") : TG_STR("tools"), &b, f);
    if (!rc) {
        *out = tg_arena_dup(a, tg_buf_str(&b));
        rc = out->p ? 0 : tg_fail_set(f, TG_E_NOMEM, "out of memory");
    }
    tg_buf_fini(&b);
    tg_grammar_free(j.g);
    return rc;
}
