;; A library whose start function does what its data says: nothing at 0, it does not end at 1, it takes a page more at 2,
;; which traps where there is none. The tests write the byte. _initialize, which never ends at 3, comes after it.
(module
  (memory (export "memory") 16)
  (data (i32.const 0) "?")
  (func $spin (loop (br 0)))
  (func $begin
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 0x31)) (then (call $spin)))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 0x32))
      (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)))))
  (start $begin)
  (func $make_ready (export "_initialize")
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 0x33)) (then (call $spin))))
  (func (export "_start"))
  (func (export "answer") (result i32) (i32.const 42)))
