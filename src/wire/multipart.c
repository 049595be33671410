#include "wire/multipart.h"

#include "base/err.h"

enum { MAX_HEADERS = 16 };

/* ---- header parameters (RFC 9110 5.6.6): name=token or name="quoted" ---- */

static bool is_token_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(struct tg_str s)
{
    size_t n = 0;
    while (n < s.n && is_token_char(s.p[n]))
        n++;
    return n;
}

struct param {
    struct tg_str name;
    struct tg_str value; /* between the quotes, escapes as they are */
};

/* The text behind the opening quote up to the closing one; -1: there is none. */
static ptrdiff_t quoted_length(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            return (ptrdiff_t)i;
        if (s.p[i] == '\\')
            i++;
    }
    return -1;
}

/* Takes "; name=value" off the front: 1, 0 at the end, TG_E_BAD_REQUEST. */
static int next_param(struct tg_str *rest, struct param *out)
{
    struct tg_str s = tg_str_trim(*rest);
    if (s.n == 0)
        return 0;
    if (s.p[0] != ';')
        return TG_E_BAD_REQUEST;
    s = tg_str_trim(tg_str_from(s, 1));
    if (s.n == 0) { /* a semicolon at the end */
        *rest = s;
        return 0;
    }
    size_t n = token_length(s);
    if (n == 0 || n >= s.n || s.p[n] != '=')
        return TG_E_BAD_REQUEST;
    out->name = tg_str_first(s, n);
    s = tg_str_from(s, n + 1);
    if (s.n && s.p[0] == '"') {
        s = tg_str_from(s, 1);
        ptrdiff_t end = quoted_length(s);
        if (end < 0)
            return TG_E_BAD_REQUEST;
        out->value = tg_str_first(s, (size_t)end);
        *rest = tg_str_from(s, (size_t)end + 1);
        return 1;
    }
    n = token_length(s);
    if (n == 0)
        return TG_E_BAD_REQUEST;
    out->value = tg_str_first(s, n);
    *rest = tg_str_from(s, n);
    return 1;
}

/* ---- the boundary ---- */

/* RFC 2046's characters, less the blank, which nobody sends. */
static bool boundary_ok(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c && strchr("'()+_,-./:=?", c))))
            return false;
    }
    return s.n > 0 && s.n <= TG_MULTIPART_MAX_BOUNDARY;
}

int tg_multipart_boundary(struct tg_str content_type, struct tg_str *out, struct tg_fail *f)
{
    struct tg_str rest = tg_str_trim(content_type), boundary = {NULL, 0};
    struct param p;
    ptrdiff_t semicolon = tg_str_chr(rest, ';');
    struct tg_str type = semicolon < 0 ? rest : tg_str_first(rest, (size_t)semicolon);
    if (!tg_str_ieq(tg_str_trim(type), TG_STR("multipart/form-data")))
        return tg_fail_set(f, TG_E_MEDIA_TYPE, "expected multipart/form-data");
    rest = semicolon < 0 ? (struct tg_str){NULL, 0} : tg_str_from(rest, (size_t)semicolon);
    int rc, found = 0;
    while ((rc = next_param(&rest, &p)) > 0)
        if (tg_str_ieq(p.name, TG_STR("boundary"))) {
            boundary = p.value;
            found++;
        }
    if (rc < 0 || found != 1 || !boundary_ok(boundary))
        return tg_fail_set(f, TG_E_BAD_REQUEST, "the Content-Type has no valid boundary");
    *out = boundary;
    return 0;
}

/* ---- the headers of a part ---- */

static int part_fail(struct tg_fail *f, size_t part, const char *why)
{
    return tg_fail_set(f, TG_E_BAD_REQUEST, "part %zu of the form: %s", part + 1, why);
}

static bool plain(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static const char *read_disposition(struct tg_str value, struct tg_multipart_part *out)
{
    size_t n = token_length(value);
    struct tg_str rest = tg_str_from(value, n);
    struct param p;
    int rc;
    if (!tg_str_ieq(tg_str_first(value, n), TG_STR("form-data")))
        return "its Content-Disposition is not form-data";
    while ((rc = next_param(&rest, &p)) > 0) {
        if (tg_str_ieq(p.name, TG_STR("name"))) {
            if (out->name.n)
                return "it has two names";
            out->name = p.value;
        } else if (tg_str_ieq(p.name, TG_STR("filename"))) {
            if (out->has_filename)
                return "it has two file names";
            out->filename = p.value;
            out->has_filename = true;
        } else if (tg_str_ieq(p.name, TG_STR("name*"))) {
            return "its name is encoded (name*)"; /* RFC 7578 4.2 forbids it */
        }
    }
    if (rc < 0)
        return "its Content-Disposition is malformed";
    if (out->name.n == 0 || out->name.n > TG_MULTIPART_MAX_NAME_BYTES)
        return "its name is missing or too long";
    if (tg_str_chr(out->name, '\\') >= 0)
        return "its name holds an escape";
    return NULL;
}

static const char *read_encoding(struct tg_str value)
{
    static const char *const harmless[] = {"7bit", "8bit", "binary"};
    for (size_t i = 0; i < TG_ARRAY_LEN(harmless); i++)
        if (tg_str_ieq(value, tg_str_c(harmless[i])))
            return NULL;
    return "its Content-Transfer-Encoding is not supported";
}

struct seen {
    bool disposition, type;
    size_t n;
};

static const char *read_header(struct tg_str line, struct seen *seen, struct tg_multipart_part *out)
{
    size_t n = token_length(line);
    struct tg_str name = tg_str_first(line, n);
    if (++seen->n > MAX_HEADERS)
        return "it has too many headers";
    if (n == 0 || n >= line.n || line.p[n] != ':')
        return "a header is malformed";
    struct tg_str value = tg_str_trim(tg_str_from(line, n + 1));
    if (!plain(value) && tg_str_chr(value, '\t') < 0)
        return "a header holds control bytes";
    if (tg_str_ieq(name, TG_STR("content-disposition"))) {
        if (seen->disposition)
            return "it has two Content-Dispositions";
        seen->disposition = true;
        return read_disposition(value, out);
    }
    if (tg_str_ieq(name, TG_STR("content-transfer-encoding")))
        return read_encoding(value);
    if (tg_str_ieq(name, TG_STR("content-type"))) {
        if (seen->type)
            return "it has two Content-Types";
        seen->type = true;
        out->content_type = value;
    }
    return NULL;
}

/* Takes the header block, up to and with its blank line, off the front of *rest. */
static const char *read_headers(struct tg_str *rest, struct tg_multipart_part *out)
{
    struct seen seen = {0};
    size_t bytes = 0;
    for (;;) {
        ptrdiff_t end =
            tg_str_find(tg_str_first(*rest, TG_MULTIPART_MAX_HEADER_BYTES), TG_STR("\r\n"));
        if (end < 0)
            return "its headers do not end, or are too long";
        struct tg_str line = tg_str_first(*rest, (size_t)end);
        bytes += (size_t)end + 2;
        if (bytes > TG_MULTIPART_MAX_HEADER_BYTES)
            return "its headers are too long";
        *rest = tg_str_from(*rest, (size_t)end + 2);
        if (line.n == 0)
            return seen.disposition ? NULL : "it has no Content-Disposition";
        const char *why = read_header(line, &seen, out);
        if (why)
            return why;
    }
}

/* ---- the body ---- */

enum delimiter { DELIMITER_BAD = 0, DELIMITER_NEXT, DELIMITER_LAST };

/* What follows a boundary: "--" and the end, or blanks and a line end. Takes it off *rest. */
static enum delimiter read_delimiter(struct tg_str *rest)
{
    struct tg_str s = *rest;
    bool last = tg_str_starts(s, TG_STR("--"));
    if (last)
        s = tg_str_from(s, 2);
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = tg_str_from(s, 1);
    if (last) {
        *rest = s;
        return tg_str_trim(s).n == 0 ? DELIMITER_LAST : DELIMITER_BAD;
    }
    if (!tg_str_starts(s, TG_STR("\r\n")))
        return DELIMITER_BAD;
    *rest = tg_str_from(s, 2);
    return DELIMITER_NEXT;
}

/* One part: headers, value and the delimiter behind it. */
static const char *read_part(struct tg_str *rest, struct tg_str delimiter,
                             struct tg_multipart_part *out, enum delimiter *out_next)
{
    *out = (struct tg_multipart_part){0};
    const char *why = read_headers(rest, out);
    if (why)
        return why;
    /* The line end of a blank value's delimiter is that of the header block. */
    struct tg_str from_line_end = tg_str_make(rest->p - 2, rest->n + 2);
    ptrdiff_t at = tg_str_find(from_line_end, delimiter);
    if (at < 0)
        return "it does not end";
    size_t n = at < 2 ? 0 : (size_t)at - 2;
    out->value = tg_str_first(*rest, n);
    *rest = tg_str_from(from_line_end, (size_t)at + delimiter.n);
    *out_next = read_delimiter(rest);
    return *out_next == DELIMITER_BAD ? "its end is followed by something else" : NULL;
}

int tg_multipart_parse(struct tg_str body, struct tg_str boundary, struct tg_multipart_part *parts,
                       size_t max, struct tg_fail *f)
{
    char text[TG_MULTIPART_MAX_BOUNDARY + 4] = "\r\n--";
    struct tg_str delimiter = {text, boundary.n + 4}, rest = body;
    enum delimiter next;
    size_t n = 0;
    if (!boundary_ok(boundary))
        return tg_fail_set(f, TG_E_BAD_REQUEST, "the Content-Type has no valid boundary");
    memcpy(text + 4, boundary.p, boundary.n);
    if (tg_str_starts(rest, TG_STR("\r\n")))
        rest = tg_str_from(rest, 2);
    if (!tg_str_starts(rest, tg_str_from(delimiter, 2)))
        return tg_fail_set(f, TG_E_BAD_REQUEST, "the form does not begin with its boundary");
    rest = tg_str_from(rest, delimiter.n - 2);
    next = read_delimiter(&rest);
    if (next == DELIMITER_BAD)
        return tg_fail_set(f, TG_E_BAD_REQUEST, "the form does not begin with its boundary");
    for (; next == DELIMITER_NEXT; n++) {
        if (n == max)
            return tg_fail_set(f, TG_E_BAD_REQUEST, "the form has more than %zu parts", max);
        const char *why = read_part(&rest, delimiter, &parts[n], &next);
        if (why)
            return part_fail(f, n, why);
    }
    return (int)n;
}

int tg_multipart_get(const struct tg_multipart_part *parts, size_t n, struct tg_str name,
                     const struct tg_multipart_part **out, struct tg_fail *f)
{
    const struct tg_multipart_part *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!tg_str_eq(parts[i].name, name))
            continue;
        if (found)
            return tg_fail_set(f, TG_E_DUPLICATE_KEY, "the form has two parts named '%.*s'",
                               TG_STR_ARG(name));
        found = &parts[i];
    }
    if (!found)
        return 0;
    *out = found;
    return 1;
}
