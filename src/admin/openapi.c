#include "admin/openapi.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "json/write.h"

#define K(lit) TG_STR(lit)

/* 'TG_SCHEMAS_FILE' is the build's. */
__asm__(".pushsection .rodata.tg_schemas, \"a\", @progbits\n"
        ".globl tg_schemas_begin, tg_schemas_end\n" /* seen by the other parts of an LTO link */
        ".hidden tg_schemas_begin, tg_schemas_end\n"
        "tg_schemas_begin:\n"
        ".incbin \"" TG_SCHEMAS_FILE "\"\n"
        "tg_schemas_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char tg_schemas_begin[] __attribute__((visibility("hidden")));
extern const char tg_schemas_end[] __attribute__((visibility("hidden")));

struct tg_str tg_admin_schemas(void)
{
    return tg_str_make(tg_schemas_begin, (size_t)(tg_schemas_end - tg_schemas_begin));
}

static const char description[] =
    "Any client format, any provider. Streams are described by what one of their events or lines "
    "holds as JSON; streams of OpenAI's formats end with the event [DONE]. Where a schema leaves "
    "members open, they go to the provider as they are. Paths of GET also take HEAD. A model's "
    "name in a path may hold slashes, as they are or escaped.";

static const char parameters[] =
    "{\"model\":{\"name\":\"model\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":"
    "\"string\",\"minLength\":1},\"description\":\"A model of the configuration, an alias or a "
    "tier.\"},"
    "\"id\":{\"name\":\"id\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\","
    "\"minLength\":1},\"description\":\"A model's name, or the id of a kept response.\"},"
    "\"alt\":{\"name\":\"alt\",\"in\":\"query\",\"schema\":{\"type\":\"string\"},\"description\":"
    "\"sse: server-sent events; else one JSON array.\"},"
    "\"order\":{\"name\":\"order\",\"in\":\"query\",\"schema\":{\"type\":\"string\",\"enum\":"
    "[\"asc\",\"desc\"],\"default\":\"desc\"}},"
    "\"limit\":{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"minimum\":1,"
    "\"maximum\":100,\"default\":20}},"
    "\"after\":{\"name\":\"after\",\"in\":\"query\",\"schema\":{\"type\":\"string\"},"
    "\"description\":\"The id of the item that the page begins behind.\"},"
    "\"x-request-id\":{\"name\":\"x-request-id\",\"in\":\"header\",\"schema\":{\"type\":"
    "\"string\",\"maxLength\":128},\"description\":\"The request's id, if it is made of A-Z a-z "
    "0-9 . _ and -.\"},"
    "\"x-tollgate-strict\":{\"name\":\"x-tollgate-strict\",\"in\":\"header\",\"schema\":{\"type\":"
    "\"string\",\"enum\":[\"true\",\"false\"]},\"description\":\"true: a request is refused "
    "rather than changed, naming the field.\"}}";

static const char headers[] =
    "{\"x-request-id\":{\"schema\":{\"type\":\"string\"},\"description\":\"The request's id; also "
    "in the log.\"},"
    "\"x-tollgate-target\":{\"schema\":{\"type\":\"string\"},\"description\":\"The model of the "
    "configuration that answered, or failed last.\"},"
    "\"x-tollgate-fidelity\":{\"schema\":{\"type\":\"string\"},\"description\":\"What of the "
    "request was left out (dropped=...) or done by other means (emulated=...).\"},"
    "\"x-tollgate-cost-usd\":{\"schema\":{\"type\":\"string\"},\"description\":\"What the answer "
    "cost, where a price is known.\"},"
    "\"x-tollgate-provider-request-id\":{\"schema\":{\"type\":\"string\"},\"description\":\"The "
    "provider's own id of the request.\"},"
    "\"retry-after\":{\"schema\":{\"type\":\"string\"},\"description\":\"Seconds to wait.\"}}";

/* ---- pieces ---- */

static void write_ref(struct tg_jw *w, const char *kind, struct tg_str name)
{
    char ref[128];
    tg_jw_obj(w);
    tg_jw_key(w, K("$ref"));
    int n = snprintf(ref, sizeof ref, "#/components/%s/%.*s", kind, TG_STR_ARG(name));
    tg_jw_str(w, tg_str_make(ref, n > 0 && (size_t)n < sizeof ref ? (size_t)n : 0));
    tg_jw_end_obj(w);
}

/* The first word, taken off. */
static struct tg_str next_word(struct tg_str *rest)
{
    size_t i = 0;
    while (i < rest->n && rest->p[i] != ' ')
        i++;
    struct tg_str word = tg_str_first(*rest, i);
    *rest = tg_str_from(*rest, i + (i < rest->n));
    return word;
}

static void write_header_refs(struct tg_jw *w, const char *names)
{
    struct tg_str rest = tg_str_c(names);
    tg_jw_key(w, K("headers"));
    tg_jw_obj(w);
    while (rest.n) {
        struct tg_str name = next_word(&rest);
        tg_jw_key(w, name);
        write_ref(w, "headers", name);
    }
    tg_jw_end_obj(w);
}

static bool same(const struct tg_api_row *a, const struct tg_api_row *b)
{
    return tg_str_eq(a->path, b->path) && strcmp(a->method, b->method) == 0;
}

/* Rows of one operation: from the first on. */
struct op {
    const struct tg_api_row *first, *end;
};

static const struct tg_api_row *next_of(const struct op *o, const struct tg_api_row *r)
{
    for (r++; r < o->end; r++) {
        if (same(r, o->first))
            return r;
    }
    return NULL;
}

enum part { TAKES, GIVES, STREAMS, FAILS };

static const char *part_of(const struct tg_api_row *r, enum part part)
{
    const char *const all[] = {r->takes, r->gives, r->streams, r->fails};
    return all[part];
}

static unsigned count_part(const struct op *o, enum part part)
{
    unsigned n = 0;
    for (const struct tg_api_row *r = o->first; r; r = next_of(o, r))
        n += part_of(r, part) != NULL;
    return n;
}

/* {"schema":…}: the one schema, or any of them. */
static void write_media(struct tg_jw *w, const struct op *o, enum part part)
{
    bool many = count_part(o, part) > 1;
    tg_jw_obj(w);
    tg_jw_key(w, K("schema"));
    if (many) {
        tg_jw_obj(w);
        tg_jw_key(w, K("anyOf"));
        tg_jw_arr(w);
    }
    for (const struct tg_api_row *r = o->first; r; r = next_of(o, r)) {
        if (part_of(r, part))
            write_ref(w, "schemas", tg_str_c(part_of(r, part)));
    }
    if (many) {
        tg_jw_end_arr(w);
        tg_jw_end_obj(w);
    }
    tg_jw_end_obj(w);
}

/* ---- an operation ---- */

/* "POST /v1/a-b/{c}" is "post_v1_a_b_c". */
static void write_operation_id(struct tg_jw *w, const struct tg_api_row *r)
{
    char id[160];
    size_t n = 0;
    for (const char *p = r->method; *p; p++)
        id[n++] = *p;
    bool gap = true;
    for (size_t i = 0; i < r->path.n && n + 2 < sizeof id; i++) {
        char c = r->path.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (word && gap)
            id[n++] = '_';
        if (word)
            id[n++] = c;
        gap = !word;
    }
    tg_jw_kstr(w, K("operationId"), tg_str_make(id, n));
}

/* Those in the path are named in it. */
static void write_path_parameters(struct tg_jw *w, struct tg_str path)
{
    for (size_t i = 0; i < path.n; i++) {
        size_t end = i + 1;
        if (path.p[i] != '{')
            continue;
        while (end < path.n && path.p[end] != '}')
            end++;
        write_ref(w, "parameters", tg_str_make(path.p + i + 1, end - i - 1));
        i = end;
    }
}

static void write_parameters(struct tg_jw *w, const struct tg_api_row *r)
{
    struct tg_str rest = r->query ? tg_str_c(r->query) : TG_STR("");
    tg_jw_key(w, K("parameters"));
    tg_jw_arr(w);
    write_path_parameters(w, r->path);
    while (rest.n)
        write_ref(w, "parameters", next_word(&rest));
    write_ref(w, "parameters", K("x-request-id"));
    if (r->model)
        write_ref(w, "parameters", K("x-tollgate-strict"));
    tg_jw_end_arr(w);
}

static void write_request(struct tg_jw *w, const struct op *o)
{
    tg_jw_key(w, K("requestBody"));
    tg_jw_obj(w);
    tg_jw_kbool(w, K("required"), true);
    tg_jw_key(w, K("content"));
    tg_jw_obj(w);
    tg_jw_key(w, K("application/json"));
    write_media(w, o, TAKES);
    if (o->first->multipart) {
        tg_jw_key(w, K("multipart/form-data"));
        write_media(w, o, TAKES);
    }
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static void write_good_content(struct tg_jw *w, const struct op *o)
{
    const struct tg_api_row *r = o->first;
    tg_jw_key(w, K("content"));
    tg_jw_obj(w);
    if (count_part(o, GIVES)) {
        tg_jw_key(w, K("application/json"));
        write_media(w, o, GIVES);
    }
    for (; r; r = next_of(o, r)) {
        if (r->streams) {
            tg_jw_key(w, tg_str_c(r->stream_type));
            write_media(w, o, STREAMS);
        }
        if (r->type) {
            tg_jw_key(w, tg_str_c(r->type));
            tg_jw_raw(w, K("{\"schema\":{\"type\":\"string\"}}"));
        } else if (r->multipart) { /* sound, text, whatever the provider sends */
            tg_jw_key(w, K("*/*"));
            tg_jw_raw(w, K("{}"));
        }
    }
    tg_jw_end_obj(w);
}

static void write_good(struct tg_jw *w, const struct op *o)
{
    struct tg_str rest = tg_str_c(o->first->statuses ? o->first->statuses : "200");
    while (rest.n) {
        tg_jw_key(w, next_word(&rest));
        tg_jw_obj(w);
        tg_jw_kstr(w, K("description"), K("The answer."));
        write_header_refs(w, o->first->model ? "x-request-id x-tollgate-target x-tollgate-fidelity "
                                               "x-tollgate-cost-usd "
                                               "x-tollgate-provider-request-id"
                                             : "x-request-id");
        write_good_content(w, o);
        tg_jw_end_obj(w);
    }
}

/* The texts of err.def that share a status, for a person; 0: all others. */
static void write_error_description(struct tg_jw *w, int status)
{
    const char *before = "";
    tg_jw_key(w, K("description"));
    tg_jw_str_open(w);
    for (int err = TG_E_FIRST + 1; err < TG_E_LAST && status; err++) {
        if (tg_err_info(err)->http_status != status)
            continue;
        tg_jw_str_piece(w, tg_str_c(before));
        tg_jw_str_piece(w, tg_str_c(tg_err_info(err)->text));
        before = "; ";
    }
    if (!status)
        tg_jw_str_piece(w, K("Any other error, a provider's own status among them."));
    tg_jw_str_close(w);
}

static void write_error(struct tg_jw *w, const struct op *o, int status)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d", status);
    tg_jw_key(w, status ? tg_str_make(text, (size_t)n) : K("default"));
    tg_jw_obj(w);
    write_error_description(w, status);
    write_header_refs(w, o->first->model ? "x-request-id x-tollgate-target x-tollgate-fidelity "
                                           "x-tollgate-provider-request-id retry-after"
                                         : "x-request-id");
    tg_jw_key(w, K("content"));
    tg_jw_obj(w);
    tg_jw_key(w, K("application/json"));
    write_media(w, o, FAILS);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static void write_errors(struct tg_jw *w, const struct op *o)
{
    static const int of_models[] = {400, 404, 415, 429, 500, 502, 503, 504};
    if (o->first->model) {
        for (size_t i = 0; i < TG_ARRAY_LEN(of_models); i++)
            write_error(w, o, of_models[i]);
    } else if (memchr(o->first->path.p, '{', o->first->path.n)) {
        write_error(w, o, 404);
    }
    write_error(w, o, 0);
}

static void write_operation(struct tg_jw *w, const struct op *o)
{
    const struct tg_api_row *r = o->first;
    tg_jw_key(w, tg_str_c(r->method));
    tg_jw_obj(w);
    write_operation_id(w, r);
    tg_jw_kstr(w, K("summary"), tg_str_c(r->summary));
    tg_jw_key(w, K("tags"));
    tg_jw_arr(w);
    tg_jw_str(w, tg_str_c(r->tag));
    tg_jw_end_arr(w);
    write_parameters(w, r);
    if (count_part(o, TAKES))
        write_request(w, o);
    tg_jw_key(w, K("responses"));
    tg_jw_obj(w);
    write_good(w, o);
    write_errors(w, o);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

/* ---- the document ---- */

static bool is_earlier_path(const struct tg_api_row *rows, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (tg_str_eq(rows[k].path, rows[i].path))
            return true;
    }
    return false;
}

/* All operations of the path of rows[i], its first row. */
static void write_path(struct tg_jw *w, const struct tg_api_row *rows, size_t n, size_t i)
{
    tg_jw_key(w, rows[i].path);
    tg_jw_obj(w);
    for (size_t k = i; k < n; k++) {
        bool told = !tg_str_eq(rows[k].path, rows[i].path);
        for (size_t m = i; m < k && !told; m++)
            told = same(&rows[m], &rows[k]);
        if (!told)
            write_operation(w, &(struct op){&rows[k], rows + n});
    }
    tg_jw_end_obj(w);
}

static void write_info(struct tg_jw *w)
{
    tg_jw_key(w, K("info"));
    tg_jw_obj(w);
    tg_jw_kstr(w, K("title"), K("Tollgate"));
    tg_jw_kstr(w, K("version"), K(TG_VERSION));
    tg_jw_kstr(w, K("description"), tg_str_c(description));
    tg_jw_key(w, K("license"));
    tg_jw_raw(w, K("{\"name\":\"MIT\",\"identifier\":\"MIT\"}"));
    tg_jw_end_obj(w);
    tg_jw_kraw(w, K("servers"), K("[{\"url\":\"/\"}]"));
}

int tg_admin_openapi(const struct tg_api_row *rows, size_t n, struct tg_buf *out)
{
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, K("openapi"), K("3.1.0"));
    write_info(&w);
    tg_jw_key(&w, K("paths"));
    tg_jw_obj(&w);
    for (size_t i = 0; i < n; i++) {
        if (!is_earlier_path(rows, i))
            write_path(&w, rows, n, i);
    }
    tg_jw_end_obj(&w);
    tg_jw_key(&w, K("components"));
    tg_jw_obj(&w);
    tg_jw_kraw(&w, K("schemas"), tg_admin_schemas());
    tg_jw_kraw(&w, K("parameters"), tg_str_c(parameters));
    tg_jw_kraw(&w, K("headers"), tg_str_c(headers));
    tg_jw_end_obj(&w);
    tg_jw_end_obj(&w);
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}
