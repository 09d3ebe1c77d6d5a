;; Stopped when its time is over: what it did not get to has failed.
(module
  (func (export "seven") (result i32) (i32.const 7))
  (func (export "loop") (loop (br 0))))
(assert_return (invoke "seven") (i32.const 7))
(assert_return (invoke "loop"))
(assert_return (invoke "seven") (i32.const 7))
