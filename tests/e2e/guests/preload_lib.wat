;; A library: memory, a function, a text that its start function puts there.
(module
  (memory (export "memory") 1)
  (data (i32.const 100) "hello from the library\n")
  (global $calls (export "calls") (mut i32) (i32.const 0))
  (func (export "_initialize") (i32.store8 (i32.const 100) (i32.const 0x48)))
  (func (export "twice") (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.mul (local.get 0) (i32.const 2))))
