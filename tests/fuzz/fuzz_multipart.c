/* Form bodies: every span lies in the body, in order; with one value replaced the form is the same
 * form with that value. The first line is the Content-Type. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "fuzz.h"
#include "wire/multipart.h"

enum { MAX_PARTS = 32 };

static void check_spans(struct tg_str body, const struct tg_multipart_part *parts, int n)
{
    const char *at = body.p;
    for (int i = 0; i < n; i++) {
        FUZZ_CHECK(parts[i].name.n > 0 && parts[i].name.p >= at);
        FUZZ_CHECK(parts[i].value.p >= parts[i].name.p + parts[i].name.n);
        at = parts[i].value.p + parts[i].value.n;
        FUZZ_CHECK(at <= body.p + body.n);
    }
}

static void replace_value(struct tg_str body, struct tg_str boundary,
                          const struct tg_multipart_part *parts, int n, int which)
{
    struct tg_multipart_part again[MAX_PARTS];
    struct tg_str old = parts[which].value;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    tg_buf_add(&b, body.p, (size_t)(old.p - body.p));
    tg_buf_lit(&b, "new");
    /* An empty value may share its line end with its headers. */
    if (!tg_str_starts(tg_str_make(old.p + old.n, 2), TG_STR("\r\n")))
        tg_buf_lit(&b, "\r\n");
    const char *rest = old.p + old.n;
    tg_buf_add(&b, rest, (size_t)(body.p + body.n - rest));
    FUZZ_CHECK(tg_multipart_parse(tg_buf_str(&b), boundary, again, MAX_PARTS, NULL) == n);
    for (int i = 0; i < n; i++) {
        FUZZ_CHECK(tg_str_eq(again[i].name, parts[i].name));
        FUZZ_CHECK(tg_str_eq(again[i].filename, parts[i].filename));
        FUZZ_CHECK(tg_str_eq(again[i].value, i == which ? TG_STR("new") : parts[i].value));
    }
    tg_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tg_multipart_part parts[MAX_PARTS];
    struct tg_str rest = {(const char *)data, n}, type, boundary;
    struct tg_fail f;
    tg_fail_clear(&f);
    if (n == 0 || n > 1 << 16 || !tg_str_split(&rest, '\n', &type) || rest.n == 0)
        return 0;
    int rc = tg_multipart_boundary(type, &boundary, &f);
    FUZZ_CHECK(rc == 0 || rc == TG_E_BAD_REQUEST || rc == TG_E_MEDIA_TYPE);
    if (rc)
        boundary = TG_STR("XX");
    /* Memory of its own size, so that a read past the end is seen. */
    char *copy = tg_malloc(rest.n);
    memcpy(copy, rest.p, rest.n);
    struct tg_str body = {copy, rest.n};
    rc = tg_multipart_parse(body, boundary, parts, MAX_PARTS, &f);
    FUZZ_CHECK(rc == TG_E_BAD_REQUEST || (rc >= 0 && rc <= MAX_PARTS));
    if (rc > 0) {
        check_spans(body, parts, rc);
        replace_value(body, boundary, parts, rc, data[0] % rc);
    }
    tg_free(copy);
    return 0;
}
