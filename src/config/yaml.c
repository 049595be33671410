/* libyaml's event stream into nodes, without recursion. Refused: more than one document, tags,
 * duplicate keys, keys that are not plain words, aliases that unfold to more than the node limit or
 * into themselves. YAML 1.1 as libyaml reads it; types are the schema's business, not YAML's. */
#include <yaml.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "config/load_priv.h"
#include "config/node_priv.h"

struct anchor {
    struct tg_str name;
    struct tg_conf_node *node; /* NULL while it is still open */
};

struct reader {
    struct tg_conf_load *l;
    const char *file;
    struct tg_conf_node *stack[TG_CONF_MAX_DEPTH];
    size_t anchor_of[TG_CONF_MAX_DEPTH]; /* index + 1 in anchors, of the open collection */
    size_t depth;
    struct tg_conf_node *root;
    struct tg_str key; /* of the value to come, in a map */
    struct tg_conf_origin key_at;
    bool have_key;
    uint32_t nodes;
    uint32_t documents;
    struct anchor *anchors;
    size_t n_anchors;
};

static int refuse(struct reader *r, yaml_mark_t mark, const char *what)
{
    struct tg_conf_origin at = {r->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
    tg_conf_error(r->l, &at, r->have_key ? r->key : TG_CONF_NO_KEY, "%s", what);
    return TG_E_CONFIG;
}

static int refuse_limit(struct reader *r, yaml_mark_t mark, const char *what, unsigned limit)
{
    char text[96];
    snprintf(text, sizeof(text), "too %s: at most %u are allowed", what, limit);
    return refuse(r, mark, text);
}

static struct tg_str dup_text(struct reader *r, const yaml_char_t *p, size_t n)
{
    return tg_arena_dup(&r->l->scratch, tg_str_make((const char *)p, n));
}

static bool is_null_word(struct tg_str s)
{
    return s.n == 0 || tg_str_eq(s, TG_STR("~")) || tg_str_ieq(s, TG_STR("null"));
}

static struct tg_conf_node *top(struct reader *r)
{
    return r->depth ? r->stack[r->depth - 1] : NULL;
}

static bool wants_key(struct reader *r)
{
    return r->depth && top(r)->kind == TG_NODE_MAP && !r->have_key;
}

static struct tg_conf_node *child_named(const struct tg_conf_node *map, struct tg_str key)
{
    for (struct tg_conf_node *c = map->first; c; c = c->next)
        if (tg_str_eq(c->key, key))
            return c;
    return NULL;
}

/* Makes the scalar just read the key of the next value. */
static int take_key(struct reader *r, const yaml_event_t *ev)
{
    struct tg_str key = dup_text(r, ev->data.scalar.value, ev->data.scalar.length);
    if (key.n && !key.p)
        return TG_E_NOMEM;
    if (key.n == 0)
        return refuse(r, ev->start_mark, "a key must not be empty");
    if (tg_str_eq(key, TG_STR("<<")) && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return refuse(r, ev->start_mark,
                      "merge keys (<<) are not supported: write the settings out");
    struct tg_conf_node *old = child_named(top(r), key);
    r->key = key;
    r->have_key = true;
    r->key_at = (struct tg_conf_origin){r->file, (uint32_t)ev->start_mark.line + 1,
                                        (uint32_t)ev->start_mark.column + 1};
    if (!old)
        return 0;
    char text[96];
    snprintf(text, sizeof(text), "given twice: first in line %u", old->key_line);
    return refuse(r, ev->start_mark, text);
}

static int count_nodes(struct reader *r, yaml_mark_t mark, uint32_t n)
{
    r->nodes += n;
    if (r->nodes > TG_CONF_MAX_NODES)
        return refuse_limit(r, mark, "many values (aliases count as if written out)",
                            TG_CONF_MAX_NODES);
    return 0;
}

/* Hangs a node into the open collection, or makes it the root. */
static int attach(struct reader *r, struct tg_conf_node *n, yaml_mark_t mark)
{
    struct tg_conf_node *parent = top(r);
    n->line = (uint32_t)mark.line + 1;
    n->column = (uint32_t)mark.column + 1;
    n->next = NULL;
    if (!parent) {
        r->root = n;
        return 0;
    }
    if (parent->n >= TG_CONF_MAX_CHILDREN)
        return refuse_limit(r, mark, "many entries", TG_CONF_MAX_CHILDREN);
    if (parent->kind == TG_NODE_MAP) {
        n->key = r->key;
        n->key_line = r->key_at.line;
        n->key_column = r->key_at.column;
        r->have_key = false;
    }
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->n++;
    return 0;
}

/* Remembers an anchor; *out_index is its place + 1, 0 when there is none. */
static int anchor_add(struct reader *r, const yaml_char_t *name, yaml_mark_t mark,
                      struct tg_conf_node *node, size_t *out_index)
{
    *out_index = 0;
    if (!name)
        return 0;
    if (r->n_anchors >= TG_CONF_MAX_ANCHORS)
        return refuse_limit(r, mark, "many anchors", TG_CONF_MAX_ANCHORS);
    if (!r->anchors)
        r->anchors = tg_arena_array(&r->l->scratch, TG_CONF_MAX_ANCHORS, sizeof(*r->anchors));
    struct tg_str text = dup_text(r, name, strlen((const char *)name));
    if (!r->anchors || !text.p)
        return TG_E_NOMEM;
    r->anchors[r->n_anchors++] = (struct anchor){text, node};
    *out_index = r->n_anchors;
    return 0;
}

static int on_scalar(struct reader *r, const yaml_event_t *ev)
{
    if (ev->data.scalar.tag)
        return refuse(r, ev->start_mark, "tags (!…) are not supported");
    if (wants_key(r))
        return take_key(r, ev);
    struct tg_conf_node *n = tg_arena_new(&r->l->scratch, struct tg_conf_node);
    if (!n)
        return TG_E_NOMEM;
    n->kind = TG_NODE_SCALAR;
    n->unfolded = 1;
    n->text = dup_text(r, ev->data.scalar.value, ev->data.scalar.length);
    if (n->text.n && !n->text.p)
        return TG_E_NOMEM;
    n->older = r->l->scalars;
    r->l->scalars = n;
    n->null = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_word(n->text);
    size_t at;
    int rc = anchor_add(r, ev->data.scalar.anchor, ev->start_mark, n, &at);
    if (rc == 0)
        rc = count_nodes(r, ev->start_mark, 1);
    return rc ? rc : attach(r, n, ev->start_mark);
}

static int on_open(struct reader *r, yaml_mark_t mark, enum tg_conf_node_kind kind,
                   const yaml_char_t *name, const yaml_char_t *tag)
{
    if (tag)
        return refuse(r, mark, "tags (!…) are not supported");
    if (wants_key(r))
        return refuse(r, mark, "a key must be a word");
    if (r->depth >= TG_CONF_MAX_DEPTH)
        return refuse_limit(r, mark, "deeply nested: levels", TG_CONF_MAX_DEPTH);
    struct tg_conf_node *n = tg_arena_new(&r->l->scratch, struct tg_conf_node);
    if (!n)
        return TG_E_NOMEM;
    n->kind = kind;
    n->unfolded = r->nodes; /* turned into a difference when it closes */
    size_t at;
    int rc = anchor_add(r, name, mark, NULL, &at);
    if (rc == 0)
        rc = count_nodes(r, mark, 1);
    if (rc == 0)
        rc = attach(r, n, mark);
    if (rc)
        return rc;
    r->anchor_of[r->depth] = at;
    r->stack[r->depth++] = n;
    return 0;
}

static void on_close(struct reader *r)
{
    struct tg_conf_node *n = r->stack[--r->depth];
    n->unfolded = r->nodes - n->unfolded;
    if (r->anchor_of[r->depth])
        r->anchors[r->anchor_of[r->depth] - 1].node = n;
    r->have_key = false;
}

static int on_alias(struct reader *r, const yaml_event_t *ev)
{
    struct tg_str name = tg_str_c((const char *)ev->data.alias.anchor);
    if (wants_key(r))
        return refuse(r, ev->start_mark, "a key must be a word, not an alias");
    size_t i = r->n_anchors; /* the newest anchor of a name is the one that counts */
    while (i > 0 && !tg_str_eq(r->anchors[i - 1].name, name))
        i--;
    if (i == 0)
        return refuse(r, ev->start_mark, "this alias has no anchor");
    const struct tg_conf_node *target = r->anchors[i - 1].node;
    if (!target)
        return refuse(r, ev->start_mark, "this alias refers to what it stands in");
    struct tg_conf_node *n = tg_arena_new(&r->l->scratch, struct tg_conf_node);
    if (!n)
        return TG_E_NOMEM;
    *n = *target;
    int rc = count_nodes(r, ev->start_mark, target->unfolded);
    return rc ? rc : attach(r, n, ev->start_mark);
}

static int on_event(struct reader *r, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        return r->documents++ ? refuse(r, ev->start_mark, "only one document is allowed") : 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(r, ev);
    case YAML_ALIAS_EVENT:
        return on_alias(r, ev);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, ev->start_mark, TG_NODE_MAP, ev->data.mapping_start.anchor,
                       ev->data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, ev->start_mark, TG_NODE_SEQ, ev->data.sequence_start.anchor,
                       ev->data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        on_close(r);
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return 0;
}

static int syntax_error(struct reader *r, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return TG_E_NOMEM;
    struct tg_conf_origin at = {r->file, (uint32_t)p->problem_mark.line + 1,
                                (uint32_t)p->problem_mark.column + 1};
    tg_conf_error(r->l, &at, TG_CONF_NO_KEY, "not valid YAML: %s%s%s",
                  p->problem ? p->problem : "unreadable", p->context ? ", " : "",
                  p->context ? p->context : "");
    return TG_E_CONFIG;
}

static int read_events(struct reader *r, yaml_parser_t *p)
{
    for (bool end = false; !end;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(p, &ev))
            return syntax_error(r, p);
        end = ev.type == YAML_STREAM_END_EVENT;
        int rc = on_event(r, &ev);
        yaml_event_delete(&ev);
        if (rc)
            return rc;
    }
    return 0;
}

/* Line and column of a byte, for errors in the text as such. */
static struct tg_conf_origin position(const char *file, struct tg_str text, size_t at)
{
    struct tg_conf_origin o = {file, 1, 1};
    for (size_t i = 0; i < at; i++) {
        o.column++;
        if (text.p[i] == '\n') {
            o.line++;
            o.column = 1;
        }
    }
    return o;
}

static int check_text(struct tg_conf_load *l, struct tg_str text, const char *file)
{
    for (struct tg_str rest = text; rest.n;) {
        size_t len = tg_utf8_len(rest);
        if (len == 0 || rest.p[0] == '\0') {
            struct tg_conf_origin at = position(file, text, (size_t)(rest.p - text.p));
            tg_conf_error(l, &at, TG_CONF_NO_KEY, "not a text file in UTF-8");
            return TG_E_CONFIG;
        }
        rest = tg_str_from(rest, len);
    }
    return 0;
}

int tg_conf_yaml_read(struct tg_conf_load *l, struct tg_str text, const char *file,
                      struct tg_conf_node **out)
{
    struct reader r = {.l = l, .file = file};
    yaml_parser_t p;
    int rc = check_text(l, text, file);
    if (rc)
        return rc;
    if (!yaml_parser_initialize(&p))
        return TG_E_NOMEM;
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)(text.n ? text.p : ""), text.n);
    rc = read_events(&r, &p);
    yaml_parser_delete(&p);
    if (rc == 0)
        *out = r.root;
    return rc;
}

void tg_conf_yaml_wipe(struct tg_conf_load *l)
{
    for (struct tg_conf_node *n = l->scalars; n; n = n->older)
        if (n->text.n)
            tg_secret_wipe((char *)(uintptr_t)n->text.p, n->text.n);
    l->scalars = NULL;
}
