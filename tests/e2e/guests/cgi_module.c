/* What cgi.c does, as a module of WASI 0.1 with its C library; besides, as PATH_INFO says:
 *
 *     /file     what the file data/a.txt has, how writing to it fails, and the names in its folder
 *     /sleep    goes on when 20 ms are over
 *     /forever  waits, and does not go on
 *     /polls    waits until standard input has something, or a second is over */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void shown(int argc, char **argv)
{
    printf("content-type: text/plain\nX-More: 1\n\n");
    for (int i = 0; i < argc; i++)
        printf("%s\n", argv[i]);
    for (char **variable = environ; *variable; variable++)
        printf("%s\n", *variable);
}

static void echo(void)
{
    static char room[65536];
    ssize_t size;
    printf("Content-Type: application/octet-stream\n\n");
    fflush(stdout);
    while ((size = read(0, room, sizeof room)) > 0)
        for (ssize_t at = 0, n; at < size; at += n)
            if ((n = write(1, room + at, (size_t)(size - at))) <= 0)
                return;
}

static void drops(void)
{
    static const char text[] = "Status: 201 Created\r\nContent-Type: text/plain\r\n\r\nbody\n\nmore";
    for (size_t i = 0; i < sizeof text - 1; i++)
        write(1, text + i, 1);
}

static void endless(void)
{
    for (int i = 0; i < 2000; i++)
        printf("x-field: and so on, without an end of the head, for more than there is room\n");
}

static void file(void)
{
    char line[100] = "";
    FILE *in = fopen("data/a.txt", "r");
    printf("content-type: text/plain\n\n");
    if (!in || !fgets(line, sizeof line, in))
        printf("not read: %s\n", strerror(errno));
    printf("%s", line);
    if (in)
        fclose(in);
    printf("%s\n", fopen("data/a.txt", "w") ? "written" : strerror(errno));
    printf("%s\n", fopen("/etc/passwd", "r") ? "opened" : "not there");
    DIR *folder = opendir("data");
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            printf("%s\n", entry->d_name);
    if (folder)
        closedir(folder);
}

static void pause_ms(long ms)
{
    struct timespec before, after, time = {ms / 1000, ms % 1000 * 1000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    int code = nanosleep(&time, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("content-type: text/plain\n\n%s %d\n", slept >= ms * 1000000LL ? "slept" : "woken", code);
}

static void polls(void)
{
    struct pollfd rows[] = {{0, POLLIN, 0}, {1, POLLOUT, 0}};
    int code = poll(rows, 1, 1000);
    int both = poll(rows, 2, 0);
    printf("content-type: text/plain\n\n%d %d %d %d\n", code, rows[0].revents == POLLIN, both,
           rows[1].revents == POLLOUT);
}

int main(int argc, char **argv)
{
    const char *path = getenv("PATH_INFO");
    if (!path)
        return 2;
    if (strncmp(path, "/shown", 6) == 0)
        shown(argc, argv);
    else if (strcmp(path, "/echo") == 0)
        echo();
    else if (strcmp(path, "/moved") == 0)
        printf("location: /elsewhere\n\n");
    else if (strcmp(path, "/missing") == 0)
        printf("status: 404 Not Here\n\nnothing");
    else if (strcmp(path, "/exit") == 0)
        printf("content-type: text/plain\n\nleft");
    else if (strcmp(path, "/drops") == 0)
        drops();
    else if (strcmp(path, "/headless") == 0)
        printf("x-field: 1\n\nbody");
    else if (strcmp(path, "/broken") == 0)
        printf("content-type text/plain\n\nbody");
    else if (strcmp(path, "/endless") == 0)
        endless();
    else if (strcmp(path, "/file") == 0)
        file();
    else if (strcmp(path, "/sleep") == 0)
        pause_ms(20);
    else if (strcmp(path, "/forever") == 0)
        pause_ms(3600000);
    else if (strcmp(path, "/polls") == 0)
        polls();
    else if (strcmp(path, "/fails") == 0)
        fprintf(stderr, "it fails\n");
    fflush(stdout);
    if (strcmp(path, "/exit") == 0)
        exit(0);
    return strcmp(path, "/fails") == 0;
}
