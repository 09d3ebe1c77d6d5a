/* What keeps an application from being built and served, or may: in its manifest, and in what it needs of this machine.
 */
#ifndef MAYFLY_DEVELOP_DOCTOR_H
#define MAYFLY_DEVELOP_DOCTOR_H

#include "app/manifest.h"
#include "deploy/given.h"

#define DOCTOR_FINDINGS_MAX 1024u

enum doctor_cure { DOCTOR_NONE, DOCTOR_UPGRADE, DOCTOR_BUILD, DOCTOR_ADD_TARGET, DOCTOR_CURES };

struct doctor_finding {
    const char *check; /* "manifest", "version", "tool", "target", "source", "files", "workdir", "deployment" */
    bool warning; /* it may do no harm */
    struct manifest_place at; /* line 0: of no place */
    struct err err; /* what is wrong, and what to do */
    enum doctor_cure cure;
    const char *subject; /* of the cure: a component, a target */
};

struct doctor {
    const char *path, *folder; /* of the manifest, and where it is */
    struct doctor_finding *findings;
    size_t count, capacity;
    struct arena arena;
};

struct doctor_options {
    const char *from, *profile; /* as project_open */
    const char *runtime_config; /* as the options of `mayfly up` */
    struct given_texts variable; /* likewise */
};

/* Everything that is wrong, in the order of the checks. False: nothing could be looked at. End with doctor_close. */
bool doctor_examine(struct doctor *ret, const struct doctor_options *options, struct err *err);
void doctor_close(struct doctor *doctor);

/* What a cure does, as a command or in words. */
const char *doctor_describe(const struct doctor_finding *finding, char room[256]);
/* Do it. What was found before may be wrong then: examine again. */
bool doctor_treat(const struct doctor *doctor, const struct doctor_finding *finding, const char *profile,
                  struct err *err);

#endif
