/* See report.h. */
#include "cli/report.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

#define LABEL_WIDTH 13
#define COLUMNS 80
#define CELL_MAX 400 /* bytes of a cell for people */

void report_init(struct report *report, struct buf *out, bool programs)
{
    *report = (struct report){.out = out, .json = {.out = out}, .programs = programs};
}

static void put(struct report *report, const char *text)
{
    buf_append(report->out, text, strlen(text));
}

static void put_label(struct report *report, const char *label)
{
    buf_printf(report->out, "%-*s", LABEL_WIDTH, label);
}

/* With commas between thousands. */
static void put_number(struct report *report, uint64_t value, const char *unit)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, value);
    for (int i = 0; i < size; i++) {
        buf_append(report->out, &digits[i], 1);
        if (i + 1 < size && (size - i - 1) % 3 == 0)
            put(report, ",");
    }
    if (unit)
        buf_printf(report->out, " %s", unit);
}

/* --- facts --- */

void report_text(struct report *report, const char *key, const char *label, struct str value)
{
    if (report->programs && key) {
        json_string(&report->json, key, value);
    } else if (!report->programs && label) {
        put_label(report, label);
        text_show_some(report->out, value, CELL_MAX);
        put(report, "\n");
    }
}

void report_number(struct report *report, const char *key, const char *label, uint64_t value, const char *unit)
{
    if (report->programs && key) {
        json_number(&report->json, key, value);
    } else if (!report->programs && label) {
        put_label(report, label);
        put_number(report, value, unit);
        put(report, "\n");
    }
}

void report_bool(struct report *report, const char *key, bool value)
{
    if (report->programs)
        json_bool(&report->json, key, value);
}

void report_null(struct report *report, const char *key)
{
    if (report->programs)
        json_null(&report->json, key);
}

static void put_words(struct report *report, const char *label, const struct str *words, uint32_t count)
{
    size_t column = LABEL_WIDTH;
    put_label(report, label);
    for (uint32_t i = 0; i < count && !report->out->failed; i++) {
        if (i && column + 2 + words[i].len + 1 > COLUMNS) {
            buf_printf(report->out, ",\n%*s", LABEL_WIDTH, "");
            column = LABEL_WIDTH;
        } else if (i) {
            put(report, ", ");
            column += 2;
        }
        text_show_some(report->out, words[i], CELL_MAX);
        column += words[i].len;
    }
    put(report, "\n");
}

void report_words(struct report *report, const char *key, const char *label, const struct str *words, uint32_t count)
{
    if (report->programs && key) {
        json_array(&report->json, key);
        for (uint32_t i = 0; i < count; i++)
            json_string(&report->json, NULL, words[i]);
        json_end(&report->json);
    } else if (!report->programs && label && count) {
        put_words(report, label, words, count);
    }
}

void report_object(struct report *report, const char *key)
{
    if (report->programs)
        json_object(&report->json, key);
}

void report_end(struct report *report)
{
    if (report->programs)
        json_end(&report->json);
}

/* --- lists --- */

static void end_line(struct report *report)
{
    if (report->line)
        put(report, "\n");
    report->line = false;
}

void report_list(struct report *report, const char *key, const char *title, uint32_t count)
{
    if (report->programs && key)
        json_array(&report->json, key);
    end_line(report);
    if (!report->programs && title && count) {
        buf_printf(report->out, "\n%s (", title);
        put_number(report, count, NULL);
        put(report, ")\n");
    }
    report->depth++;
}

void report_list_end(struct report *report)
{
    if (report->programs)
        json_end(&report->json);
    report->depth--;
}

void report_row(struct report *report)
{
    if (report->programs)
        json_object(&report->json, NULL);
    end_line(report);
}

void report_row_end(struct report *report)
{
    if (report->programs)
        json_end(&report->json);
    end_line(report);
}

static void begin_cell(struct report *report)
{
    if (report->line)
        put(report, " ");
    else
        buf_printf(report->out, "%*s", (int)(2 * report->depth), "");
    report->line = true;
}

void report_name(struct report *report, const char *key, struct str value)
{
    if (report->programs) {
        json_string(&report->json, key, value);
        return;
    }
    begin_cell(report);
    text_quote(report->out, value);
}

void report_cell(struct report *report, const char *key, struct str value)
{
    if (report->programs && key) {
        json_string(&report->json, key, value);
    } else if (!report->programs) {
        begin_cell(report);
        text_show_some(report->out, value, CELL_MAX);
    }
}

void report_count(struct report *report, const char *key, uint64_t value, const char *unit)
{
    if (report->programs) {
        json_number(&report->json, key, value);
    } else if (unit) {
        begin_cell(report);
        put_number(report, value, unit);
    }
}
