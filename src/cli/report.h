/* What a command found out, told once for people and for programs: lines and lists, or the same as JSON.
 *
 * Each call names the JSON member and what stands before it for people; a `label` or `title` of NULL is for programs
 * only, a `key` of NULL for people only. Text of strangers is escaped (base/text.h, base/json.h). Errors stay in
 * out->failed.
 */
#ifndef MAYFLY_CLI_REPORT_H
#define MAYFLY_CLI_REPORT_H

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

struct report {
    struct buf *out;
    struct json json;
    bool programs;  /* JSON */
    uint32_t depth; /* people: lists that are open */
    bool line;      /* people: something stands on the line already */
};

/* What was written into a buffer. */
static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){(const char *)buf->data, buf->size};
}

void report_init(struct report *report, struct buf *out, bool programs);

/* A fact: a member, or "label        value" on a line of its own. */
void report_text(struct report *report, const char *key, const char *label, struct str value);
/* "1,234 bytes"; `unit` may be NULL. */
void report_number(struct report *report, const char *key, const char *label, uint64_t value, const char *unit);
void report_bool(struct report *report, const char *key, bool value);
void report_null(struct report *report, const char *key);
/* An array of strings, or "label        a, b, c" in lines of at most 80 columns. */
void report_words(struct report *report, const char *key, const char *label, const struct str *words, uint32_t count);

/* An object around facts; nothing for people. */
void report_object(struct report *report, const char *key);
void report_end(struct report *report);

/* A list of rows: "title (count)", indented rows; for people nothing where it is empty. In a row, a list without title
 * goes on below it. */
void report_list(struct report *report, const char *key, const char *title, uint32_t count);
void report_list_end(struct report *report);
void report_row(struct report *report);
void report_row_end(struct report *report);
/* Cells of a row: a name in quotes, other text, a number with its unit. What is long is cut for people. */
void report_name(struct report *report, const char *key, struct str value);
void report_cell(struct report *report, const char *key, struct str value);
void report_count(struct report *report, const char *key, uint64_t value, const char *unit);

#endif
