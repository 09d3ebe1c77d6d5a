/* Stands in for a room that has no sources yet: a static library needs one. */
typedef int mayfly_empty;
