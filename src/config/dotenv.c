/* .env files: NAME=value lines. Accepted: blank lines, # comments, `export `, blanks around '=',
 * 'literal' values (\' and \\ only), "values" with \n \r \t \" \\ \$, quoted values over several
 * lines, unquoted values up to a blank and '#', LF or CRLF, a BOM. Nothing is expanded in here:
 * ${…} is the configuration file's. A line that is none of this is an error; values never get into
 * a message. */
#include "config/load_priv.h"

#include "base/utf8.h"

enum { MAX_ENV_FILE_BYTES = 256 * 1024, MAX_ENV_VARS = 1000, MAX_ENV_NAME = 128 };

struct cursor {
    struct tg_conf_load *l;
    struct tg_str rest;
    const char *file;
    uint32_t line;
    uint32_t vars;
};

static bool name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static void skip(struct cursor *c, size_t n)
{
    for (size_t i = 0; i < n && i < c->rest.n; i++)
        c->line += c->rest.p[i] == '\n';
    c->rest = tg_str_from(c->rest, n);
}

static void skip_blanks(struct cursor *c)
{
    while (c->rest.n && (c->rest.p[0] == ' ' || c->rest.p[0] == '\t'))
        skip(c, 1);
}

static struct tg_str current_line(const struct cursor *c)
{
    ptrdiff_t end = tg_str_chr(c->rest, '\n');
    return end < 0 ? c->rest : tg_str_first(c->rest, (size_t)end);
}

static void skip_line(struct cursor *c)
{
    skip(c, current_line(c).n + 1);
}

static void complain(struct cursor *c, uint32_t line, struct tg_str name, const char *what)
{
    struct tg_conf_origin at = {c->file, line, 1};
    tg_conf_error(c->l, &at, name, "%s", what);
}

static bool take_name(struct cursor *c, struct tg_str *out)
{
    struct tg_str line = current_line(c);
    if (tg_str_starts(line, TG_STR("export ")) || tg_str_starts(line, TG_STR("export\t"))) {
        skip(c, 7);
        skip_blanks(c);
        line = current_line(c);
    }
    size_t n = 0;
    while (n < line.n && name_char(line.p[n], n == 0))
        n++;
    *out = tg_str_first(line, n);
    if (n == 0 || n > MAX_ENV_NAME)
        return false;
    skip(c, n);
    skip_blanks(c);
    if (c->rest.n == 0 || c->rest.p[0] != '=')
        return false;
    skip(c, 1);
    skip_blanks(c);
    return true;
}

/* Behind a closing quote only blanks and a comment may stand. */
static bool line_is_over(struct cursor *c)
{
    skip_blanks(c);
    struct tg_str rest = tg_str_trim(current_line(c));
    return rest.n == 0 || rest.p[0] == '#';
}

static char unescape(char quote, char next)
{
    if (next == '\\' || next == quote)
        return next;
    if (quote == '\'')
        return '\0';
    switch (next) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '$':
        return '$';
    default:
        return '\0';
    }
}

/* From behind the opening quote to behind the closing one; false: it never closes. */
static bool take_quoted(struct cursor *c, char quote, struct tg_str *out)
{
    ptrdiff_t bytes = -1;
    for (size_t i = 0; i < c->rest.n && bytes < 0; i++) {
        if (c->rest.p[i] == quote)
            bytes = (ptrdiff_t)i;
        else if (c->rest.p[i] == '\\')
            i++;
    }
    if (bytes < 0)
        return false;
    char *p = tg_arena_alloc(&c->l->scratch, (size_t)bytes + 1);
    if (!p)
        return true; /* the arena has marked it */
    size_t n = 0;
    for (ptrdiff_t i = 0; i < bytes; i++) {
        char plain = 0;
        if (c->rest.p[i] == '\\' && i + 1 < bytes)
            plain = unescape(quote, c->rest.p[i + 1]);
        p[n++] = plain ? plain : c->rest.p[i];
        i += plain != 0;
    }
    p[n] = '\0';
    *out = tg_str_make(p, n);
    skip(c, (size_t)bytes + 1);
    return true;
}

static struct tg_str take_bare(struct cursor *c)
{
    struct tg_str line = current_line(c);
    size_t n = 0;
    while (n < line.n &&
           !(line.p[n] == '#' && (n == 0 || line.p[n - 1] == ' ' || line.p[n - 1] == '\t')))
        n++;
    return tg_arena_dup(&c->l->scratch, tg_str_trim(tg_str_first(line, n)));
}

static bool take_value(struct cursor *c, struct tg_str *out)
{
    char first = c->rest.n ? c->rest.p[0] : '\0';
    if (first != '"' && first != '\'') {
        *out = take_bare(c);
        return true;
    }
    skip(c, 1);
    return take_quoted(c, first, out) && line_is_over(c);
}

static bool value_ok(struct tg_str v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] == '\0')
            return false;
    return tg_utf8_valid(v);
}

static void keep(struct cursor *c, struct tg_str name, struct tg_str value, uint32_t line,
                 struct tg_conf_var **list)
{
    struct tg_conf_var *v = tg_arena_new(&c->l->scratch, struct tg_conf_var);
    if (!v)
        return;
    v->name = tg_arena_dup(&c->l->scratch, name);
    v->value = value;
    v->file = c->file;
    v->line = line;
    v->next = *list; /* in front: the later line of a file wins */
    *list = v;
}

static void take_entry(struct cursor *c, struct tg_conf_var **list)
{
    uint32_t line = c->line;
    struct tg_str name, value = {NULL, 0};
    if (!take_name(c, &name)) {
        complain(c, line, TG_CONF_NO_KEY, "expected NAME=value");
    } else if (!take_value(c, &value)) {
        complain(c, line, name, "the quotes of this value do not match");
    } else if (!value_ok(value)) {
        complain(c, line, name, "this value is not UTF-8 text");
    } else if (c->vars++ >= MAX_ENV_VARS) {
        complain(c, line, name, "too many variables: at most 1000 are allowed");
        c->rest = (struct tg_str){NULL, 0};
    } else {
        keep(c, name, value, line, list);
    }
    skip_line(c);
}

void tg_conf_dotenv_parse(struct tg_conf_load *l, struct tg_str text, const char *file,
                          struct tg_conf_var **list)
{
    struct cursor c = {.l = l, .rest = text, .file = file, .line = 1};
    if (tg_str_starts(text, TG_STR("\xEF\xBB\xBF")))
        c.rest = tg_str_from(text, 3);
    while (c.rest.n && l->report->n < TG_CONFIG_MAX_PROBLEMS) {
        skip_blanks(&c);
        struct tg_str line = tg_str_trim(current_line(&c));
        if (line.n == 0 || line.p[0] == '#')
            skip_line(&c);
        else
            take_entry(&c, list);
    }
}

/* One file; absent is fine. */
static int load_one(struct tg_conf_load *l, struct tg_str dir, struct tg_str name,
                    struct tg_conf_var **list)
{
    struct tg_str text, path = tg_conf_path_join(&l->scratch, dir, name);
    struct tg_str shown = tg_str_eq(dir, TG_STR(".")) ? name : path;
    struct tg_conf_origin at = {tg_arena_cstr(&l->scratch, shown), 0, 0};
    if (!path.p || !at.file)
        return TG_E_NOMEM;
    int rc = tg_conf_file_read(l, path, MAX_ENV_FILE_BYTES, &at, TG_CONF_NO_KEY, &text);
    if (rc == TG_E_NOT_FOUND_INTERNAL)
        return 0;
    if (rc)
        return tg_conf_go_on(rc);
    tg_conf_dotenv_parse(l, text, at.file, list);
    tg_secret_wipe((char *)(uintptr_t)text.p, text.n);
    return tg_conf_note_file(l, path);
}

static void append(struct tg_conf_load *l, struct tg_conf_var *list)
{
    struct tg_conf_var **end = &l->env.dotenv;
    while (*end)
        end = &(*end)->next;
    *end = list;
}

/* It becomes a part of a file's name. */
static bool environment_ok(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!name_char(s.p[i], false) && s.p[i] != '-' && (s.p[i] != '.' || i == 0))
            return false;
    return s.n <= 64;
}

static int choose_environment(struct tg_conf_load *l, const struct tg_conf_env *env)
{
    struct tg_str name = TG_STR("dev");
    struct tg_conf_origin where = {0};
    if (l->raw->environment.n)
        return 0;
    if (tg_conf_env_get(env, TG_STR("ENVIRONMENT"), &name, &where) && !environment_ok(name)) {
        tg_conf_error(l, &where, TG_STR("ENVIRONMENT"),
                      "expected at most 64 letters, digits, '_', '-' and '.'");
        name = TG_STR("dev");
    }
    l->raw->environment = tg_arena_dup(l->arena, name);
    return l->raw->environment.p ? 0 : TG_E_NOMEM;
}

int tg_conf_dotenv_load(struct tg_conf_load *l, struct tg_str dir)
{
    struct tg_conf_var *plain = NULL, *special = NULL;
    int rc = load_one(l, dir, TG_STR(".env"), &plain);
    if (rc)
        return rc;
    rc = choose_environment(l, &(struct tg_conf_env){l->env.process, plain});
    if (rc)
        return rc;
    struct tg_str name = tg_arena_printf(&l->scratch, ".env.%.*s", TG_STR_ARG(l->raw->environment));
    if (!name.p)
        return TG_E_NOMEM;
    rc = load_one(l, dir, name, &special);
    append(l, special);
    append(l, plain);
    return rc;
}

void tg_conf_dotenv_wipe(struct tg_conf_load *l)
{
    for (struct tg_conf_var *v = l->env.dotenv; v; v = v->next)
        if (v->value.n)
            tg_secret_wipe((char *)(uintptr_t)v->value.p, v->value.n);
    l->env.dotenv = NULL;
}
