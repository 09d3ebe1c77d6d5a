/* Texts with variables of the application in them: "https://{{ host }}:{{ port }}/". What stands between {{ and the
 * next
 * }} is the name of a variable, with spaces around it or without; all else is itself. */
#ifndef MAYFLY_APP_TEMPLATE_H
#define MAYFLY_APP_TEMPLATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct template_part {
    struct str text; /* of a variable: its name, which may be none */
    bool variable;
};

/* The next part of what is `*left`, a text that template_check took. False at the end. */
bool template_next_part(struct str *left, struct template_part *ret);

/* Whether there is no variable in it. */
bool template_is_literal(struct str text);

/* The value of a variable: its bytes live as long as the call of template_expand. False, with an error: there is none.
 */
typedef bool template_resolve(void *arg, struct str name, struct str *ret_value, struct err *err);

/* ERR_INVALID: braces without an end, or what `resolve` says of a variable (NULL: any is fine). */
bool template_check(struct str text, template_resolve *resolve, void *arg, struct err *err);

/* Append the text with its variables resolved. Values are not expanded again. ERR_LIMIT when `out` is full. */
bool template_expand(struct str text, template_resolve *resolve, void *arg, struct buf *out, struct err *err);

#endif
