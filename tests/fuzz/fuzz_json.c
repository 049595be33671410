/* The JSON reader: what it takes is valid UTF-8 and has a span for every value; a member set by a
 * splice reads back, and the text around it is untouched. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "json/json.h"
#include "json/splice.h"

enum { MAX_DEPTH = 64 };

/* Every value below v lies inside its parent's text and parses on its own. */
static void walk(struct tg_json_doc *doc, const struct tg_json *v, struct tg_json_span outer,
                 unsigned depth)
{
    struct tg_json_span span = tg_json_span(doc, v);
    struct tg_json_iter it = tg_json_iter(v);
    size_t seen = 0;

    FUZZ_CHECK(depth <= MAX_DEPTH);
    FUZZ_CHECK(span.n > 0 && span.at >= outer.at && span.at + span.n <= outer.at + outer.n);
    while (tg_json_next(&it)) {
        walk(doc, it.value, span, depth + 1);
        seen++;
    }
    FUZZ_CHECK(seen == tg_json_count(v));
}

static void check_set_member(struct tg_arena *a, struct tg_json_doc *doc)
{
    static const struct tg_json_limits limits = {.max_depth = MAX_DEPTH};
    struct tg_splice edit;
    struct tg_json_doc *after;
    struct tg_buf out;

    if (tg_json_edit_set_member(doc, tg_json_root(doc), TG_STR("model"), TG_STR("\"m\""), &edit))
        return;
    tg_buf_init(&out, 1 << 20);
    FUZZ_CHECK(tg_json_splice(tg_json_text(doc), &edit, 1, &out) == 0);
    FUZZ_CHECK(tg_json_parse(a, tg_buf_str(&out), &limits, &after, NULL) == 0);
    FUZZ_CHECK(tg_str_eq(tg_json_get_str(tg_json_root(after), TG_STR("model")), TG_STR("m")));
    tg_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct tg_json_limits limits = {.max_depth = MAX_DEPTH};
    struct tg_str text = {(const char *)data, n};
    struct tg_json_doc *doc;
    struct tg_arena arena;
    struct tg_fail fail = {0};

    if (n > 1 << 16)
        return 0;
    tg_arena_init(&arena, 8192, 8 << 20);
    if (tg_json_parse(&arena, text, &limits, &doc, &fail) == 0) {
        FUZZ_CHECK(tg_utf8_valid(text));
        walk(doc, tg_json_root(doc), (struct tg_json_span){0, n}, 0);
        (void)!tg_json_check_duplicates(tg_json_root(doc), "", &fail);
        if (tg_json_is_obj(tg_json_root(doc)))
            check_set_member(&arena, doc);
    }
    tg_arena_fini(&arena);
    return 0;
}
