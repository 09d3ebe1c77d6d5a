;; Exceptions by the hundred thousand, some of which are kept: in a table, a global, an object, another exception and on
;; the stack. `many` throws `n` of them and answers the sum of what those that were kept carry.
(module
  (type $box (struct (field (mut exnref))))
  (tag $number (param i64))
  (tag $wrap (param exnref i64 i64 i64 i64 i64))
  (table $kept 16 exnref)
  (global $last (mut exnref) (ref.null exn))
  (global $boxed (mut (ref null $box)) (ref.null $box))

  (func $make (param $value i64) (result exnref)
    (block $caught (result i64 exnref)
      (try_table (catch_ref $number $caught) (throw $number (local.get $value)))
      (unreachable))
    (return))

  (func $wrap (param $inner exnref) (result exnref)
    (block $caught (result exnref i64 i64 i64 i64 i64 exnref)
      (try_table (catch_ref $wrap $caught)
        (throw $wrap (local.get $inner) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5)))
      (unreachable))
    (return))

  ;; What it carries; of a wrapped one, what the one inside carries.
  (func $value (param $exception exnref) (result i64)
    (block $number (result i64)
      (block $wrapped (result exnref i64 i64 i64 i64 i64)
        (try_table (catch $number $number) (catch $wrap $wrapped) (throw_ref (local.get $exception)))
        (unreachable))
      (drop) (drop) (drop) (drop) (drop)
      (call $value)))

  (func (export "many") (param $n i64) (result i64)
    (local $i i64) (local $sum i64) (local $slot i32) (local $mine exnref) (local $wrapped exnref)
    (local.set $mine (call $make (i64.const 1000000)))
    (global.set $last (call $make (i64.const 2000000)))
    (global.set $boxed (struct.new $box (call $make (i64.const 3000000))))
    (local.set $wrapped (call $wrap (call $make (i64.const 4000000))))
    (loop $again
      (drop (call $make (local.get $i)))
      (if (i64.eqz (i64.rem_u (local.get $i) (i64.const 10007)))
        (then
          (table.set $kept (i32.and (local.get $slot) (i32.const 15)) (call $make (local.get $i)))
          (local.set $slot (i32.add (local.get $slot) (i32.const 1)))))
      (br_if $again (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.set $slot (i32.const 0))
    (loop $next
      (if (i32.eqz (ref.is_null (table.get $kept (local.get $slot))))
        (then (local.set $sum
          (i64.add (local.get $sum) (call $value (table.get $kept (local.get $slot)))))))
      (br_if $next (i32.lt_u (local.tee $slot (i32.add (local.get $slot) (i32.const 1))) (i32.const 16))))
    (local.get $sum)
    (i64.add (call $value (local.get $mine)))
    (i64.add (call $value (global.get $last)))
    (i64.add (call $value (struct.get $box 0 (global.get $boxed))))
    (i64.add (call $value (local.get $wrapped))))

  ;; Keeps all of them, one in the other: there is an end to that.
  (func (export "chain") (param $n i64)
    (loop $again
      (global.set $last (call $wrap (global.get $last)))
      (br_if $again (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))))
