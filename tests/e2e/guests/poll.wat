;; Asks what can be read from standard input: the event's bytes, for file sizes beyond 2^31.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\01") ;; a subscription: descriptor 0 can be read
  (func (export "bytes") (result i32 i64)
    (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))
    (i64.load (i32.const 80))))
