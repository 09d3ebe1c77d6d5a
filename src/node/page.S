/* The files of the page that shows a node (node/page.h), as bytes of the program. */

    .section .rodata

    .macro embed name, path
    .globl page_\name
page_\name:
    .incbin "\path"
    .globl page_\name\()_end
page_\name\()_end:
    .endm

    embed html, "page.html"
    embed css, "page.css"
    embed js, "page.js"
    embed icon, "icon.svg"

    .section .note.GNU-stack, "", %progbits
