/* What every dialect must hold, whatever its format: what it writes of any order of events is well
 * formed, a stream unit by unit; each failure has a body and an event; its table is whole. A
 * dialect that is registered without a row fails here. */
#include "check.h"

#include <stdio.h>

#include "json/json.h"
#include "render.h"
#include "server/registry.h"

enum unit { NO_STREAM, EVENTS, LINES, ARRAY };

static const struct row {
    const struct tg_dialect *dialect;
    const char *body;
    enum unit unit;   /* what a stream is made of */
    const char *item; /* what an answer that is no chat has several of */
} rows[] = {
    {&tg_dialect_openai_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", EVENTS},
    {&tg_dialect_openai_completions, "{\"prompt\":\"x\"}", EVENTS},
    {&tg_dialect_openai_embeddings, "{\"input\":[\"x\",\"y\"]}", NO_STREAM, "[0.5,-1]"},
    {&tg_dialect_openai_embeddings, "{\"input\":\"x\",\"encoding_format\":\"base64\"}", NO_STREAM,
     "[0.5,-1]"},
    {&tg_dialect_openai_moderations, "{\"input\":\"x\"}", NO_STREAM, "{\"flagged\":false}"},
    {&tg_dialect_openai_images, "{\"prompt\":\"x\"}", NO_STREAM},
    {&tg_dialect_openai_audio, "{\"input\":\"x\"}", NO_STREAM},
    {&tg_dialect_rerank,
     "{\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],\"return_documents\":true}",
     NO_STREAM, "0.5"},
    {&tg_dialect_anthropic,
     "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", EVENTS},
    {&tg_dialect_anthropic_count, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
     NO_STREAM},
    {&tg_dialect_responses, "{\"input\":\"x\",\n\"tools\":[\n]}", EVENTS},
    {&tg_dialect_responses_count, "{\"input\":\"x\"}", NO_STREAM},
    {&tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", EVENTS},
    {&tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", ARRAY},
    {&tg_dialect_gemini_count, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", NO_STREAM},
    {&tg_dialect_gemini_embed, "{\"content\":{\"parts\":[{\"text\":\"x\"}]}}", NO_STREAM,
     "[0.5,-1]"},
    {&tg_dialect_generate, "{\"prompt\":\"x\"}", EVENTS},
    {&tg_dialect_simple_chat, "{\"message\":\"x\"}", NO_STREAM},
    {&tg_dialect_ollama_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", LINES},
    {&tg_dialect_ollama_generate, "{\"prompt\":\"x\"}", LINES},
    {&tg_dialect_ollama_embed, "{\"input\":[\"x\",\"y\"]}", NO_STREAM, "[0.5,-1]"},
};

/* Passed through only: a provider makes all of its answers. */
static bool renders(const struct row *row)
{
    return row->dialect->task != TG_TASK_MEDIA;
}

/* ---- rendering ---- */

/* Every kind of event, in an order that a hostile backend might choose. */
static void render_all(struct render_run *r)
{
    render_event(r, &(struct tg_event){.kind = TG_EV_START});
    for (uint32_t part = 0; part < 9; part++)
        render_part(r, part % 2, part, (enum tg_part_kind)part, "i\"d", "na\nme");
    for (int kind = TG_DELTA_TEXT; kind <= TG_DELTA_REFUSAL; kind++) {
        render_delta(r, 0, 20, (enum tg_delta_kind)kind, "a\r\n\"b\0c", "");
        render_delta(r, 1, 7, (enum tg_delta_kind)kind, "\xff\xc3", "");
        render_delta(r, 0, 3, (enum tg_delta_kind)kind, "", "");
    }
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_END, .part = 99});
    render_event(r, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &r->usage});
    render_finish_choice(r, 1, TG_FINISH_OTHER, "w\"\n");
    render_finish_choice(r, 0, TG_FINISH_STOP, "");
    render_delta(r, 0, 0, TG_DELTA_TEXT, "late", "");
    render_event(r, &(struct tg_event){.kind = TG_EV_END});
}

static void render_items(struct render_run *r, const char *item)
{
    render_event(r, &(struct tg_event){.kind = TG_EV_START});
    for (uint32_t i = 3; i-- > 0;) /* out of order, and one more than was asked for */
        render_event(r,
                     &(struct tg_event){.kind = TG_EV_ITEM, .choice = i, .text = tg_str_c(item)});
    render_event(r, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &r->usage});
    render_event(r, &(struct tg_event){.kind = TG_EV_END});
}

static void check_json(struct tg_str s)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    tg_arena_init(&a, 4096, 1 << 20);
    if (tg_json_parse(&a, s, NULL, &doc, NULL))
        fail_msg("not JSON: %.*s", TG_STR_ARG(s));
    tg_arena_fini(&a);
}

static void check_events(struct tg_str text)
{
    while (text.n) {
        ptrdiff_t end = tg_str_find(text, TG_STR("\n\n"));
        assert_true(end > 6);
        struct tg_str block = tg_str_first(text, (size_t)end);
        text = tg_str_from(text, (size_t)end + 2);
        if (tg_str_starts(block, TG_STR("event: ")))
            block = tg_str_from(block, (size_t)tg_str_chr(block, '\n') + 1);
        assert_true(tg_str_starts(block, TG_STR("data: ")));
        assert_int_equal(tg_str_chr(block, '\n'), -1);
        if (text.n || !tg_str_eq(block, TG_STR("data: [DONE]")))
            check_json(tg_str_from(block, 6));
    }
}

static void check_lines(struct tg_str text)
{
    struct tg_str line;
    assert_true(tg_str_ends(text, TG_STR("\n")));
    while (tg_str_split(&text, '\n', &line)) {
        if (text.n)
            assert_true(line.n > 0);
        if (line.n)
            check_json(line);
    }
}

static void check_rendering(const struct row *row, bool stream)
{
    struct render_run r;
    render_init(&r, row->dialect, row->body, stream);
    r.info.include_usage = true;
    r.call.json_array = row->unit == ARRAY;
    render_begin(&r);
    if (row->item)
        render_items(&r, row->item);
    else
        render_all(&r);
    assert_true(stream || r.out.n == 0);
    struct tg_str text = render_end(&r);
    assert_int_equal(r.rc, 0);
    assert_true(text.n > 0);
    if (row->unit != ARRAY)
        assert_int_equal(tg_str_chr(text, '\r'), -1);
    assert_int_equal(tg_str_chr(text, 0), -1);
    if (!stream || row->unit == ARRAY)
        check_json(text);
    else if (row->unit == LINES)
        check_lines(text);
    else
        check_events(text);
    render_fini(&r);
}

static void what_is_rendered_is_well_formed(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (!renders(&rows[i]))
            continue;
        check_rendering(&rows[i], false);
        if (rows[i].unit != NO_STREAM)
            check_rendering(&rows[i], true);
    }
}

/* ---- memory ---- */

/* However far it comes, a rendering without memory says so and gives back what it has. */
static bool render_short_of_memory(const struct row *row, bool stream, uint64_t at)
{
    struct render_run r;
    render_init(&r, row->dialect, row->body, stream);
    r.call.json_array = row->unit == ARRAY;
    tg_alloc_fail_at(at, at % 3 == 0);
    render_begin(&r);
    if (row->item)
        render_items(&r, row->item);
    else
        render_all(&r);
    (void)render_end(&r);
    uint64_t made = tg_alloc_count();
    tg_alloc_fail_at(0, 0);
    bool over = made < at;
    assert_int_equal(r.rc == 0, over);
    render_fini(&r);
    return over;
}

static void every_allocation_may_fail(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        for (int stream = 0; renders(&rows[i]) && stream <= (rows[i].unit != NO_STREAM); stream++) {
            uint64_t at = 1;
            while (!render_short_of_memory(&rows[i], stream, at))
                at++;
        }
    }
}

/* ---- failures ---- */

static void failures_are_rendered_well_formed(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        for (int err = TG_E_FIRST + 1; err < TG_E_LAST; err++) {
            struct tg_fail f;
            struct tg_buf b;
            tg_fail_clear(&f);
            tg_fail_param(&f, err, "a\"b", "x\ny\"%s", "\xff");
            tg_buf_init(&b, 1 << 16);
            rows[i].dialect->render_fail(&f, TG_STR("r\"1"), false, &b);
            check_json(tg_buf_str(&b));
            tg_buf_clear(&b);
            if (rows[i].unit != NO_STREAM)
                rows[i].dialect->render_fail(&f, TG_STR("r\"1"), true, &b);
            if (rows[i].unit == LINES)
                check_lines(tg_buf_str(&b));
            else
                check_events(tg_buf_str(&b));
            tg_buf_fini(&b);
        }
    }
}

/* ---- completeness ---- */

static const struct row *row_of(const struct tg_dialect *d)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (rows[i].dialect == d)
            return &rows[i];
    }
    return NULL;
}

static bool can_stream(const struct tg_dialect *d)
{
    for (size_t i = 0; i < d->n_endpoints; i++) {
        if (d->endpoints[i].streams)
            return true;
    }
    return false;
}

static void every_registered_dialect_has_its_row(void **state)
{
    assert_true(tg_server_registry.n_dialects > 15);
    for (size_t i = 0; i < tg_server_registry.n_dialects; i++) {
        const struct tg_dialect *d = tg_server_registry.dialects[i];
        const struct row *row = row_of(d);
        if (!row)
            fail_msg("%s has no row", d->name);
        if (renders(row))
            assert_int_equal(row->unit != NO_STREAM, can_stream(d));
    }
}

static void tables_are_complete(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        const struct tg_dialect *d = rows[i].dialect;

        assert_true(d->name && d->n_endpoints && d->open && d->render_fail &&
                    d->stream_content_type);
        if (renders(&rows[i]))
            assert_true(d->parse && d->begin && d->render && d->finish);
        assert_true((d->format == TG_WIRE_NONE) == (d->splice == NULL));
        for (size_t e = 0; e < d->n_endpoints; e++)
            assert_true(d->endpoints[e].path[0] == '/' && d->endpoints[e].summary[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_rendered_is_well_formed),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(failures_are_rendered_well_formed),
        cmocka_unit_test(every_registered_dialect_has_its_row),
        cmocka_unit_test(tables_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
