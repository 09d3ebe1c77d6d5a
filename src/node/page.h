/* The page that shows a node: HTML, style, script and icon as they stand in node/page/, which is all there is of it. It
 * reads /application once and /status each second, and puts what they say into the page as text. */
#ifndef MAYFLY_NODE_PAGE_H
#define MAYFLY_NODE_PAGE_H

extern const char page_html[], page_html_end[];
extern const char page_css[], page_css_end[];
extern const char page_js[], page_js_end[];
extern const char page_icon[], page_icon_end[];

#endif
