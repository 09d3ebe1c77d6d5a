/* A function that answers with files: GET and HEAD of what its folder `/` has, index.html of a folder. Which folder
 * that is the manifest says (files), and nothing else can be reached. http.h and http.c are those of templates/http-c.
 */
#include "http.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 1024
#define INDEX "index.html"

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".htm", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/markdown; charset=utf-8"},
    {".xml", "application/xml"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".avif", "image/avif"},
    {".ico", "image/vnd.microsoft.icon"},
    {".woff", "font/woff"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".pdf", "application/pdf"},
    {".mp4", "video/mp4"},
    {".webm", "video/webm"},
    {".mp3", "audio/mpeg"},
};

static const char *type_of(const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t size = strlen(types[i].ending);
        if (len > size && strcasecmp(path + len - size, types[i].ending) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    if (c >= '0' && c <= '9')
        return c - '0';
    return at && at >= digits + 10 ? (int)(at - digits) : -1;
}

/* The path of a request, up to its query, without escapes. 0: too long, or with what no name has. */
static int decode(const char *path, char decoded[PATH_BYTES])
{
    size_t used = 0;
    for (; *path && *path != '?'; path++) {
        int c = *path;
        if (c == '%') {
            int high = digit(path[1]), low = high < 0 ? -1 : digit(path[2]);
            if (low < 0)
                return 0;
            c = high << 4 | low;
            path += 2;
        }
        if (c == 0 || used + 1 >= PATH_BYTES)
            return 0;
        decoded[used++] = (char)c;
    }
    decoded[used] = '\0';
    return used > 0;
}

/* No name of the path leads up. */
static int stays(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == '/' || !at[2]))
            return 0;
    return 1;
}

static void refuse(struct http_response *response, unsigned status, const char *text)
{
    http_header(response, "content-type", "text/plain; charset=utf-8");
    if (status == 405)
        http_header(response, "allow", "GET, HEAD");
    http_begin(response, status);
    http_write(response, text, strlen(text));
}

/* Relative names in its index.html are to be found. */
static void redirect(const struct http_request *request, struct http_response *response)
{
    char location[PATH_BYTES + 2];
    int size = (int)strcspn(request->path, "?");
    if (size > PATH_BYTES || strncmp(request->path, "//", 2) == 0) {
        refuse(response, 404, "not found\n");
        return;
    }
    snprintf(location, sizeof location, "%.*s/", size, request->path);
    http_header(response, "location", location);
    http_begin(response, 301);
}

static void send_file(int fd, const char *path, size_t size, int with_body, struct http_response *response)
{
    static char bytes[65536];
    char length[24];
    snprintf(length, sizeof length, "%zu", size);
    http_header(response, "content-type", type_of(path));
    http_header(response, "content-length", length);
    http_begin(response, 200);
    while (with_body && size) {
        ssize_t got = read(fd, bytes, size < sizeof bytes ? size : sizeof bytes);
        if (got <= 0 || !http_write(response, bytes, (size_t)got))
            return; /* the answer breaks off */
        size -= (size_t)got;
    }
}

static void answer(struct http_request *request, struct http_response *response, char path[PATH_BYTES + sizeof INDEX])
{
    struct stat status;
    size_t len = strlen(path);
    int slash = len && path[len - 1] == '/';
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode) && !slash) {
        redirect(request, response);
        return;
    }
    if (slash)
        memcpy(path + len, INDEX, sizeof INDEX);
    int fd = open(path, O_RDONLY);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        send_file(fd, path, (size_t)status.st_size, strcmp(request->method, "HEAD") != 0, response);
    else
        refuse(response, 404, "not found\n");
    if (fd >= 0)
        close(fd);
}

/* Behind a route with a prefix the files are those of the rest of the path. */
void handle(struct http_request *request, struct http_response *response)
{
    char path[PATH_BYTES + sizeof INDEX], *rest = http_field(request, "spin-path-info");
    const char *asked = rest && rest[0] ? rest : "/";
    if (!rest)
        asked = request->path;
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
        refuse(response, 405, "files are got\n");
    else if (!decode(asked, path) || path[0] != '/' || !stays(path))
        refuse(response, 404, "not found\n");
    else
        answer(request, response, path);
    free(rest);
}
