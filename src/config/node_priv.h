/* A YAML document as a small tree with positions; yaml.c is the only file that knows libyaml.
 * Everything lives in the arena that it was read into. Read-only afterwards.
 * Aliases share children, so the tree may be a graph without cycles; its unfolded size is bounded
 * when it is read. Private to config/. One thread. */
#ifndef TG_CONFIG_NODE_PRIV_H
#define TG_CONFIG_NODE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

enum tg_conf_node_kind { TG_NODE_SCALAR, TG_NODE_MAP, TG_NODE_SEQ };

struct tg_conf_node {
    enum tg_conf_node_kind kind;
    bool null;             /* scalar: empty, ~ or null, not quoted */
    uint32_t line, column; /* of the value, from 1 */
    uint32_t key_line, key_column;
    struct tg_str key;          /* in a map */
    struct tg_str text;         /* scalar */
    struct tg_conf_node *first; /* map, sequence: children in order */
    struct tg_conf_node *last;
    struct tg_conf_node *next;  /* sibling */
    struct tg_conf_node *older; /* every scalar read, newest first: so that all can be wiped */
    uint32_t n;                 /* children */
    uint32_t unfolded;          /* nodes in it, aliases counted as if written out */
};

enum {
    TG_CONF_MAX_FILE_BYTES = 1024 * 1024,
    TG_CONF_MAX_DEPTH = 32,
    TG_CONF_MAX_NODES = 50000,   /* unfolded */
    TG_CONF_MAX_CHILDREN = 2048, /* of one map or list */
    TG_CONF_MAX_ANCHORS = 256,
};

struct tg_conf_load;
/* Reads one document. *out is NULL for an empty one. TG_E_CONFIG: reported; TG_E_NOMEM. */
int tg_conf_yaml_read(struct tg_conf_load *l, struct tg_str text, const char *file,
                      struct tg_conf_node **out) TG_WARN_UNUSED;
/* Zeroes the text of every scalar: a configuration file may hold keys. Ends the tree's use. */
void tg_conf_yaml_wipe(struct tg_conf_load *l);

#endif
