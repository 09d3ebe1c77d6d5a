/* nghttp2 as it is loaded: the functions that the files of HTTP/2 call. */
#ifndef MAYFLY_HTTP_H2_LIBRARY_H
#define MAYFLY_HTTP_H2_LIBRARY_H

#include "base/err.h"

#include <nghttp2/nghttp2.h>

#define H2_FUNCTIONS(F)                                                                                                \
    F(option_del)                                                                                                      \
    F(option_new)                                                                                                      \
    F(option_set_max_continuations)                                                                                    \
    F(option_set_max_outbound_ack)                                                                                     \
    F(option_set_max_send_header_block_length)                                                                         \
    F(option_set_no_auto_window_update)                                                                                \
    F(session_callbacks_del)                                                                                           \
    F(session_callbacks_new)                                                                                           \
    F(session_callbacks_set_on_begin_frame_callback)                                                                   \
    F(session_callbacks_set_on_begin_headers_callback)                                                                 \
    F(session_callbacks_set_on_data_chunk_recv_callback)                                                               \
    F(session_callbacks_set_on_frame_recv_callback)                                                                    \
    F(session_callbacks_set_on_frame_send_callback)                                                                    \
    F(session_callbacks_set_on_header_callback)                                                                        \
    F(session_callbacks_set_on_invalid_frame_recv_callback)                                                            \
    F(session_callbacks_set_on_stream_close_callback)                                                                  \
    F(session_callbacks_set_send_data_callback)                                                                        \
    F(session_consume_connection)                                                                                      \
    F(session_consume_stream)                                                                                          \
    F(session_del)                                                                                                     \
    F(session_get_last_proc_stream_id)                                                                                 \
    F(session_get_stream_remote_close)                                                                                 \
    F(session_get_stream_user_data)                                                                                    \
    F(session_mem_recv)                                                                                                \
    F(session_mem_send)                                                                                                \
    F(session_resume_data)                                                                                             \
    F(session_server_new3)                                                                                             \
    F(session_set_local_window_size)                                                                                   \
    F(session_set_stream_user_data)                                                                                    \
    F(session_terminate_session)                                                                                       \
    F(session_want_read)                                                                                               \
    F(session_want_write)                                                                                              \
    F(submit_goaway)                                                                                                   \
    F(submit_shutdown_notice)                                                                                          \
    F(submit_headers)                                                                                                  \
    F(submit_response)                                                                                                 \
    F(submit_rst_stream)                                                                                               \
    F(submit_settings)                                                                                                 \
    F(submit_trailer)

struct h2_library {
#define MEMBER(name) __typeof__(&nghttp2_##name) name;
    H2_FUNCTIONS(MEMBER)
#undef MEMBER
    bool loaded;
};
extern struct h2_library nghttp2;
/* Once for the process. ERR_UNSUPPORTED when nghttp2 is not there. */
bool h2_load(struct err *err);

#endif
