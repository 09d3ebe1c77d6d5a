;; Functions that do not end by themselves, one for each place where a guest can spend its time, and some that ask for
;; more and more memory. The tests of `mayfly run --timeout` and `--max-memory` call them by name.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (type $pair (struct (field (mut anyref)) (field i64)))
  (type $bytes (array (mut i8)))
  (type $pairs (array (mut (ref null $pair))))
  (tag $thrown)
  (memory (export "memory") 1025 16384)
  (memory $shared 1 1 shared)
  (table $funcs 1000000 funcref)
  (table $small 1 5000000 funcref)
  (elem $list func $leaf)
  (data $text "a few bytes")
  (global $kept (mut anyref) (ref.null any))

  ;; ---- in its own code ----
  (func $spin_inside (loop (br 0)))
  (func $spin_forever (export "spin") (call $spin_inside))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $branch (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
  (func $calls_forever (export "calls") (local i32)
    (table.set $funcs (i32.const 0) (ref.func $leaf))
    (loop (local.set 0 (call $branch (local.get 0))) (br 0)))

  ;; ---- in helpers of the runtime ----
  (func $fill_forever (export "fill") (loop (memory.fill (i32.const 65536) (i32.const 7) (i32.const 67000000)) (br 0)))
  (func $fill_little_forever (export "fill_little")
    (loop (memory.fill (i32.const 65536) (i32.const 7) (i32.sub (memory.size) (i32.const 100))) (br 0)))
  (func $copy_forever (export "copy") (loop (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 67000000)) (br 0)))
  (func $init_forever (export "init") (loop (memory.init $text (i32.const 0) (i32.const 0) (i32.const 11)) (br 0)))
  (func $grow_forever (export "grow") (loop (drop (memory.grow (i32.const 0))) (br 0)))
  (func $table_fill_forever (export "table_fill")
    (loop (table.fill $funcs (i32.const 0) (ref.func $leaf) (i32.const 1000000)) (br 0)))
  (func $table_copy_forever (export "table_copy")
    (loop (table.copy $funcs $funcs (i32.const 1) (i32.const 0) (i32.const 999999)) (br 0)))
  (func $table_init_forever (export "table_init") (loop (table.init $funcs $list (i32.const 5) (i32.const 0) (i32.const 1)) (br 0)))
  (func $wait_forever (export "wait")
    (drop (memory.atomic.wait32 $shared (i32.const 0) (i32.const 0) (i64.const 0x7fffffffffffffff))))
  (func $throw (throw $thrown))
  (func $deep (param i32)
    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (call $throw))))
  (func $throw_forever (export "throw") (loop (block (try_table (catch_all 0) (call $deep (i32.const 10000)))) (br 0)))

  ;; ---- in the collector ----
  (func $garbage_forever (export "garbage")
    (loop (drop (struct.new $pair (ref.null any) (i64.const 1))) (br 0)))
  (func $keep (param i32)
    (loop
      (global.set $kept (struct.new $pair (global.get $kept) (i64.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func $collect_forever (export "collect")
    (call $keep (i32.const 5000000))
    (loop (drop (array.new_default $bytes (i32.const 100000000))) (br 0)))
  (func $array_copy_forever (export "array_copy") (local (ref null $bytes))
    (local.set 0 (array.new_default $bytes (i32.const 100000000)))
    (loop
      (array.copy $bytes $bytes (local.get 0) (i32.const 1) (local.get 0) (i32.const 0) (i32.const 99999999))
      (br 0)))

  ;; ---- in the host ----
  (func $sleep_forever (export "sleep") ;; a clock without end
    (i32.store (i32.const 16) (i32.const 0))
    (i64.store (i32.const 24) (i64.const 0x7fffffffffffffff))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))))
  (func $poll_input_forever (export "poll_input") ;; until there is something to read
    (i32.store8 (i32.const 8) (i32.const 1))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))))
  (func $read_forever (export "read")
    (i64.store (i32.const 0) (i64.const 0x1000_00000100))
    (loop (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0)))
  (func $write_forever (export "write")
    (i64.store (i32.const 0) (i64.const 0x10000_00000100))
    (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0)))
  (func $clock_forever (export "clock") (loop (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 8))) (br 0)))
  (func $random_forever (export "random") (loop (drop (call $random (i32.const 65536) (i32.const 67000000))) (br 0)))

  ;; ---- memory ----
  (func (export "memory_grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table_grow") (param i32) (result i32) (table.grow $small (ref.null func) (local.get 0)))
  (func (export "keep") (param i32) (call $keep (local.get 0)))
  (func (export "both") (param i32 i32) (result i32 i32)
    (memory.grow (local.get 0)) (table.grow $small (ref.null func) (local.get 1))))
