/* The command line's parser against its tables: every option in every form, what is refused, what is the guest's. */
#include "base/nearest.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct cli_options options;

/* Words with blanks between. What the parser prints is dropped. */
static enum cli_parsed parse(const char *command, const char *words)
{
    static char text[1024];
    static char *argv[64];
    size_t count = 0;
    snprintf(text, sizeof text, "%s", words);
    for (char *at = text; *at; at += strspn(at, " ")) {
        argv[count++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    argv[count] = NULL;
    return cli_parse(cli_find_command(command), argv, &options);
}

static const char *value_of(const struct cli_option *row)
{
    static char choice[64];
    struct str rest = str_of(row->value), first;
    if (!cli_is_choice(row->value))
        return "value";
    assert_true(cli_next_choice(&rest, &first));
    snprintf(choice, sizeof choice, "%.*s", STR_ARG(first));
    return choice;
}

static void expect_kept(const struct cli_option *row, const char *words)
{
    const struct cli_command *command = cli_find_command(row->command);
    const char *argument = strncmp(command->arguments, "FILE", 4) == 0 ? " file" : "";
    char line[256];
    snprintf(line, sizeof line, "%s%s", words, argument);
    assert_int_equal(parse(row->command, line), CLI_PARSE_DONE);
    const void *field = (const char *)&options + row->field;
    const char *kept = row->list ? ((const struct cli_list *)field)->items[0] : *(const char *const *)field;
    assert_non_null(kept);
    assert_string_equal(kept, row->value ? value_of(row) : "");
}

static void every_option_in_every_form(void **state)
{
    (void)state;
    for (const struct cli_option *row = cli_option_rows; row->name; row++) {
        static const char *const forms[] = {"%s %s", "%s=%s", "%s%s"};
        const char *names[] = {row->name, row->name, row->short_name};
        char words[128];
        assert_non_null(cli_find_command(row->command));
        assert_true(row->name[0] == '-' && row->name[1] == '-' && row->help[0]);
        for (int i = 0; row->value && i < 3; i++) {
            if (!names[i])
                continue;
            snprintf(words, sizeof words, forms[i], names[i], value_of(row));
            expect_kept(row, words);
        }
        if (row->value && row->short_name) {
            snprintf(words, sizeof words, "%s %s", row->short_name, value_of(row));
            expect_kept(row, words);
        }
        if (!row->value)
            expect_kept(row, row->name);
        if (!row->value && row->short_name)
            expect_kept(row, row->short_name);
    }
}

static void no_name_twice(void **state)
{
    (void)state;
    for (const struct cli_option *a = cli_option_rows; a->name; a++)
        for (const struct cli_option *b = cli_option_rows; b < a; b++)
            if (strcmp(a->command, b->command) == 0) {
                assert_string_not_equal(a->name, b->name);
                assert_false(a->short_name && b->short_name && strcmp(a->short_name, b->short_name) == 0);
            }
}

static void wrong_lines_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"run", ""},         {"up", "a b"},           {"up", "a --nonsense"}, {"up", "a -O"},         {"up", "a -O4"},
        {"up", "a --opt="},  {"up", "a --opt=x"},     {"up", "a --quiet=1"},  {"up", "a -qx"},        {"up", "a -x"},
        {"compile", "-o"},   {"version", "a"},        {"completion", "csh"},  {"completion", ""},     {"man", "page"},
        {"run", "--listen"}, {"inspect", ""},         {"run", "--"},          {"compile", "-- -O x"}, {"up", "a -f b"},
        {"up", "-f a b"},    {"up", "-f a --from b"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse(wrong[i][0], wrong[i][1]) != CLI_PARSE_WRONG)
            fail_msg("'%s %s' was accepted", wrong[i][0], wrong[i][1]);
}

static void what_follows_the_file_is_the_guests(void **state)
{
    (void)state;
    assert_int_equal(parse("run", "-O1 --env A=1 --env B guest --env -O9 -- --help"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "guest");
    assert_string_equal(options.opt, "1");
    assert_int_equal(options.env.count, 2);
    assert_string_equal(options.env.items[1], "B");
    static const char *const args[] = {"--env", "-O9", "--", "--help"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(options.args[i], args[i]);
    assert_null(options.args[4]);
    assert_int_equal(parse("run", "-- -guest -x"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "-guest");
    assert_string_equal(options.args[0], "-x");
}

static void what_follows_two_dashes_is_a_commands(void **state)
{
    (void)state;
    assert_int_equal(parse("up", "-q a -O1 -- b --listen -- x"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "a");
    assert_string_equal(options.opt, "1");
    assert_null(options.listen);
    static const char *const args[] = {"b", "--listen", "--", "x"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(options.args[i], args[i]);
    assert_null(options.args[4]);
    assert_int_equal(parse("up", "-- b"), CLI_PARSE_DONE);
    assert_null(options.file);
    assert_string_equal(options.args[0], "b");
    assert_int_equal(parse("up", "a"), CLI_PARSE_DONE);
    assert_null(options.args);
}

static void options_may_follow_the_file_of_others(void **state)
{
    (void)state;
    assert_int_equal(parse("compile", "a.wasm -o b -O 0"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "a.wasm");
    assert_string_equal(options.output, "b");
    assert_int_equal(parse("compile", "a.wasm --help"), CLI_PARSE_HELP);
    assert_int_equal(parse("compile", "- -O0"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "-");
}

static void what_is_no_option_is_passed_on(void **state)
{
    (void)state;
    assert_int_equal(parse("build", "-f a -c b --up --listen x -c d"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "a");
    assert_int_equal(options.component_id.count, 1);
    assert_non_null(options.up);
    assert_string_equal(options.args[0], "--listen");
    assert_string_equal(options.args[2], "-c");
    assert_int_equal(parse("watch", "-d 5 -- -d 6"), CLI_PARSE_DONE);
    assert_string_equal(options.debounce, "5");
    assert_string_equal(options.args[0], "-d");
    assert_int_equal(parse("watch", "-c --help"), CLI_PARSE_HELP);
    assert_int_equal(parse("new", "-a one two --list"), CLI_PARSE_DONE);
    assert_string_equal(options.file, "one");
    assert_string_equal(options.second, "two");
    assert_int_equal(parse("new", "one two three"), CLI_PARSE_WRONG);
    assert_ptr_equal(cli_find_command("b"), cli_find_command("build"));
    assert_string_equal(cli_alias_of(cli_find_command("watch")), "w");
}

static void lists_have_an_end(void **state)
{
    (void)state;
    static char *argv[2 * CLI_LIST_MAX + 4], *many[CLI_ARGS_MAX + 3];
    for (unsigned i = 0; i <= 2 * CLI_LIST_MAX; i += 2) {
        argv[i] = "--env";
        argv[i + 1] = "A";
    }
    argv[2 * CLI_LIST_MAX] = "file";
    argv[2 * CLI_LIST_MAX + 1] = NULL;
    assert_int_equal(cli_parse(cli_find_command("run"), argv, &options), CLI_PARSE_DONE);
    argv[2 * CLI_LIST_MAX] = "--env";
    argv[2 * CLI_LIST_MAX + 1] = "A";
    argv[2 * CLI_LIST_MAX + 2] = "file";
    assert_int_equal(cli_parse(cli_find_command("run"), argv, &options), CLI_PARSE_WRONG);
    for (unsigned i = 0; i <= CLI_ARGS_MAX; i++)
        many[i] = "a";
    assert_int_equal(cli_parse(cli_find_command("run"), many, &options), CLI_PARSE_DONE);
    many[CLI_ARGS_MAX + 1] = "a";
    assert_int_equal(cli_parse(cli_find_command("run"), many, &options), CLI_PARSE_WRONG);
}

static void sizes_and_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t size, duration; /* UINT64_MAX: none */
    } rows[] = {
        {"0", 0, UINT64_MAX},
        {"1000", 1000, UINT64_MAX},
        {"64K", 65536, UINT64_MAX},
        {"3MiB", 3 << 20, UINT64_MAX},
        {"2G", (uint64_t)2 << 30, UINT64_MAX},
        {"500ms", UINT64_MAX, 500000000},
        {"0s", UINT64_MAX, 0},
        {"2m", UINT64_MAX, 120000000000},
        {"1h", UINT64_MAX, 3600000000000},
        {"18446744073709551614", UINT64_MAX - 1, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, UINT64_MAX},
        {"17179869184G", UINT64_MAX, UINT64_MAX},
        {"9999999999h", UINT64_MAX, UINT64_MAX},
        {"", UINT64_MAX, UINT64_MAX},
        {"K", UINT64_MAX, UINT64_MAX},
        {"1k", UINT64_MAX, UINT64_MAX},
        {"-1", UINT64_MAX, UINT64_MAX},
        {" 1", UINT64_MAX, UINT64_MAX},
        {"1 ", UINT64_MAX, UINT64_MAX},
        {"1.5s", UINT64_MAX, UINT64_MAX},
        {"s", UINT64_MAX, UINT64_MAX},
        {"1Ks", UINT64_MAX, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t size = UINT64_MAX, duration = UINT64_MAX;
        assert_int_equal(cli_size(rows[i].text, &size), rows[i].size != UINT64_MAX);
        assert_int_equal(size, rows[i].size);
        assert_int_equal(cli_duration(rows[i].text, &duration), rows[i].duration != UINT64_MAX);
        assert_int_equal(duration, rows[i].duration);
    }
}

static void foreign_text_is_escaped(void **state)
{
    char text[12];
    cli_escape(STR("a\n\x1b\x7f"), text, sizeof text); /* "a\x0a\x1b\x7f" would be 13 bytes */
    assert_string_equal(text, "a\\x0a...");
    cli_escape(STR("elevenbytes"), text, sizeof text);
    assert_string_equal(text, "elevenbytes");
    cli_escape(STR("twelve bytes"), text, sizeof text);
    assert_string_equal(text, "twelve b...");
    cli_escape(STR("\t\x01"), text, sizeof text);
    assert_string_equal(text, "\\x09\\x01");
    cli_escape(STR(""), text, sizeof text);
    assert_string_equal(text, "");
}

static void the_nearest_word(void **state)
{
    struct nearest nearest = nearest_to(STR("fibonaci"));
    nearest_consider(&nearest, STR("factorial"));
    assert_int_equal(nearest.found.len, 0);
    nearest_consider(&nearest, STR("fibonacci"));
    nearest_consider(&nearest, STR("fibonaccis"));
    assert_true(str_eq(nearest.found, STR("fibonacci")));
    nearest = nearest_to(STR("")); /* nothing was meant by it */
    nearest_consider(&nearest, STR("a"));
    assert_int_equal(nearest.found.len, 0);
}

/* Usage errors are wanted here, and nobody wants to read them. */
static int be_quiet(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return null >= 0 && dup2(null, STDERR_FILENO) >= 0 && close(null) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_in_every_form),
        cmocka_unit_test(no_name_twice),
        cmocka_unit_test_setup(wrong_lines_are_refused, be_quiet),
        cmocka_unit_test(what_follows_the_file_is_the_guests),
        cmocka_unit_test(what_follows_two_dashes_is_a_commands),
        cmocka_unit_test(options_may_follow_the_file_of_others),
        cmocka_unit_test_setup(what_is_no_option_is_passed_on, be_quiet),
        cmocka_unit_test_setup(lists_have_an_end, be_quiet),
        cmocka_unit_test(sizes_and_durations),
        cmocka_unit_test(foreign_text_is_escaped),
        cmocka_unit_test(the_nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
