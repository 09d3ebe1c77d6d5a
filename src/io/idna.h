/* Names in Unicode to names of the domain name system (IDNA 2008, with the mapping of UTS #46): libidn2, loaded when
 * the first name asks for it. */
#ifndef MAYFLY_IO_IDNA_H
#define MAYFLY_IO_IDNA_H

#include "io/resolve.h"

enum io_idna {
    IO_IDNA_DONE,
    IO_IDNA_NO_NAME, /* no name can be written so */
    IO_IDNA_MISSING, /* libidn2 is not installed; its error is in the log */
};

/* `name`: UTF-8, at most 4 * IO_NAME_MAX bytes. A name in ASCII is only copied. */
/* Load the library now; later the process may no longer be able to. */
void io_idna_prepare(void);
enum io_idna io_idna(struct str name, char ret_ascii[IO_NAME_MAX + 2]);

#endif
