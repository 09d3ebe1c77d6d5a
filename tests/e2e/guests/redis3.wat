;; Imports what has the name of an interface whose functions are asynchronous.
(component
  (import "spin:redis/redis@3.0.0" (instance $redis (export "open" (func (param "address" string)))))
  (core module $memory (memory (export "memory") 1))
  (core module $guest
    (import "redis" "open" (func (param i32 i32)))
    (func (export "run") (result i32) i32.const 0))
  (core instance $own (instantiate $memory))
  (core func $open (canon lower (func $redis "open") (memory (core memory $own "memory"))))
  (core instance $run (instantiate $guest (with "redis" (instance (export "open" (func $open))))))
  (func $entry (result (result)) (canon lift (core func $run "run")))
  (instance $command (export "run" (func $entry)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
