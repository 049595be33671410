/* The bytes that the mock provider sends: pure functions from a script to HTTP. Everything is
 * appended to a tg_buf whose state the caller tests. Any thread. */
#ifndef TG_SERVER_MOCK_ANSWER_H
#define TG_SERVER_MOCK_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "chat/event.h"
#include "config/settings.h"
#include "core/mock_model.h"

struct tg_mock_job {
    struct tg_mock_config cfg;
    struct tg_mock_player player; /* what is answered */
    bool completion;              /* /v1/completions */
    bool stream, usage;
    uint64_t serial; /* part of the answer's id */
    struct tg_str model;
};

/* A whole answer, head included. Plays it to its end. */
void tg_mock_single(struct tg_buf *out, struct tg_mock_job *j);
/* The head of a chunked event stream. */
void tg_mock_stream_head(struct tg_buf *out);
/* Its events, each one chunk: the role (chat only), what the player says, then finish, usage and
 * [DONE]. */
void tg_mock_stream_role(struct tg_buf *out, const struct tg_mock_job *j);
void tg_mock_stream_play(struct tg_buf *out, const struct tg_mock_job *j,
                         const struct tg_event *ev);
void tg_mock_stream_end(struct tg_buf *out, const struct tg_mock_job *j);
/* One event as one chunk. */
void tg_mock_stream_event(struct tg_buf *out, struct tg_str data);
/* A JSON answer of any status, and one that is not JSON. */
void tg_mock_json(struct tg_buf *out, int status, struct tg_str extra_header, struct tg_str body);
void tg_mock_error(struct tg_buf *out, const struct tg_mock_config *c, struct tg_str message);
void tg_mock_html(struct tg_buf *out);
void tg_mock_big_header(struct tg_buf *out, size_t bytes);

#endif
