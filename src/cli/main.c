/* The program: everything else of this room is a library, so that tests can call it. */
#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

/* Where the caller closed a standard stream, nothing that is opened later may get its number: messages would be written
 * to it, and the compiler would inherit it. What holds the number can be neither read nor written. */
static bool hold_streams(struct err *err)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH) != fd)
            return err_errno(err, "cannot hold the place of a closed stream with /dev/null");
    return true;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (hold_streams(&err))
        return cli_main(argc, argv);
    err_print(&err, NULL);
    return CLI_FAILED;
}
