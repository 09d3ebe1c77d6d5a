;; A command that prints the library's text out of the library's memory and exits with twice 20 and the number of calls.
(module
  (import "lib" "memory" (memory $memory 1))
  (import "lib" "twice" (func $twice (param i32) (result i32)))
  (import "lib" "calls" (global $calls (mut i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory $memory))
  (data (i32.const 0) "\64\00\00\00\17\00\00\00")
  (func (export "_start")
    (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
    (call $exit (i32.add (call $twice (i32.const 20)) (global.get $calls)))))
