/* The small languages inside of a manifest's strings: ids, versions, digests, package names. Each check says what is
 * wrong (ERR_INVALID) and how it is written; results are views of the text. */
#ifndef MAYFLY_APP_WORDS_H
#define MAYFLY_APP_WORDS_H

#include "base/err.h"
#include "base/str.h"

#define WORDS_ID_MAX 256u /* bytes */

/* Words with '-' between them, each of letters and digits, a letter first, all in one case: an id of the Component
 * Model. */
bool words_kebab(struct str text, struct err *err);
/* The same with '_', in lower case: a variable. */
bool words_variable(struct str text, struct err *err);
/* Either, for labels of stores and databases. */
bool words_label(struct str text, struct err *err);

/* Semantic Versioning 2.0. */
struct version {
    uint64_t major, minor, patch;
    struct str before, build; /* behind '-' and '+' */
};
bool words_version(struct str text, struct version *ret, struct err *err);
/* Whether one of them stands for the other: the first number that is not 0 is the same, and no release candidate is
 * meant. */
bool version_compatible(const struct version *a, const struct version *b);
/* What a version must be like, as Cargo has it: "1.2", ">=1, <3", "~0.4.1", "=1.2.3-rc.1", "*". */
bool words_requirement(struct str text, struct err *err);
/* As semver.org orders them, without what is behind '+': less than 0, 0, or more. */
int version_compare(const struct version *a, const struct version *b);
/* Whether it is as the requirement has it. A candidate of a release only, where a candidate of that one is named. */
bool version_meets(const struct version *version, struct str requirement);

/* "sha256:" and 64 digits. */
bool words_digest(struct str text, struct err *err);
/* "ns:name" */
bool words_package(struct str text, struct err *err);
/* "host" or "host:port" */
bool words_registry(struct str text, struct err *err);
/* "http://..." or "https://..." */
bool words_url(struct str text, struct err *err);
/* What glob(7) understands, with ** for folders at any depth. */
bool words_glob(struct str text, struct err *err);

/* What a dependency stands for: "ns:name[/interface][@version]", or a plain name. */
struct words_import {
    struct str plain;   /* empty, or all of it */
    struct str package; /* "ns:name" */
    struct str interface; /* may be empty */
    bool versioned;
    struct version version;
};
bool words_import(struct str text, struct words_import *ret, struct err *err);
/* Two imports that one component cannot have both, because they overlap. */
bool words_imports_overlap(const struct words_import *a, const struct words_import *b);

#endif
