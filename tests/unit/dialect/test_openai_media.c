/* Images and sounds: the model is found and replaced, in JSON and in forms; all else stays. */
#include "check.h"

#include "base/err.h"
#include "base/buf.h"
#include "dialect/dialect.h"

#define TYPE "multipart/form-data; boundary=xYz"
#define FIELD(name, value) \
    "--xYz\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART                                                                    \
    "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n" \
    "Content-Type: audio/wav\r\n\r\nRIFF\x01\xff--xYnot the end\r\n"
#define END "--xYz--\r\n"

static struct tg_arena arena;
static struct tg_call call;
static struct tg_fail fail;
static struct tg_buf out;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 8u << 20);
    tg_buf_init(&out, 1 << 16);
    call = (struct tg_call){0};
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    tg_buf_fini(&out);
    return 0;
}

static int open_as(const struct tg_dialect *d, const char *type, const char *body)
{
    struct tg_http_header h = {TG_STR("content-type"), tg_str_c(type)};
    struct tg_http_head head = {.headers = &h, .n_headers = 1};
    tg_fail_clear(&fail);
    return d->open(&arena, &head, tg_str_c(body), &call, &fail);
}

static struct tg_str spliced(const char *model)
{
    struct iovec iov[8];
    int n;
    bool hide = true;
    tg_buf_clear(&out);
    assert_int_equal(call.dialect->splice(&arena, &call, tg_str_c(model), true, iov, 8, &n, &hide),
                     0);
    assert_false(hide);
    for (int i = 0; i < n; i++)
        tg_buf_add(&out, iov[i].iov_base, iov[i].iov_len);
    return tg_buf_str(&out);
}

static void forms(void **state)
{
    const char *body = FIELD("model", "whisper-1") FILE_PART FIELD("user", "ann") END;
    assert_int_equal(open_as(&tg_dialect_openai_audio, TYPE, body), 0);
    assert_str(call.model, "whisper-1");
    assert_str(call.user, "ann");
    assert_false(call.stream);
    assert_str_equal(spliced("whisper-1"), tg_str_c(body));
    assert_str(spliced("up/model"), FIELD("model", "up/model") FILE_PART FIELD("user", "ann") END);
}

static void streams_of_forms(void **state)
{
    assert_int_equal(open_as(&tg_dialect_openai_audio, TYPE,
                             FIELD("stream", "true") FIELD("model", "m") FILE_PART END),
                     0);
    assert_true(call.stream);
}

static void a_form_without_a_model_gets_one(void **state)
{
    assert_int_equal(open_as(&tg_dialect_openai_images, TYPE, FILE_PART END), 0);
    assert_str(call.model, "");
    assert_str(spliced("dall-e-2"), FIELD("model", "dall-e-2") FILE_PART END);
    assert_int_equal(open_as(&tg_dialect_openai_images, TYPE, "\r\n" FILE_PART END), 0);
    assert_int_equal(
        open_as(&tg_dialect_openai_images, TYPE, tg_arena_cstr(&arena, spliced("dall-e-2"))), 0);
    assert_str(call.model, "dall-e-2");
}

static void bad_forms(void **state)
{
    assert_int_equal(open_as(&tg_dialect_openai_audio, "multipart/form-data", FILE_PART END),
                     TG_E_BAD_REQUEST);
    assert_int_equal(open_as(&tg_dialect_openai_audio, TYPE, "nonsense"), TG_E_BAD_REQUEST);
    assert_int_equal(open_as(&tg_dialect_openai_audio, TYPE, FILE_PART), TG_E_BAD_REQUEST);
    assert_int_equal(
        open_as(&tg_dialect_openai_audio, TYPE, FIELD("model", "a") FIELD("model", "b") END),
        TG_E_DUPLICATE_KEY);
}

static void json(void **state)
{
    assert_int_equal(open_as(&tg_dialect_openai_images, "application/json",
                             "{\"prompt\":\"a cat\",\"model\":\"m\",\"stream\":true,\"n\":2}"),
                     0);
    assert_true(call.stream);
    assert_str(spliced("gpt-image-1"),
               "{\"prompt\":\"a cat\",\"model\":\"gpt-image-1\",\"stream\":true,\"n\":2}");
    assert_int_equal(open_as(&tg_dialect_openai_audio, "application/json",
                             "{\"input\":\"hi\",\"voice\":\"x\",\"stream_format\":\"sse\"}"),
                     0);
    assert_true(call.stream);
    assert_str(spliced("tts"),
               "{\"model\":\"tts\",\"input\":\"hi\",\"voice\":\"x\",\"stream_format\":\"sse\"}");
    assert_int_equal(open_as(&tg_dialect_openai_images, "application/json", "[]"),
                     TG_E_INVALID_VALUE);
    assert_int_equal(open_as(&tg_dialect_openai_images, "application/json", "{\"api_key\":\"k\"}"),
                     TG_E_UNSUPPORTED_PARAMETER);
}

/* A provider's own names, on every dialect that splices JSON. */
static void renamed_members(void **state)
{
    static const struct tg_rename names[] = {
        {TG_STR_INIT("seed"), TG_STR_INIT("random_seed")},
        {TG_STR_INIT("max_completion_tokens"), TG_STR_INIT("max_tokens")},
        {{NULL, 0}, {NULL, 0}},
    };
    const char *body = "{ \"seed\" : 1, \"messages\":[{\"role\":\"user\",\"content\":\"seed\"}],"
                       "\"max_completion_tokens\":5}";
    assert_int_equal(tg_dialect_openai_chat.open(&arena, NULL, tg_str_c(body), &call, &fail), 0);
    call.renames = names;
    assert_str(spliced("m"),
               "{ \"model\":\"m\",\"random_seed\" : 1, \"messages\":[{\"role\":\"user\","
               "\"content\":\"seed\"}],\"max_tokens\":5}");
    /* both were given: nothing is said twice */
    body = "{\"max_tokens\":1,\"max_completion_tokens\":5,\"messages\":[{\"role\":\"user\"}]}";
    assert_int_equal(tg_dialect_openai_chat.open(&arena, NULL, tg_str_c(body), &call, &fail), 0);
    call.renames = names;
    assert_str(spliced(""), "{\"max_tokens\":1,\"max_completion_tokens\":5,\"messages\":[{\"role\":"
                            "\"user\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forms, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_of_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(a_form_without_a_model_gets_one, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(json, setup, teardown),
        cmocka_unit_test_setup_teardown(renamed_members, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
