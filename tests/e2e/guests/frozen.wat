;; Asks the clock, for a random number and for its variables before the first request, keeps a handle of its standard
;; output, and does what the first letter of its first variable's value says. Every request is answered with what was
;; read then, and with the number of places where an earlier request left something: three numbers of 64 bits.
(module
  (import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $now (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $after (param i64) (result i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:random/random@0.2.12" "get-random-u64" (func $random (result i64)))
  (import "wasi:cli/environment@0.2.12" "get-environment" (func $environment (param i32)))
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
  (import "wasi:http/types@0.2.12" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.2.12" "[constructor]outgoing-response" (func $response (param i32) (result i32)))
  (import "wasi:http/types@0.2.12" "[method]outgoing-response.body" (func $body (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[method]outgoing-body.write" (func $stream (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[static]outgoing-body.finish" (func $finish (param i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.12" "[static]response-outparam.set"
    (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[resource-drop]output-stream" (func $drop_stream (param i32)))

  ;; 0 clock, 8 random, 16 wrong, 24 results of calls, 64 a line, 1024 variables; marks from 65536 on
  (memory (export "memory") 129)
  (data (i32.const 64) "asked\n")
  (global $heap (mut i32) (i32.const 1024))
  (global $out (mut i32) (i32.const 0))
  (global $kept (mut i32) (i32.const 0))
  (table $t 10 100 funcref)
  (tag $thrown)

  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get 3))))

  ;; One word in every page of 4096 bytes of [$at, $end).
  (func $mark (param $at i32) (param $end i32) (param $value i32)
    (loop $more
      (i32.store (local.get $at) (local.get $value))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end)))))

  (func $spin (loop (br 0)))
  (func $throw (throw $thrown))

  (func $obey (param $letter i32)
    (if (i32.eq (local.get $letter) (i32.const 0x67)) ;; g: grow
      (then (drop (memory.grow (i32.const 3)))
            (drop (table.grow $t (ref.null func) (i32.const 5)))
            (call $mark (i32.const 8454144) (i32.const 8650752) (i32.const 7))))
    (if (i32.eq (local.get $letter) (i32.const 0x6d)) ;; m: many pages
      (then (call $mark (i32.const 65536) (i32.const 8454144) (i32.const 7))))
    (if (i32.eq (local.get $letter) (i32.const 0x6c)) ;; l: large
      (then (drop (memory.grow (i32.const 1025)))))
    (if (i32.eq (local.get $letter) (i32.const 0x65)) ;; e: an exception
      (then (block (try_table (catch_all 0) (call $throw)))))
    (if (i32.eq (local.get $letter) (i32.const 0x74)) ;; t: trap
      (then unreachable))
    (if (i32.eq (local.get $letter) (i32.const 0x73)) ;; s: spin
      (then (call $spin)))
    (if (i32.eq (local.get $letter) (i32.const 0x77)) ;; w: wait
      (then (call $block (call $after (i64.const 1000000)))))
    (if (i32.eq (local.get $letter) (i32.const 0x70)) ;; p: a pollable
      (then (global.set $kept (call $after (i64.const 1000000)))))
    (if (i32.eq (local.get $letter) (i32.const 0x66)) ;; f: fields
      (then (global.set $kept (call $fields)))))

  (func (export "_initialize")
    (i64.store (i32.const 0) (call $now))
    (i64.store (i32.const 8) (call $random))
    (global.set $out (call $stdout))
    (call $environment (i32.const 24))
    (if (i32.load (i32.const 28)) ;; the value of the first pair
      (then (call $obey (i32.load8_u (i32.load offset=8 (i32.load (i32.const 24))))))))

  ;; Words in [$at, $end) that are not what start functions left there.
  (func $wrong_in (param $at i32) (param $end i32) (result i32) (local $expected i32) (local $wrong i32)
    (local.set $expected (i32.load (local.get $at)))
    (if (i32.ne (local.get $expected) (i32.const 7)) (then (local.set $wrong (local.get $expected))))
    (loop $more
      (local.set $wrong (i32.add (local.get $wrong) (i32.ne (i32.load (local.get $at)) (local.get $expected))))
      (local.set $wrong (i32.add (local.get $wrong) (i32.ne (i32.load offset=4 (local.get $at)) (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $wrong))

  ;; Looks at what there was from the start and at a page more, and leaves something in each.
  (func $hunt (result i32) (local $size i32) (local $wrong i32)
    (local.set $size (i32.mul (memory.size) (i32.const 65536)))
    (local.set $wrong (call $wrong_in (i32.const 65536) (i32.const 8454144)))
    (if (i32.gt_u (local.get $size) (i32.const 8454144))
      (then (local.set $wrong (i32.add (local.get $wrong) (call $wrong_in (i32.const 8454144) (local.get $size))))))
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
      (then (local.set $wrong (i32.add (local.get $wrong)
              (call $wrong_in (local.get $size) (i32.add (local.get $size) (i32.const 65536)))))
            (call $mark (local.get $size) (i32.add (local.get $size) (i32.const 65536)) (i32.const 9))))
    (local.set $wrong (i32.add (local.get $wrong)
      (i32.and (i32.ne (table.size $t) (i32.const 10)) (i32.ne (table.size $t) (i32.const 15)))))
    (drop (table.grow $t (ref.null func) (i32.const 1)))
    (call $mark (i32.const 65536) (i32.const 262144) (i32.const 9))
    (if (i32.gt_u (local.get $size) (i32.const 8454144))
      (then (call $mark (i32.const 8454144) (local.get $size) (i32.const 9))))
    (local.get $wrong))

  (func (export "wasi:http/incoming-handler@0.2.12#handle") (param $request i32) (param $outparam i32)
    (local $response i32) (local $body i32) (local $stream i32)
    (i64.store (i32.const 16) (i64.extend_i32_u (call $hunt)))
    (call $write (global.get $out) (i32.const 64) (i32.const 6) (i32.const 24))
    (local.set $response (call $response (call $fields)))
    (call $body (local.get $response) (i32.const 24))
    (local.set $body (i32.load (i32.const 28)))
    (call $set (local.get $outparam) (i32.const 0) (local.get $response) (i32.const 0) (i64.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0))
    (call $stream (local.get $body) (i32.const 24))
    (local.set $stream (i32.load (i32.const 28)))
    (call $write (local.get $stream) (i32.const 0) (i32.const 24) (i32.const 32))
    (call $drop_stream (local.get $stream))
    (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 24))))
