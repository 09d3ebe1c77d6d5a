;; A command that wants an interface whose function is asynchronous: it is refused by its name.
(component
  (import "spin:variables/variables@3.0.0" (instance $variables
    (type $cases (variant (case "invalid-name" string) (case "undefined" string) (case "provider" string)
                          (case "other" string)))
    (export "error" (type $error (eq $cases)))
    (export "get" (func async (param "name" string) (result (result string (error $error)))))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $variables "get") (memory (core memory $libc "memory"))
                               (realloc (core func $libc "realloc"))))
  (core module $main
    (import "variables" "get" (func (param i32 i32 i32)))
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $main (instantiate $main (with "variables" (instance (export "get" (func $get))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.12" (instance $command)))
