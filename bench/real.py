"""Real programs for bench/code.py: fetched as source packages into a cache folder outside of the tree and compiled
for both sides, with a small driver of bench/programs/real each. The packages are Rust crates that carry the C
sources; cargo fetches them, nothing of them is built."""
import collections
import glob
import os
import shutil
import subprocess

import peers

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "mayfly-bench")
DRIVERS = os.path.join(peers.ROOT, "bench", "programs", "real")
LIBC = "C libraries differ: wasi-libc, glibc"
Row = collections.namedtuple("Row", "name kind n crate version sources skip defines note")
ROWS = (
    Row("lua", "real: Lua 5.4", 60, "lua-src", "547.0.0", "lua-5.4*/*.c", ("lua.c", "luac.c", "onelua.c", "ltests.c",
        "liolib.c", "loslib.c", "loadlib.c", "linit.c"), ["-DLUAI_THROW(L,c)=__builtin_trap()", "-DLUAI_TRY(L,c,a)={a}",
        "-Dluai_jmpbuf=int", "-Dl_randomizePivot()=7", "-Dl_signalT=int", "-Dluai_makeseed(L)=7", "-I" + DRIVERS], LIBC + "; errors abort"),
    Row("sqlite", "real: SQLite", 20, "libsqlite3-sys", "0.30.1", "sqlite3/sqlite3.c", (),
        ["-DSQLITE_OS_OTHER=1", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_ENABLE_MEMSYS5",
         "-DSQLITE_OMIT_LOCALTIME", "-DSQLITE_TEMP_STORE=3", "-DSQLITE_OMIT_WAL"], LIBC + "; own allocator"),
)
GUEST = ["--target=wasm32-wasi", "-mexec-model=reactor", "-msimd128", "-mbulk-memory", "-Wl,-z,stack-size=1048576"]


class Missing(Exception):
    pass


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise Missing(f"{command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1][:200]}")


def fetch(row):
    """The folder of the sources, fetched once."""
    folder = os.path.join(CACHE, f"{row.crate}-{row.version}")
    if os.path.isdir(folder):
        return folder
    if not shutil.which("cargo"):
        raise Missing("cargo is not installed")
    work = folder + ".work"
    os.makedirs(os.path.join(work, "src"), exist_ok=True)
    open(os.path.join(work, "src", "lib.rs"), "w").close()
    with open(os.path.join(work, "Cargo.toml"), "w") as file:
        file.write(f'[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n\n'
                   f'[dependencies]\n{row.crate} = "={row.version}"\n')
    try:
        run(["cargo", "vendor", "--quiet", "vendor"], cwd=work)
        os.rename(os.path.join(work, "vendor", row.crate), folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def build(row, folder, clang, both, native_options):
    """Paths of the module and of the native program."""
    sources = [s for s in sorted(glob.glob(os.path.join(fetch(row), row.sources)))
               if os.path.basename(s) not in row.skip]
    if not sources:
        raise Missing(f"{row.crate} {row.version} holds no {row.sources}")
    driver = os.path.join(DRIVERS, row.name + "_driver.c")
    common = [clang, *both, "-w", *row.defines, "-I", os.path.dirname(sources[0]), "-I", peers.ROOT + "/bench/programs",
              driver, *sources]
    wasm, native = os.path.join(folder, row.name + ".wasm"), os.path.join(folder, row.name)
    run([*common, *GUEST, "-o", wasm])
    run([*common, *native_options, peers.ROOT + "/bench/programs/native.c", "-lm", "-o", native])
    return wasm, native
