#include "admin/model_lists.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "json/json.h"
#include "json/write.h"

#define K(lit) TG_STR(lit)

static int done(const struct tg_buf *out)
{
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}

static const struct tg_target *target_of(const struct tg_admin_view *v, const struct tg_model *m)
{
    return &v->epoch->snapshot->targets[m->target];
}

static void write_time(struct tg_jw *w, struct tg_str key, int64_t wall_us)
{
    char iso[40];
    size_t n = tg_clock_iso(wall_us, iso, sizeof iso);
    tg_jw_kstr(w, key, tg_str_make(iso, n));
}

/* ---- Ollama ---- */

/* What tells two models apart, in the form of a digest: there is no file to take one of. */
static int write_digest(struct tg_jw *w, const struct tg_model *m, const struct tg_target *t)
{
    unsigned char sum[TG_SHA256_BYTES];
    char hex[2 * TG_SHA256_BYTES + 1];
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    tg_buf_str_add(&b, m->name);
    tg_buf_char(&b, '\n');
    tg_buf_str_add(&b, t->model_name);
    int rc = tg_buf_ok(&b) ? tg_sha256(tg_buf_str(&b), sum) : TG_E_NOMEM;
    tg_buf_fini(&b);
    if (rc)
        return rc;
    tg_hex(sum, sizeof sum, hex);
    tg_jw_kstr(w, K("digest"), tg_str_c(hex));
    return 0;
}

static void write_details(struct tg_jw *w, const struct tg_target *t)
{
    struct tg_str family = tg_str_c(tg_backend_kind_name(t->kind));
    tg_jw_key(w, K("details"));
    tg_jw_obj(w);
    tg_jw_kstr(w, K("parent_model"), TG_STR(""));
    tg_jw_kstr(w, K("format"), t->kind == TG_BACKEND_LOCAL ? TG_STR("gguf") : TG_STR(""));
    tg_jw_kstr(w, K("family"), family);
    tg_jw_key(w, K("families"));
    tg_jw_arr(w);
    tg_jw_str(w, family);
    tg_jw_end_arr(w);
    tg_jw_kstr(w, K("parameter_size"), TG_STR(""));
    tg_jw_kstr(w, K("quantization_level"), TG_STR(""));
    tg_jw_end_obj(w);
}

static int write_tag(struct tg_jw *w, const struct tg_admin_view *v, const struct tg_model *m,
                     const struct tg_admin_engine *loaded)
{
    const struct tg_target *t = target_of(v, m);
    tg_jw_obj(w);
    tg_jw_kstr(w, K("name"), m->name);
    tg_jw_kstr(w, K("model"), m->name);
    if (!loaded)
        write_time(w, K("modified_at"), v->started_wall_us);
    tg_jw_ki64(w, K("size"), loaded ? (int64_t)loaded->resident_bytes : 0);
    int rc = write_digest(w, m, t);
    write_details(w, t);
    if (loaded) { /* until it is told to go: a year stands for never */
        write_time(w, K("expires_at"), v->now_wall_us + 365ll * 24 * 3600 * 1000000);
        tg_jw_ki64(w, K("size_vram"), 0);
        tg_jw_ki64(w, K("context_length"), loaded->n_ctx);
    }
    tg_jw_end_obj(w);
    return rc;
}

int tg_admin_ollama_tags(const struct tg_admin_view *v, struct tg_buf *out)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    struct tg_jw w = tg_jw(out);
    int rc = 0;
    tg_jw_obj(&w);
    tg_jw_key(&w, K("models"));
    tg_jw_arr(&w);
    for (size_t i = 0; i < s->n_models && rc == 0; i++) {
        if (!s->models[i].wildcard)
            rc = write_tag(&w, v, &s->models[i], NULL);
    }
    tg_jw_end_arr(&w);
    tg_jw_end_obj(&w);
    return rc ? rc : done(out);
}

static const struct tg_admin_engine *loaded_engine(const struct tg_admin_view *v,
                                                   const struct tg_model *m)
{
    struct tg_str name = target_of(v, m)->name;
    for (size_t i = 0; i < v->n_engines; i++) {
        if (tg_str_eq(v->engines[i].name, name) && strcmp(v->engines[i].state, "ready") == 0)
            return &v->engines[i];
    }
    return NULL;
}

int tg_admin_ollama_ps(const struct tg_admin_view *v, struct tg_buf *out)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    struct tg_jw w = tg_jw(out);
    int rc = 0;
    tg_jw_obj(&w);
    tg_jw_key(&w, K("models"));
    tg_jw_arr(&w);
    for (size_t i = 0; i < s->n_models && rc == 0; i++) {
        const struct tg_admin_engine *e = loaded_engine(v, &s->models[i]);
        if (e)
            rc = write_tag(&w, v, &s->models[i], e);
    }
    tg_jw_end_arr(&w);
    tg_jw_end_obj(&w);
    return rc ? rc : done(out);
}

/* "anthropic.context_length": as Ollama names what it knows of an architecture. */
static void write_info(struct tg_jw *w, const struct tg_model *m, const struct tg_target *t)
{
    const char *kind = tg_backend_kind_name(t->kind);
    char key[64];
    tg_jw_key(w, K("model_info"));
    tg_jw_obj(w);
    tg_jw_kstr(w, K("general.architecture"), tg_str_c(kind));
    tg_jw_kstr(w, K("general.basename"), t->model_name);
    if (m->context_length) {
        (void)snprintf(key, sizeof key, "%s.context_length", kind);
        tg_jw_ki64(w, tg_str_c(key), (int64_t)m->context_length);
    }
    tg_jw_end_obj(w);
}

static void write_show(struct tg_jw *w, const struct tg_admin_view *v, const struct tg_model *m)
{
    const struct tg_target *t = target_of(v, m);
    tg_jw_obj(w);
    tg_jw_kstr(w, K("license"), TG_STR(""));
    tg_jw_kstr(w, K("modelfile"), TG_STR(""));
    tg_jw_kstr(w, K("parameters"), TG_STR(""));
    tg_jw_kstr(w, K("template"), TG_STR(""));
    write_details(w, t);
    write_info(w, m, t);
    tg_jw_key(w, K("capabilities"));
    tg_jw_arr(w);
    tg_jw_str(w, K("completion"));
    tg_jw_str(w, K("tools"));
    tg_jw_end_arr(w);
    write_time(w, K("modified_at"), v->started_wall_us);
    tg_jw_end_obj(w);
}

int tg_admin_ollama_show(const struct tg_admin_view *v, struct tg_arena *a, struct tg_str body,
                         struct tg_buf *out, struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    int rc = tg_json_parse(a, body, NULL, &doc, fail);
    if (rc)
        return rc;
    struct tg_str name = tg_json_get_str(tg_json_root(doc), TG_STR("model"));
    if (!name.n)
        name = tg_json_get_str(tg_json_root(doc), TG_STR("name"));
    if (!name.n)
        return tg_fail_param(fail, TG_E_MISSING_FIELD, "model", "'model' is missing");
    const struct tg_model *m = tg_epoch_model(v->epoch, name, fail);
    if (!m)
        return fail->err ? fail->err : TG_E_MODEL_NOT_FOUND;
    struct tg_jw w = tg_jw(out);
    write_show(&w, v, m);
    return done(out);
}

/* ---- Google ---- */

static void write_gemini(struct tg_jw *w, const struct tg_admin_view *v, const struct tg_model *m)
{
    static const char *const methods[] = {"generateContent", "countTokens"};
    tg_jw_obj(w);
    tg_jw_key(w, K("name"));
    tg_jw_str_open(w);
    tg_jw_str_piece(w, TG_STR("models/"));
    tg_jw_str_piece(w, m->name);
    tg_jw_str_close(w);
    tg_jw_kstr(w, K("version"), target_of(v, m)->model_name);
    tg_jw_kstr(w, K("displayName"), m->display_name);
    if (m->context_length)
        tg_jw_ki64(w, K("inputTokenLimit"), (int64_t)m->context_length);
    if (m->max_tokens)
        tg_jw_ki64(w, K("outputTokenLimit"), (int64_t)m->max_tokens);
    tg_jw_key(w, K("supportedGenerationMethods"));
    tg_jw_arr(w);
    for (size_t i = 0; i < TG_ARRAY_LEN(methods); i++)
        tg_jw_str(w, tg_str_c(methods[i]));
    tg_jw_end_arr(w);
    tg_jw_end_obj(w);
}

int tg_admin_gemini_models(const struct tg_admin_view *v, struct tg_buf *out)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_key(&w, K("models"));
    tg_jw_arr(&w);
    for (size_t i = 0; i < s->n_models; i++) {
        if (!s->models[i].wildcard)
            write_gemini(&w, v, &s->models[i]);
    }
    tg_jw_end_arr(&w);
    tg_jw_end_obj(&w);
    return done(out);
}

int tg_admin_gemini_model(const struct tg_admin_view *v, struct tg_str id, struct tg_buf *out,
                          struct tg_fail *fail)
{
    const struct tg_model *m = tg_epoch_model(v->epoch, id, fail);
    if (!m)
        return fail->err ? fail->err : TG_E_MODEL_NOT_FOUND;
    struct tg_jw w = tg_jw(out);
    write_gemini(&w, v, m);
    return done(out);
}
