/* Names of imports, exports, fields and cases (Explainer.md, "Import and Export Definitions" and "Name
 * Uniqueness").
 */
#ifndef MAYFLY_COMPONENT_NAMES_H
#define MAYFLY_COMPONENT_NAMES_H

#include "component/check.h"

enum name_kind { NAME_PLAIN, NAME_CONSTRUCTOR, NAME_METHOD, NAME_STATIC, NAME_INTERFACE };

struct extern_name {
    enum name_kind kind;
    struct str resource; /* CONSTRUCTOR, METHOD, STATIC */
    struct str label;    /* PLAIN, METHOD, STATIC */
};

/* Kebab case: words of lower case or acronyms of upper case, joined by '-', the first one starting with
 * a letter. */
bool name_is_label(struct str name);
/* namespace:package/interface, with or without @version. */
bool name_is_interface(struct str name);
/* False when the name is neither. */
bool name_parse(struct str name, struct extern_name *ret);
/* The interface without its version. */
struct str name_unversioned(struct str interface);
/* Whether labels differ in more than the case of their acronyms. */
bool name_same_label(struct str a, struct str b);

/* Labels of one type must differ (as above); `what` for the message. */
bool names_unique_labels(struct checker *c, const struct type_item *items, uint32_t count, const char *what);
/* Names of imports or exports must be strongly unique. */
bool names_unique_externs(struct checker *c, const struct externs *externs, const char *what);
/* [constructor], [method] and [static] names must fit their types and a resource named before them. */
bool names_fit_types(struct checker *c, const struct externs *externs);

#endif
