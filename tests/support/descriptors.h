/* How many descriptors this process has open: what a test compares before and after. */
#ifndef MAYFLY_TESTS_SUPPORT_DESCRIPTORS_H
#define MAYFLY_TESTS_SUPPORT_DESCRIPTORS_H

#include <dirent.h>
#include <stdlib.h>

/* The one that counts is counted too. */
static inline unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        abort(); /* nothing can be told without it */
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

#endif
