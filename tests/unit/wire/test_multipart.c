/* Form bodies: where parts and values lie, and everything that two readers could take differently
 * is refused. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "check.h"
#include "wire/multipart.h"

enum { MAX_PARTS = 16 };

static int parse(struct tg_str body, struct tg_multipart_part *parts, struct tg_fail *f)
{
    tg_fail_clear(f);
    return tg_multipart_parse(body, TG_STR("XX"), parts, MAX_PARTS, f);
}

static void boundaries(void **state TG_UNUSED)
{
    static const struct {
        const char *type, *boundary; /* NULL: refused */
        int err;
    } cases[] = {
        {"multipart/form-data; boundary=abc", "abc", 0},
        {"Multipart/Form-Data;boundary=\"a/b:c\"", "a/b:c", 0},
        {" multipart/form-data ; charset=utf-8; BOUNDARY=----WebKitFormBoundaryA1 ",
         "----WebKitFormBoundaryA1", 0},
        {"multipart/form-data; boundary=abc;", "abc", 0},
        {"application/json", NULL, TG_E_MEDIA_TYPE},
        {"", NULL, TG_E_MEDIA_TYPE},
        {"multipart/mixed; boundary=a", NULL, TG_E_MEDIA_TYPE},
        {"multipart/form-datax; boundary=a", NULL, TG_E_MEDIA_TYPE},
        {"multipart/form-data", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=\"\"", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=\"a", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=\"a\\b\"", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=a b", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=a; boundary=b", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=a;;", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; =a", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary=\"a\r\nb\"", NULL, TG_E_BAD_REQUEST},
        {"multipart/form-data; boundary="
         "12345678901234567890123456789012345678901234567890123456789012345678901",
         NULL, TG_E_BAD_REQUEST},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_str got = {NULL, 0};
        int rc = tg_multipart_boundary(tg_str_c(cases[i].type), &got, NULL);
        if (rc != cases[i].err || !tg_str_eq(got, tg_str_c(cases[i].boundary)))
            fail_msg("%s: %d '%.*s'", cases[i].type, rc, TG_STR_ARG(got));
    }
}

static const char form[] =
    "--XX\r\n"
    "Content-Disposition: form-data; name=\"model\"\r\n"
    "\r\n"
    "whisper-1\r\n"
    "--XX\r\n"
    "content-type: audio/wav\r\n"
    "Content-Disposition: form-data; name=file; filename=\"a \\\"b\\\".wav\"\r\n"
    "Content-Transfer-Encoding: binary\r\n"
    "\r\n"
    "RI\0FF--XX\r\n-XX\r\n\r\n--X\n--XX\r\n"
    "--XX \t\r\n"
    "Content-Disposition: form-data; name=\"empty\"\r\n"
    "\r\n"
    "\r\n"
    "--XX--\r\n";

static void parts_and_their_values(void **state TG_UNUSED)
{
    struct tg_multipart_part parts[MAX_PARTS];
    const struct tg_multipart_part *one;
    struct tg_fail f;
    /* In memory of its own size, so that a read past its end is seen. */
    size_t n = sizeof(form) - 1;
    char *copy = tg_malloc(n);
    memcpy(copy, form, n);
    struct tg_str body = tg_str_make(copy, n);
    assert_int_equal(parse(body, parts, &f), 3);
    assert_str(parts[0].name, "model");
    assert_str(parts[0].value, "whisper-1");
    assert_false(parts[0].has_filename);
    assert_str(parts[0].content_type, "");
    assert_true(parts[0].value.p > body.p && parts[0].value.p < body.p + body.n);
    assert_str(parts[1].name, "file");
    assert_true(parts[1].has_filename);
    assert_str(parts[1].filename, "a \\\"b\\\".wav");
    assert_str(parts[1].content_type, "audio/wav");
    assert_str(parts[1].value, "RI\0FF--XX\r\n-XX\r\n\r\n--X\n--XX");
    assert_str(parts[2].name, "empty");
    assert_str(parts[2].value, "");
    assert_int_equal(tg_multipart_get(parts, 3, TG_STR("model"), &one, &f), 1);
    assert_ptr_equal(one, &parts[0]);
    assert_int_equal(tg_multipart_get(parts, 3, TG_STR("Model"), &one, &f), 0);
    parts[2].name = TG_STR("model");
    assert_int_equal(tg_multipart_get(parts, 3, TG_STR("model"), &one, &f), TG_E_DUPLICATE_KEY);
    assert_contains(tg_str_c(f.message), "two parts named 'model'");
    tg_free(copy);
}

#define PART(headers, value) "--XX\r\n" headers "\r\n\r\n" value "\r\n--XX--"
#define NAMED                "Content-Disposition: form-data; name=\"a\""

static void forms_that_are_fine(void **state TG_UNUSED)
{
    static const struct {
        struct tg_str body;
        int n;
        const char *value; /* of the first */
    } cases[] = {
        {TG_STR_INIT(PART(NAMED, "v")), 1, "v"},
        {TG_STR_INIT("\r\n" PART(NAMED, "v") "\r\n"), 1, "v"},
        {TG_STR_INIT(PART(NAMED, "v") "\r\n\r\n"), 1, "v"},
        {TG_STR_INIT("--XX--\r\n"), 0, ""},
        {TG_STR_INIT("--XX--"), 0, ""},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\n--XX--"), 1, ""}, /* one line end for two */
        {TG_STR_INIT(PART(NAMED "\r\nX-Other: 1", "v")), 1, "v"},
        {TG_STR_INIT(PART("content-disposition:form-data;name=a", "v")), 1, "v"},
        {TG_STR_INIT(PART(NAMED "; filename=\"\"", "v")), 1, "v"},
        {TG_STR_INIT(PART(NAMED "; filename*=UTF-8''x", "v")), 1, "v"},
        {TG_STR_INIT(PART(NAMED, "\r\n")), 1, "\r\n"},
        {TG_STR_INIT(PART(NAMED, "\n--XX")), 1, "\n--XX"},
        {TG_STR_INIT(PART(NAMED, "\r--XX")), 1, "\r--XX"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv\r\n--XX\r\n" NAMED "\r\n\r\nw\r\n--XX--"), 2, "v"},
    };
    struct tg_multipart_part parts[MAX_PARTS];
    struct tg_fail f;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        int n = parse(cases[i].body, parts, &f);
        if (n != cases[i].n || (n && !tg_str_eq(parts[0].value, tg_str_c(cases[i].value))))
            fail_msg("case %zu: %d %s", i, n, f.message);
    }
}

static void forms_that_are_refused(void **state TG_UNUSED)
{
    static const struct {
        struct tg_str body;
        const char *why;
    } cases[] = {
        {TG_STR_INIT(""), "does not begin with its boundary"},
        {TG_STR_INIT("--X"), "does not begin with its boundary"},
        {TG_STR_INIT("--XX"), "does not begin with its boundary"},
        {TG_STR_INIT("--XXY\r\n"), "does not begin with its boundary"},
        {TG_STR_INIT("--XX\n" NAMED "\n\nv\n--XX--"), "does not begin with its boundary"},
        {TG_STR_INIT("preamble\r\n" PART(NAMED, "v")), "does not begin with its boundary"},
        {TG_STR_INIT(PART(NAMED, "v") "epilogue"), "part 1 of the form: its end is followed by"},
        {TG_STR_INIT("--XX\r\n"), "part 1 of the form: its headers do not end"},
        {TG_STR_INIT("--XX\r\n\r\nv\r\n--XX--"), "it has no Content-Disposition"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv"), "it does not end"},
        {TG_STR_INIT(PART(NAMED, "--XX")), "part 2 of the form: its headers do not end"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv\r\n--X"), "it does not end"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv\r\n--XX"),
         "its end is followed by something else"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv\r\n--XX-"), "its end is followed by"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv\r\n--XXY\r\nw\r\n--XX--"),
         "its end is followed by"},
        {TG_STR_INIT("--XX\r\n" NAMED "\r\n\r\nv\r\n--XX\n"), "its end is followed by"},
        {TG_STR_INIT(PART("Content-Disposition: attachment; name=a", "v")), "is not form-data"},
        {TG_STR_INIT(PART("Content-Disposition: form-data", "v")), "its name is missing"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=\"\"", "v")),
         "its name is missing"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=\"a", "v")), "is malformed"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=\"a\\\"b\"", "v")),
         "holds an escape"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=\"mod\\el\"", "v")),
         "holds an escape"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=a; name=b", "v")), "two names"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=a; filename=b; filename=c", "v")),
         "two file names"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name*=utf-8''a", "v")), "name*"},
        {TG_STR_INIT(PART("Content-Disposition: form-data name=a", "v")), "is malformed"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=a b", "v")), "is malformed"},
        {TG_STR_INIT(PART(NAMED "\r\n" NAMED, "v")), "two Content-Dispositions"},
        {TG_STR_INIT(PART(NAMED "\r\nContent-Type: a/b\r\nContent-Type: c/d", "v")),
         "two Content-Types"},
        {TG_STR_INIT(PART(NAMED "\r\nContent-Transfer-Encoding: base64", "v")),
         "Content-Transfer-Encoding is not supported"},
        {TG_STR_INIT(PART(NAMED "\r\n folded", "v")), "a header is malformed"},
        {TG_STR_INIT(PART(NAMED "\r\nno colon", "v")), "a header is malformed"},
        {TG_STR_INIT(PART(NAMED "\r\nX : y", "v")), "a header is malformed"},
        {TG_STR_INIT(PART(NAMED "\nX: y", "v")), "control bytes"},
        {TG_STR_INIT(PART("Content-Disposition: form-data; name=\"a\0b\"", "v")), "control bytes"},
        {TG_STR_INIT(PART(NAMED "\r\nx:\x01", "v")), "control bytes"},
    };
    struct tg_multipart_part parts[MAX_PARTS];
    struct tg_fail f;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        int rc = parse(cases[i].body, parts, &f);
        if (rc != TG_E_BAD_REQUEST || tg_str_find(tg_str_c(f.message), tg_str_c(cases[i].why)) < 0)
            fail_msg("case %zu: %d '%s', wanted '%s'", i, rc, f.message, cases[i].why);
    }
}

/* No prefix of a form is a form, and no cut reads past its end. */
static void every_prefix(void **state TG_UNUSED)
{
    struct tg_multipart_part parts[MAX_PARTS];
    struct tg_fail f;
    size_t whole = sizeof(form) - 1 - 2; /* the last line end may be absent */
    for (size_t n = 0; n < whole; n++) {
        char *copy = tg_malloc(n + 1);
        memcpy(copy, form, n);
        int rc = parse(tg_str_make(copy, n), parts, &f);
        if (rc != TG_E_BAD_REQUEST)
            fail_msg("%zu bytes: %d", n, rc);
        tg_free(copy);
    }
    assert_int_equal(parse(tg_str_make(form, whole), parts, &f), 3);
}

static void limits(void **state TG_UNUSED)
{
    struct tg_multipart_part parts[MAX_PARTS];
    struct tg_fail f;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    for (int i = 0; i <= MAX_PARTS; i++)
        tg_buf_lit(&b, "--XX\r\n" NAMED "\r\n\r\nv\r\n");
    tg_buf_lit(&b, "--XX--");
    assert_int_equal(parse(tg_buf_str(&b), parts, &f), TG_E_BAD_REQUEST);
    assert_contains(tg_str_c(f.message), "more than 16 parts");
    tg_buf_clear(&b);
    tg_buf_lit(&b, "--XX\r\n" NAMED "\r\n");
    for (int i = 0; i < 16; i++)
        tg_buf_lit(&b, "x: y\r\n");
    tg_buf_lit(&b, "\r\nv\r\n--XX--");
    assert_int_equal(parse(tg_buf_str(&b), parts, &f), TG_E_BAD_REQUEST);
    assert_contains(tg_str_c(f.message), "too many headers");
    for (int lines = 1; lines <= 2; lines++) { /* one header line too long, then two together */
        tg_buf_clear(&b);
        tg_buf_lit(&b, "--XX\r\n" NAMED "\r\n");
        for (int k = 0; k < lines; k++) {
            tg_buf_lit(&b, "x: ");
            for (int i = 0; i < 9000 / lines; i++)
                tg_buf_char(&b, 'y');
            tg_buf_lit(&b, "\r\n");
        }
        tg_buf_lit(&b, "\r\nv\r\n--XX--");
        assert_int_equal(parse(tg_buf_str(&b), parts, &f), TG_E_BAD_REQUEST);
        assert_contains(tg_str_c(f.message), "too long");
    }
    tg_buf_clear(&b);
    tg_buf_lit(&b, "--XX\r\nContent-Disposition: form-data; name=");
    for (int i = 0; i < 257; i++)
        tg_buf_char(&b, 'n');
    tg_buf_lit(&b, "\r\n\r\nv\r\n--XX--");
    assert_int_equal(parse(tg_buf_str(&b), parts, &f), TG_E_BAD_REQUEST);
    assert_contains(tg_str_c(f.message), "its name is missing or too long");
    assert_int_equal(tg_multipart_parse(TG_STR("--a b--"), TG_STR("a b"), parts, 1, NULL),
                     TG_E_BAD_REQUEST);
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries),          cmocka_unit_test(parts_and_their_values),
        cmocka_unit_test(forms_that_are_fine), cmocka_unit_test(forms_that_are_refused),
        cmocka_unit_test(every_prefix),        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("wire/multipart", tests, NULL, NULL);
}
