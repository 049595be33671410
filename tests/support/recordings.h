/* Recorded provider traffic, where the checkout has some beside it: each case
 * of one wire format with its request's body and its answer. Include after check.h; link json. */
#ifndef TG_TEST_RECORDINGS_H
#define TG_TEST_RECORDINGS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "json/json.h"

struct recording {
    struct tg_arena arena;
    const char *name;
    struct tg_str provider, api;
    struct tg_str request; /* the body's own bytes */
    bool synthesised;      /* the request was made up */
    bool stream;           /* the answer is SSE */
    int status;
    struct tg_str body, stream_end;
};

static inline struct tg_str recording_file(struct tg_arena *a, const char *dir, const char *name,
                                           const char *file)
{
    char path[2048];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
    FILE *f = fopen(path, "rb");
    if (!f)
        return (struct tg_str){NULL, 0};
    assert_int_equal(fstat(fileno(f), &st), 0);
    char *p = tg_arena_alloc(a, (size_t)st.st_size + 1);
    assert_non_null(p);
    size_t n = fread(p, 1, (size_t)st.st_size, f);
    assert_int_equal(n, st.st_size);
    fclose(f);
    return tg_str_make(p, n);
}

static inline struct tg_json_doc *recording_json(struct tg_arena *a, struct tg_str text)
{
    struct tg_json_doc *doc;
    assert_int_equal(tg_json_parse(a, text, NULL, &doc, NULL), 0);
    return doc;
}

/* False: no case of that name and format. */
static inline bool recording_load(struct recording *r, const char *dir, const char *name,
                                  const char *api)
{
    char file[256];
    tg_arena_init(&r->arena, 64 * 1024, 1u << 30);
    r->name = name;
    struct tg_str text = recording_file(&r->arena, dir, name, "request.json");
    if (!text.p)
        return false;
    struct tg_json_doc *req = recording_json(&r->arena, text);
    const struct tg_json *root = tg_json_root(req);
    r->api = tg_json_get_str(root, TG_STR("api"));
    if (!tg_str_eq(r->api, tg_str_c(api)))
        return false;
    r->provider = tg_json_get_str(root, TG_STR("provider"));
    r->synthesised = tg_json_true(tg_json_get(root, TG_STR("body_synthesised")));
    r->request = tg_json_raw(req, tg_json_get(root, TG_STR("body")));
    text = recording_file(&r->arena, dir, name, "response.json");
    assert_non_null(text.p);
    root = tg_json_root(recording_json(&r->arena, text));
    int64_t status = 0;
    assert_int_equal(tg_json_i64(tg_json_get(root, TG_STR("status")), &status), 0);
    r->status = (int)status;
    r->stream = tg_json_str_is(tg_json_get(root, TG_STR("stream")), TG_STR("sse"));
    r->stream_end = tg_json_get_str(root, TG_STR("stream_end"));
    tg_str_to_c(tg_json_get_str(root, TG_STR("body_file")), file, sizeof(file));
    r->body = recording_file(&r->arena, dir, name, file);
    assert_non_null(r->body.p);
    return true;
}

/* Calls fn for each case of a format; returns how many there were, -1: no recordings here. */
static inline int recordings_each(const char *api, void (*fn)(struct recording *r))
{
    char dir[1024];
    const char *root = getenv("TG_SOURCE_ROOT");
    snprintf(dir, sizeof(dir), "%s/../shared/recordings", root ? root : ".");
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort), count = 0;
    if (n < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        struct recording r = {0};
        if (names[i]->d_name[0] != '.' && recording_load(&r, dir, names[i]->d_name, api)) {
            count++;
            fn(&r);
        }
        tg_arena_fini(&r.arena);
        tg_free(names[i]);
    }
    tg_free(names);
    return count;
}

#endif
