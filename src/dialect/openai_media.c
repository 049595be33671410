/* POST /v1/images/… and /v1/audio/…: passed through only, to a provider of the same API. What is
 * read is the model, whether the answer is a stream, and the user; the model alone is replaced, in
 * JSON or in multipart/form-data. Source: OpenAI's API description, CreateImageRequest,
 * CreateImageEditRequest, CreateSpeechRequest (stream_format), CreateTranscriptionRequest. */
#include "base/err.h"
#include "dialect/openai_priv.h"
#include "json/splice.h"
#include "wire/multipart.h"

enum { MAX_PARTS = 128 };

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("stream_format", TG_F_STREAM_FORMAT, TG_CHECK_STRING),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

struct media {
    struct tg_body *body;   /* JSON; NULL: multipart */
    struct tg_str boundary; /* multipart */
    struct tg_str model;    /* its value's bytes in the body; {NULL,0}: none was sent */
};

static int open_json(struct tg_arena *a, const struct tg_dialect *d, struct tg_str text,
                     struct media *m, struct tg_call *out, struct tg_fail *f)
{
    int rc = tg_body_open(a, text, &table, &m->body, f);
    if (rc)
        return rc;
    tg_body_fill_call(d, text, m->body, out);
    out->include_usage = false;
    if (tg_str_eq(tg_body_str(m->body, TG_F_STREAM_FORMAT), TG_STR("sse")))
        out->stream = true;
    return 0;
}

/* The value of a plain field; "" when there is none. */
static int field(const struct tg_multipart_part *parts, size_t n, struct tg_str name,
                 struct tg_str *out, struct tg_fail *f)
{
    const struct tg_multipart_part *p;
    int rc = tg_multipart_get(parts, n, name, &p, f);
    *out = rc > 0 ? p->value : (struct tg_str){NULL, 0};
    return rc < 0 ? rc : 0;
}

static int open_multipart(struct tg_arena *a, const struct tg_dialect *d, struct tg_str text,
                          struct media *m, struct tg_call *out, struct tg_fail *f)
{
    struct tg_multipart_part *parts = tg_arena_array(a, MAX_PARTS, sizeof *parts);
    struct tg_str stream = {NULL, 0}, user = {NULL, 0};
    if (!parts)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    int n = tg_multipart_parse(text, m->boundary, parts, MAX_PARTS, f);
    if (n < 0)
        return n;
    int rc = field(parts, (size_t)n, TG_STR("model"), &m->model, f);
    if (!rc)
        rc = field(parts, (size_t)n, TG_STR("stream"), &stream, f);
    if (!rc)
        rc = field(parts, (size_t)n, TG_STR("user"), &user, f);
    if (rc)
        return rc;
    *out = (struct tg_call){
        .dialect = d,
        .body = text,
        .model = m->model.p ? m->model : TG_STR(""),
        .stream = tg_str_ieq(stream, TG_STR("true")) || tg_str_eq(stream, TG_STR("1")),
        .user = user.p ? user : TG_STR(""),
    };
    return 0;
}

static int open_media(struct tg_arena *a, const struct tg_dialect *d,
                      const struct tg_http_head *head, struct tg_str text, struct tg_call *out,
                      struct tg_fail *f)
{
    struct tg_str type = head ? tg_http_head_get(head, TG_STR("content-type")) : TG_STR("");
    struct media *m = tg_arena_new(a, struct media);
    if (!m)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    int rc;
    if (tg_str_istarts(type, TG_STR("multipart/"))) {
        rc = tg_multipart_boundary(type, &m->boundary, f);
        if (rc == 0)
            rc = open_multipart(a, d, text, m, out, f);
    } else {
        rc = open_json(a, d, text, m, out, f);
    }
    if (rc)
        return rc;
    out->parsed = m;
    return 0;
}

static int open_images(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                       struct tg_call *out, struct tg_fail *f)
{
    return open_media(a, &tg_dialect_openai_images, head, text, out, f);
}

static int open_audio(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                      struct tg_call *out, struct tg_fail *f)
{
    return open_media(a, &tg_dialect_openai_audio, head, text, out, f);
}

/* The field in front of the others. The line break before the first boundary may be the body's own
 * first bytes: the parser takes no other text there. */
static struct tg_splice insert_model(struct tg_arena *a, const struct tg_call *call,
                                     struct tg_str model)
{
    const struct media *m = call->parsed;
    const char *end = tg_str_starts(call->body, TG_STR("\r\n")) ? "" : "\r\n";
    return (struct tg_splice){
        .insert = tg_arena_printf(
            a, "--%.*s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%.*s%s",
            TG_STR_ARG(m->boundary), TG_STR_ARG(model), end)};
}

static int splice(struct tg_arena *a, const struct tg_call *call, struct tg_str upstream_model,
                  bool inject_usage, struct iovec *out_iov, int max_iov, int *out_n,
                  bool *out_hide_usage)
{
    const struct media *m = call->parsed;
    if (m->body)
        return tg_openai_splice_body(a, m->body, call, upstream_model, false, out_iov, max_iov,
                                     out_n, out_hide_usage);
    struct tg_splice edit;
    bool same = m->model.p && tg_str_eq(m->model, upstream_model);
    if (m->model.p)
        edit = (struct tg_splice){(size_t)(m->model.p - call->body.p), m->model.n, upstream_model};
    else
        edit = insert_model(a, call, upstream_model);
    if (!same && !edit.insert.p)
        return TG_E_NOMEM;
    int n = tg_json_splice_iov(call->body, &edit, same ? 0 : 1, out_iov, (size_t)max_iov);
    if (n < 0)
        return n;
    *out_n = n;
    *out_hide_usage = false;
    return 0;
}

static const struct tg_endpoint image_endpoints[] = {
    {TG_HTTP_POST, "/v1/images/generations", "OpenAI images from a text", "ImageRequest", "Images",
     "ImageEvent", "OpenAIError"},
    {TG_HTTP_POST, "/v1/images/edits", "OpenAI edits of images", "ImageEditRequest", "Images",
     "ImageEvent", "OpenAIError"},
    {TG_HTTP_POST, "/v1/images/variations", "OpenAI variations of an image",
     "ImageVariationRequest", "Images", NULL, "OpenAIError"},
};
static const struct tg_endpoint audio_endpoints[] = {
    {TG_HTTP_POST, "/v1/audio/speech", "OpenAI speech from a text", "SpeechRequest", NULL,
     "AudioEvent", "OpenAIError"},
    {TG_HTTP_POST, "/v1/audio/transcriptions", "OpenAI transcriptions of speech",
     "TranscriptionRequest", "Transcription", "AudioEvent", "OpenAIError"},
    {TG_HTTP_POST, "/v1/audio/translations", "OpenAI translations of speech to English",
     "TranslationRequest", "Transcription", NULL, "OpenAIError"},
};

const struct tg_dialect tg_dialect_openai_images = {
    .name = "openai_images",
    .endpoints = image_endpoints,
    .n_endpoints = TG_ARRAY_LEN(image_endpoints),
    .task = TG_TASK_MEDIA,
    .format = TG_WIRE_OPENAI_IMAGES,
    .multipart = true,
    .open = open_images,
    .splice = splice,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};

const struct tg_dialect tg_dialect_openai_audio = {
    .name = "openai_audio",
    .endpoints = audio_endpoints,
    .n_endpoints = TG_ARRAY_LEN(audio_endpoints),
    .task = TG_TASK_MEDIA,
    .format = TG_WIRE_OPENAI_AUDIO,
    .multipart = true,
    .open = open_audio,
    .splice = splice,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
