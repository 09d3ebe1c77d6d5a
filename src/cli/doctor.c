/* mayfly doctor: what keeps an application from being built and served, and what mayfly can do about it. */
#include "cli/cli.h"

#include "base/json.h"
#include "base/text.h"
#include "develop/doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)4 << 20)

struct visit {
    const struct cli_options *options;
    struct doctor doctor;
    uint32_t cured;
    bool refused[DOCTOR_CURES]; /* were not wanted, or failed */
};

static size_t errors_of(const struct doctor *doctor)
{
    size_t errors = 0;
    for (size_t i = 0; i < doctor->count; i++)
        errors += !doctor->findings[i].warning;
    return errors;
}

/* ---- for programs ---- */

static int print_json(const struct visit *visit)
{
    const struct doctor *doctor = &visit->doctor;
    struct buf out;
    char room[256];
    buf_init(&out, OUTPUT_MAX);
    struct json json = {.out = &out};
    json_object(&json, NULL);
    json_number(&json, "schema", 1);
    json_string(&json, "manifest", str_of(doctor->path));
    json_number(&json, "cured", visit->cured);
    json_array(&json, "problems");
    for (size_t i = 0; i < doctor->count; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        const char *cure = doctor_describe(finding, room);
        json_object(&json, NULL);
        json_string(&json, "check", str_of(finding->check));
        json_bool(&json, "warning", finding->warning);
        json_number(&json, "line", finding->at.line);
        json_number(&json, "column", finding->at.column);
        json_string(&json, "message", str_of(finding->err.message));
        json_string(&json, "remedy", str_of(finding->err.remedy));
        if (cure)
            json_string(&json, "cure", str_of(cure));
        else
            json_null(&json, "cure");
        json_end(&json);
    }
    json_end(&json);
    json_end(&json);
    buf_append(&out, "\n", 1);
    int code = cli_print_buf(&out);
    buf_free(&out);
    return code;
}

/* ---- for people ---- */

static void put_finding(struct buf *out, const struct doctor *doctor, const struct doctor_finding *finding)
{
    buf_printf(out, "%s: ", finding->warning ? "warning" : "error");
    text_show(out, str_of(doctor->path));
    if (finding->at.line)
        buf_printf(out, ":%u:%u", finding->at.line, finding->at.column);
    buf_printf(out, ": ");
    text_show(out, str_of(finding->err.message));
    buf_printf(out, "\n");
    text_show(out, str_of(finding->err.remedy));
    buf_printf(out, finding->err.remedy[0] ? "\n" : "");
}

static int print_findings(const struct visit *visit)
{
    const struct doctor *doctor = &visit->doctor;
    bool curable = false;
    struct buf out;
    buf_init(&out, OUTPUT_MAX);
    for (size_t i = 0; i < doctor->count; i++) {
        put_finding(&out, doctor, &doctor->findings[i]);
        curable |= doctor->findings[i].cure != DOCTOR_NONE;
    }
    if (!doctor->count)
        buf_printf(&out, "%s: nothing is wrong\n", doctor->path);
    if (curable && !visit->options->fix)
        buf_printf(&out, "mayfly doctor --fix does what it can about it\n");
    int code = cli_print_buf(&out);
    buf_free(&out);
    return code;
}

/* ---- cures ---- */

/* Without --fix, people are asked, on a terminal. */
static bool wanted(const struct visit *visit, const struct doctor_finding *finding)
{
    char room[256], answer[16];
    const struct cli_options *options = visit->options;
    if (options->fix)
        return true;
    if (options->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    fprintf(stderr, "%s:%u: %s\n%s? [y/N] ", visit->doctor.path, finding->at.line, finding->err.message,
            doctor_describe(finding, room));
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* The first cure that is wanted and works; false: no more of them. */
static bool treat_one(struct visit *visit)
{
    for (size_t i = 0; i < visit->doctor.count; i++) {
        const struct doctor_finding *finding = &visit->doctor.findings[i];
        struct err err = {0};
        if (finding->cure == DOCTOR_NONE || visit->refused[finding->cure])
            continue;
        if (!wanted(visit, finding)) {
            visit->refused[finding->cure] = true;
            continue;
        }
        if (doctor_treat(&visit->doctor, finding, visit->options->profile, &err)) {
            visit->cured++;
            return true;
        }
        visit->refused[finding->cure] = true;
        if (err.kind)
            err_print(&err, NULL);
    }
    return false;
}

int cli_doctor(const struct cli_options *options)
{
    struct visit visit = {.options = options};
    struct err err = {0};
    const struct doctor_options doctor = {options->file, options->profile, options->runtime_config_file,
                                          cli_texts(&options->variable)};
    bool done = doctor_examine(&visit.doctor, &doctor, &err);
    while (done && treat_one(&visit)) {
        doctor_close(&visit.doctor);
        done = doctor_examine(&visit.doctor, &doctor, &err);
    }
    int code = CLI_FAILED;
    if (!done)
        err_print(&err, NULL);
    else if ((code = options->json ? print_json(&visit) : print_findings(&visit)) == CLI_DONE)
        code = errors_of(&visit.doctor) ? CLI_FAILED : CLI_DONE;
    doctor_close(&visit.doctor);
    return code;
}
