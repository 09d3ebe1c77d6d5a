#!/usr/bin/env python3
"""Makes the code generator's stencils: stencils.py [--arch ARCH] [--clang CLANG] [--traps FILE] OUT [SOURCE...]

The sources, by default all of stencils/, are compiled to assembly, where an operand is a sample register and an
immediate is a placeholder number (stencils/stencil.h says how they are written). What comes out, OUT/stencils.def and
OUT/stencils.c, is their machine code with holes in these places (fast/stencil.h says what is in it); OUT/stencils.txt
shows it to people. In an assembly file NAME_ARCH.s the numbers are called IMM, IMM2, SHIFT and IMM64, and only A, B, X,
Y, Z and W are operands, by their sample registers in small letters; every other register is itself.

- No encoding is known here. Holes are found by looking at which bits change when the assembler is given other registers
  and numbers, and then every form of every stencil, filled in with each register in each role and with several numbers,
  must be what the assembler makes of it.
- No code depends on a placeholder: three compilations with other numbers, of both signs, give the same text but for
  these numbers. (On aarch64 clang sees no numbers: each is put together by instructions of ours, 16 bits at a time,
  which say IMM_0, IMM_1 and so on in the text.)
- A filled-in register never changes a size: instructions are told to have every prefix and displacement that some
  register needs.
- A stencil that cannot be had that way fails the build, by name. None is left out.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = 2
TOKEN = re.compile(r"%\w+|[A-Za-z_.][\w.]*|-?\d\w*|.")
NUMBER = re.compile(r"-?(0x[0-9a-fA-F]+|\d+)")
END = ".Lend"

# Placeholders of the three compilations: two negative sets, for clang makes `andl` of `andq` with a number that is
# known to be positive, and one of the other sign.
COMPILATIONS = (
    {"IMM": -305419896, "IMM2": -286397205, "SHIFT": 13, "IMM64": 0x123456789ABCDEF1},
    {"IMM": -1732584193, "IMM2": -1005432106, "SHIFT": 22, "IMM64": 0x71E2D3C4B5A69788},
    {"IMM": 305419897, "IMM2": 286397206, "SHIFT": 7, "IMM64": -0x123456789ABCDEF2},
)
# The same instruction with a positive number has a shorter equivalent, which is not right for negative ones.
SIGN_MATTERS = {"i64_and_ri": "andl", "const_i64_s": "movl"}

# Numbers that a form is looked at and tried with, the first two of opposite bits. Those of the long form do not fit in
# a byte, those of the short one do.
LONG = (0x5A6B7C1D, ~0x5A6B7C1D, 128, -129, 0x7FFFFFFF, -0x80000000, 0xFFFF, -0x10000)
SHORT = (0x5A, ~0x5A, 127, -128, 0, 1, -1)
SHIFTS = (13, 18, 2, 31, 63, 32)  # the assembler has a shorter form for 1; the one for others will do
WIDE = (0x5A6B7C1D2E3F4051, ~0x5A6B7C1D2E3F4051, 0, -1, -0x8000000000000000, 0x7FFFFFFF)
FORMS = {"far": {"IMM": LONG, "IMM2": LONG, "SHIFT": SHIFTS, "IMM64": WIDE},
         "near": {"IMM": SHORT, "IMM2": SHORT, "SHIFT": SHIFTS, "IMM64": WIDE}}
# A hole's `arg`.
ROLES = "ABCDXYZW"
PLACEHOLDERS = ("IMM", "IMM2", "SHIFT", "IMM64")

Field = collections.namedtuple("Field", "at hole arg shift rex rex_shift", defaults=(0, 0, 0))


class Problem(Exception):
    """Why there can be no such stencil."""


Register = collections.namedtuple("Register", "number q d w b")
Vector = collections.namedtuple("Vector", "number v")


def x86_64_registers():
    """Every general register: its number and the names of its parts."""
    for number, name in enumerate("ax cx dx bx sp bp si di".split()):
        low = name[0] + "l" if name[1] == "x" else name + "l"
        yield number, "%r" + name, "%e" + name, "%" + name, "%" + low
    for number in range(8, 16):
        yield number, f"%r{number}", f"%r{number}d", f"%r{number}w", f"%r{number}b"


class X86_64:
    """Fixed are r12, the context, and rbp, the frame (r13 in the sources). Operands may be all other registers but rsp
    and those that are set aside: rax, rcx, rdx, xmm0, xmm13 to xmm15."""
    target = "x86_64-linux-gnu"
    flags = ["-march=x86-64-v2", "-mno-red-zone", "-fcf-protection=none",
             # Tuning for old machines: a division that looks first whether 32 bits would do, shld for rotations.
             "-Xclang=-target-feature", "-Xclang=-idivq-to-divl",
             "-Xclang=-target-feature", "-Xclang=-fast-shld-rotate"]
    compilations = COMPILATIONS
    register_text = re.compile(r"%\w+")
    has_short_forms = is_quick = True
    pool_max = 1 << 30
    comment = re.compile(r"#.*")
    ends = ("jmp", "jmpq", "ret", "retq", "ud2", "ud1l")
    INVERSE = dict(zip("e ne l ge le g b ae be a s ns p np o no".split(),
                       "ne e ge l g le ae b a be ns s np p no o".split()))
    # What has operands that do not stand in the text, or needs a stack.
    REFUSED = re.compile(r"((push|pop|call|ret|leave|enter|loop)[qlwfn]*\b|cpuid|rdtsc|xlat|j[er]?cxz|cmpxchg(8|16)b"
                         r"|jmp\w* \*|(rep\w* )?(movs|stos|scas|lods|cmps|ins|outs)[bwlq]?$|maskmov)")
    FIXED = {12: 12, 13: 5}  # in the sources: in the code
    OPERANDS = {14: "A", 15: "B", 7: "C", 6: "D"}
    VECTOR_OPERANDS = {1: "X", 2: "Y", 3: "Z", 4: "W"}
    SCRATCH = (0, 1, 2)
    RAW_OPERANDS = re.compile(r"%(r1[45][dwb]?|xmm[1-4])")

    def __init__(self):
        self.registers = [Register(*names) for names in x86_64_registers()]
        self.names = {name: (register, part) for register in self.registers
                      for part, name in register._asdict().items() if part != "number"}
        self.integers = [self.registers[n] for n in (13, 14, 15, 7, 6, 3, 8, 9, 10, 11)]
        self.vectors = [Vector(n, f"%xmm{n}") for n in range(1, 13)]
        # For each kind of operand: a register, one whose number differs in the lowest bit and one in the highest.
        self.integer_probes = [self.registers[n] for n in (15, 14, 7)]
        self.vector_probes = [self.vectors[n - 1] for n in (11, 10, 3)]

    def allowed(self, role):
        return self.integers if role in "ABCD" else self.vectors

    def probes(self, role):
        return self.integer_probes if role in "ABCD" else self.vector_probes

    def scratch(self, text):
        """The vector registers that a stencil may have beside its operands and those that it names itself."""
        return [13, 14, 15] + [0] * ("%xmm0" not in text)

    def vector(self, number, renamed, scratch):
        if number in self.VECTOR_OPERANDS:
            return "{%s.v}" % self.VECTOR_OPERANDS[number]
        if number and number not in renamed:
            if not scratch:
                raise Problem("uses too many vector registers")
            renamed[number] = scratch.pop(0)
        return f"%xmm{renamed.get(number, 0)}"

    def register(self, token, raw, renamed, scratch):
        """What stands in the template for a register of the text. What was renamed is the same for a whole stencil."""
        if token in ("%rip", "%ah", "%ch", "%dh") or raw and not self.RAW_OPERANDS.fullmatch(token):
            return token
        if match := re.fullmatch(r"%xmm(\d+)", token):
            return self.vector(int(match.group(1)), renamed, scratch)
        register, part = self.names.get(token, (None, None))
        if register and register.number in self.FIXED:
            return getattr(self.registers[self.FIXED[register.number]], part)
        if register and register.number in self.OPERANDS:
            return "{%s.%s}" % (self.OPERANDS[register.number], part)
        if register and register.number in self.SCRATCH:
            return token
        raise Problem(f"uses {token}, which is not set aside")

    def inverse(self, op):
        """The opposite of a conditional jump, or "" for an unconditional one; None if it is no jump."""
        if op == "jmp":
            return ""
        return "j" + self.INVERSE[op[1:]] if op[:1] == "j" and op[1:] in self.INVERSE else None

    def force(self, line, form):
        """The same instruction, told to have what some register or number needs."""
        prefix = "{{rex}} " if re.search(r"\{[A-DW-Z]\.", line) else ""
        if memory := re.search(r"([^\s,(]*)\(([^,)]*)", line):
            if "{IMM" in memory.group(1):
                prefix += "{{disp32}} " if form == "far" else "{{disp8}} "
            elif not memory.group(1) and "{" in memory.group(2):
                prefix += "{{disp8}} "
        return prefix + line

    def register_fields(self, role, code, probes):
        """The holes for an operand; an instruction has as many places for the lower three bits as for the fourth."""
        low, high = (bits_that_differ(code, probe) for probe in probes)
        if len(low) != len(high):
            raise Problem(f"operand {role} has a place without a prefix")
        return [Field(at, "HOLE_REG", ROLES.index(role), shift, rex, rex_shift)
                for (at, shift), (rex, rex_shift) in zip(low, high)]

    def parts(self, name, number):
        """What stands in templates for a number beside itself."""
        return {name + "_U": number & 0xFFFFFFFF}

    def number_probes(self, name, values):
        """Numbers by which the holes of a placeholder are found."""
        return values[1:2]

    def number_fields(self, name, code, probes):
        """The holes for a placeholder: the bytes that differ, for all of its bits do."""
        (probe,) = probes
        different = sorted({at for at, _ in bits_that_differ(code, probe)})
        starts = [at for at in different if at - 1 not in different]
        ends = [at + 1 for at in different if at + 1 not in different]
        for start, end in zip(starts, ends):
            if end - start not in ((8,) if name == "IMM64" else (1,) if name == "SHIFT" else (1, 4)):
                raise Problem(f"{name} has {end - start} bytes")
            yield Field(start, f"HOLE_IMM{8 * (end - start)}", PLACEHOLDERS.index(name))

    def put(self, code, field, number):
        """Fills in a hole, where there are zeros; all ones mark it."""
        if field.hole == "HOLE_REG":
            code[field.at] |= (number & 7) << field.shift
            code[field.rex] |= (number >> 3 & 1) << field.rex_shift
        else:
            size = {"HOLE_IMM8": 1, "HOLE_IMM64": 8}.get(field.hole, 4)
            code[field.at:field.at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")

    def distance(self, field, kind, symbol, addend):
        """The hole of a distance, and what must be added where that is counted from its end."""
        if kind not in (2, 4):  # R_X86_64_PC32, R_X86_64_PLT32
            raise Problem(f"needs the address of {symbol}")
        return field, addend + 4

    def finished(self, lines):
        """The lines of a stencil, after all else."""
        return lines


Vector64 = collections.namedtuple("Vector64", "number v q d s h b")
Register64 = collections.namedtuple("Register64", "number x w")


class Aarch64:
    """Fixed are x20, the context, and x29, the frame (x21 in the sources). Operands may be all other registers up to x26
    and v15 but x8 to x19, of which stencils have x8 to x15 for themselves, beside v16 and those that follow."""
    target = "aarch64-linux-gnu"
    flags = ["-march=armv8-a", "-mno-outline-atomics", "-ffixed-x18", "-fno-integrated-as"]
    compilations = ({},)
    register_text = re.compile(r"\b([xw]([12]?[0-9]|30|zr)|w?sp|[vqdshb]([12]?[0-9]|3[01]))\b")
    has_short_forms = is_quick = False
    pool_max = 0xFFF
    comment = re.compile(r"//.*")
    ends = ("b", "br", "ret", "udf", "brk")
    INVERSE = dict(zip("eq ne hs lo cs cc mi pl vs vc hi ls ge lt gt le".split(),
                       "ne eq lo hs cc cs pl mi vc vs ls hi lt ge le gt".split()))
    REFUSED = re.compile(r"(blr?|ret|br|svc|mrs)\b")
    FIXED = {20: 20, 21: 29}  # in the sources: in the code
    OPERANDS = {22: "A", 23: "B", 24: "C", 25: "D"}
    VECTOR_OPERANDS = {1: "X", 2: "Y", 3: "Z", 4: "W"}
    SCRATCH = range(8, 16)
    RAW_OPERANDS = re.compile(r"[xw]2[23]|[vqdshb][1-4]")
    LO12 = re.compile(r"\[(x\d+), :lo12:([\w.+]+)\]")
    # The relocations of distances: R_AARCH64_ADR_PREL_PG_HI21, ADD_ABS_LO12_NC, JUMP26, CALL26. Where the lowest bit goes.
    DISTANCES = {275: 5, 277: 10, 282: 0, 283: 0}

    def __init__(self):
        self.integers = [Register64(n, f"x{n}", f"w{n}") for n in (*range(0, 8), *range(21, 27))]
        self.vectors = [Vector64(n, *(f"{kind}{n}" for kind in "vqdshb")) for n in range(16)]

    def allowed(self, role):
        return self.integers if role in "ABCD" else self.vectors

    def probes(self, role):
        """A register of its own, and one whose number differs in the lowest bit."""
        first = dict(zip(ROLES, (22, 24, 2, 4, 2, 4, 6, 8)))[role]
        return [register for register in self.allowed(role) if register.number in (first, first + 1)]

    def scratch(self, text):
        return list(range(16, 32))

    def vector(self, kind, number, renamed, scratch):
        if number in self.VECTOR_OPERANDS:
            return "{%s.%s}" % (self.VECTOR_OPERANDS[number], kind)
        if number not in renamed:
            if not scratch:
                raise Problem("uses too many vector registers")
            renamed[number] = scratch.pop(0)
        return f"{kind}{renamed[number]}"

    def register(self, token, raw, renamed, scratch):
        """What stands in the template for a register of the text. What was renamed is the same for a whole stencil."""
        if token in ("xzr", "wzr") or raw and not self.RAW_OPERANDS.fullmatch(token):
            return token
        kind, number = token[0], int(token[1:]) if token[1:].isdigit() else -1
        if kind in "vqdshb":
            return self.vector(kind, number, renamed, scratch)
        if number in self.FIXED:
            return kind + str(self.FIXED[number])
        if number in self.OPERANDS:
            return "{%s.%s}" % (self.OPERANDS[number], kind)
        if number in self.SCRATCH:
            return token
        raise Problem(f"uses {token}, which is not set aside")

    def inverse(self, op):
        """The opposite of a conditional jump with its operands, or "" for an unconditional one; None if it is no jump."""
        if op == "b":
            return ""
        if op[:2] == "b." and op[2:] in self.INVERSE:
            return "b." + self.INVERSE[op[2:]]
        match = re.match(r"(cb|tb)(n?)(z .*)", op)
        return match and match[1] + ("" if match[2] else "n") + match[3]

    def finished(self, lines):
        """With jumps out of the stencil that reach as far as unconditional ones do, and constants by their addresses, so
        that neither the size of an access nor its place matters."""
        done = []
        for index, line in enumerate(lines):
            op, target = jump(self, line)
            if op and self.inverse(op) and not target.startswith(".L"):
                done += [f"{self.inverse(op)} .Lover{index}", f"b {target}", f".Lover{index}:"]
            elif match := self.LO12.search(line):
                done += [f"add {match[1]}, {match[1]}, :lo12:{match[2]}", self.LO12.sub(r"[\1]", line)]
            else:
                done.append(line)
        pages = sum(line.startswith("adrp") for line in done)
        if pages != sum(line.startswith("add") and ":lo12:" in line for line in done):
            raise Problem("a constant's page serves twice")
        return done

    def force(self, line, form):
        return line

    def parts(self, name, number):
        """What stands in templates for a number beside itself."""
        return {f"{name}_{piece}": number >> 16 * piece & 0xFFFF for piece in range(4)}

    def number_probes(self, name, values):
        return [values[0] ^ 0xFFFF << 16 * piece for piece in range(4 if name == "IMM64" else 2)]

    def register_fields(self, role, code, probes):
        return [Field(at // 4 * 4, "HOLE_REG", ROLES.index(role), at % 4 * 8 + bit)
                for at, bit in bits_that_differ(code, probes[0])]

    def number_fields(self, name, code, probes):
        """Each 16 bits of a number have holes of their own."""
        for piece, probe in enumerate(probes):
            places = [at * 8 + bit for at, bit in bits_that_differ(code, probe)]
            if any(place != places[i // 16 * 16] + i % 16 for i, place in enumerate(places)) or len(places) % 16:
                raise Problem(f"{name} is not in one piece")
            for place in places[::16]:
                yield Field(place // 32 * 4, "HOLE_IMM16", PLACEHOLDERS.index(name), 16 * piece, place % 32)

    def put(self, code, field, number):
        """Fills in a hole, where there are zeros; all ones mark it."""
        if field.hole == "HOLE_REG":
            word = (number & 0x1F) << field.shift
        elif field.hole == "HOLE_IMM16":
            word = (number >> field.shift & 0xFFFF) << field.rex
        elif field.shift == 5:
            word = (number & 3) << 29 | (number >> 2 & 0x7FFFF) << 5
        elif field.shift == 10:
            word = (number & 0xFFF) << 10
        else:
            word = number & 0x3FFFFFF
        for i in range(4):
            code[field.at + i] |= word >> 8 * i & 0xFF

    def distance(self, field, kind, symbol, addend):
        """The hole of a distance, and what must be added."""
        if kind not in self.DISTANCES or (field.hole != "HOLE_POOL" and field.hole != "HOLE_CALLEE" and kind < 282):
            raise Problem(f"needs the address of {symbol}")
        return field._replace(shift=self.DISTANCES[kind]), addend


ARCHITECTURES = {"x86_64": X86_64, "aarch64": Aarch64}


# From the sources to text.


def run(command, **options):
    done = subprocess.run(command, capture_output=True, **options)
    if done.returncode:
        sys.exit(f"stencils.py: {' '.join(command[:1] + command[-1:])}\n{done.stderr.decode()}")
    return done.stdout


def compile_source(arch, clang, source, placeholders):
    """The assembly text of a source."""
    if source.endswith(".s"):
        with open(source, encoding="utf-8") as file:
            return re.sub(r"\b(IMM|IMM2|SHIFT|IMM64)\b",
                          lambda match: str(placeholders.get(match.group(), match.group())), file.read())
    defines = [f"-D{name}=({value})" for name, value in placeholders.items()]
    return run([clang, f"--target={arch.target}", "-S", "-O2", "-std=gnu17", "-ffreestanding", "-fomit-frame-pointer",
                "-fno-asynchronous-unwind-tables", "-fno-pic", "-fno-strict-aliasing", "-fno-stack-protector",
                *arch.flags, *defines, "-o", "-", source]).decode()


def statements(arch, text):
    for line in text.splitlines():
        for statement in arch.comment.sub("", line).split(";"):
            statement = " ".join(statement.split())
            label = re.match(r"[\w.]+: ?", statement)
            if label:
                yield label.group().strip()
                statement = statement[label.end():]
            if statement:
                yield statement


def read_assembly(arch, text):
    """{stencil: its lines}, {label of a constant: (alignment, its directives)}"""
    stencils, constants, current, is_code, alignment = {}, {}, [], True, 1
    for line in statements(arch, text):
        if line.startswith((".text", ".section", ".data", ".bss")):
            is_code, alignment = ".text" in line, 1
        elif line.startswith(".p2align"):
            alignment = 1 << int(line.split()[1].rstrip(","))
        elif line.startswith("s_") and line.endswith(":"):
            current = stencils[line[2:-1]] = []
        elif line.endswith(":") and not is_code:
            constants[line[:-1]] = alignment, (current := [])
        elif is_code != (line.startswith(".") and not line.endswith(":")):
            current.append(line)
    return stencils, constants


def constant_symbol(alignment, directives):
    """A symbol that says what the constant is: the same one is the same constant."""
    sizes = {".byte": 1, ".short": 2, ".value": 2, ".long": 4, ".quad": 8,
             ".hword": 2, ".word": 4, ".xword": 8}
    value = b""
    for line in directives:
        what, _, rest = line.partition(" ")
        arguments = [int(n, 0) for n in rest.replace(" ", "").split(",") if NUMBER.fullmatch(n)]
        if what == ".zero" and arguments:
            value += bytes(arguments[1:] or [0]) * arguments[0]
        elif what in sizes and len(arguments) == rest.count(",") + 1:
            value += b"".join((n % (1 << 8 * sizes[what])).to_bytes(sizes[what], "little") for n in arguments)
        elif what not in (".size", ".type", ".globl", ".ident", ".addrsig", ".addrsig_sym"):
            raise Problem(f"a constant with {line}")
    return f"pool_{alignment}_{value.hex()}"


class Pool:
    """Constants, each once, aligned."""

    def __init__(self):
        self.data, self.found = bytearray(), {}

    def offset(self, symbol):
        if symbol not in self.found:
            alignment, value = int(symbol.split("_")[1]), bytes.fromhex(symbol.split("_")[2])
            end = len(self.data) + -len(self.data) % alignment
            where = [at for at in range(0, end, alignment) if self.data[at:at + len(value)] == value]
            if not where:
                self.data += bytes(end - len(self.data)) + value
            self.found[symbol] = (where + [end])[0]
        return self.found[symbol]


# From text to templates: `addl {IMM}(%rbp), {A.d}`.


def placeholder_of(numbers, sets):
    """The placeholder that a number is in all compilations; NAME_U is the same as unsigned 32 bits."""
    for name in sets[0]:
        if all(n == s[name] for n, s in zip(numbers, sets)):
            return "{%s}" % name
        if name != "IMM64" and all(n == s[name] & 0xFFFFFFFF for n, s in zip(numbers, sets)):
            return "{%s_U}" % name
        if all(n == -s[name] for n, s in zip(numbers, sets)):
            raise Problem(f"has -{name}, which no hole can be")
    for name in sets[0]:
        if len(distance := {n - s[name] for n, s in zip(numbers, sets)}) == 1:
            raise Problem(f"has {name} {distance.pop():+d}, which is not right for every number")
    raise Problem(f"has a number that depends on a placeholder: {' or '.join(map(str, numbers))}")


def merge(texts, sets):
    """The lines of a stencil, compiled twice, with placeholders where their numbers stand."""
    tokens = [[TOKEN.findall(line) for line in text] for text in texts]
    if [len(line) for line in tokens[0]] != [len(line) for line in tokens[1]]:
        raise Problem("the code depends on a placeholder")
    lines = []
    for pair in zip(*tokens):
        lines.append("")
        for both in zip(*pair):
            if both[0] == both[1]:
                lines[-1] += both[0].replace("{", "{{").replace("}", "}}")
            elif all(map(NUMBER.fullmatch, both)):
                lines[-1] += placeholder_of([int(number, 0) for number in both], sets)
            else:
                raise Problem("the code depends on a placeholder: " + " or ".join("".join(line) for line in pair))
    return lines


def merge_all(arch, name, texts):
    if len(texts) == 1:
        lines = [line.replace("{", "{{").replace("}", "}}") for line in texts[0]]
        return [re.sub(r"\b(%s)_\d\b" % "|".join(PLACEHOLDERS), r"{\g<0>}", line) for line in lines]
    lines = merge(texts[:2], arch.compilations[:2])
    try:
        same = merge(texts[::2], arch.compilations[::2]) == lines
    except Problem:
        same = False
    if not same and name not in SIGN_MATTERS:
        raise Problem("the code depends on a placeholder's sign")
    return lines


def cleaned(arch, lines):
    """The same code with as few jumps as can be, falling through at its end: END stands for CONT."""
    lines = [re.sub(r"\bCONT\b", END, line) for line in lines] + [END + ":"]
    for _ in range(len(lines)):
        lines = straightened(arch, trimmed(arch, threaded(arch, lines)))
    return arch.finished(lines)


def jump(arch, line):
    """The operation, with all operands but the last, and the target of a jump."""
    op, _, target = line.rpartition(" ")
    is_jump = arch.inverse(op) is not None and not line.endswith(":") and target[:1] != "*"
    return (op, target) if is_jump else (None, None)


def labels_at(lines, index):
    """The labels that stand there, and the first line behind them."""
    end = index
    while end < len(lines) and lines[end].endswith(":"):
        end += 1
    return [line[:-1] for line in lines[index:end]], (lines[end:end + 1] or [""])[0]


def threaded(arch, lines):
    """A jump to a jump goes to its target."""
    targets = {}
    for index, line in enumerate(lines):
        if line.endswith(":"):
            op, target = jump(arch, labels_at(lines, index)[1])
            if op and arch.inverse(op) == "":
                targets[line[:-1]] = target
    jumps = (jump(arch, line) for line in lines)
    return [f"{op} {targets.get(target, target)}" if op else line for line, (op, target) in zip(lines, jumps)]


def trimmed(arch, lines):
    """Without labels that none uses, and code that none reaches."""
    used = {label for line in lines if not line.endswith(":") for label in re.findall(r"\.L\w+", line)}
    kept, reached = [], True
    for line in lines:
        if line.endswith(":"):
            reached = reached or line[:-1] in used
            kept += [line] if line[:-1] in used or line == END + ":" else []
        elif reached:
            kept.append(line)
            reached = line.split()[0] not in arch.ends
    return kept


def straightened(arch, lines):
    """Without jumps to what comes next, or over another jump."""
    for index, line in enumerate(lines):
        op, target = jump(arch, line)
        if op and target in labels_at(lines, index + 1)[0]:
            return lines[:index] + lines[index + 1:]
        over, other = jump(arch, lines[index + 1]) if index + 1 < len(lines) else (None, None)
        if op and arch.inverse(op) and over and arch.inverse(over) == "" and target in labels_at(lines, index + 2)[0]:
            return lines[:index] + [f"{arch.inverse(op)} {other}"] + lines[index + 2:]
    return lines


class Form:
    """One form of a stencil: its template, and how it is looked at and tried."""

    def __init__(self, arch, lines, kind):
        self.arch = arch
        self.template = "\n".join(re.sub(r"(\.L\w+)", r"\1_{serial}", arch.force(line, kind)) for line in lines)
        self.values = {name: FORMS[kind][name] for name in PLACEHOLDERS
                       if re.search(r"\{%s(_\w)?\}" % name, self.template)}
        self.roles = [role for role in ROLES if "{%s." % role in self.template]
        first = {role: arch.probes(role)[0] for role in self.roles}
        first |= {name: values[0] for name, values in self.values.items()}
        self.looks = [first]
        self.looks += [first | {role: other} for role in self.roles for other in arch.probes(role)[1:]]
        self.looks += [first | {name: other} for name, values in self.values.items()
                       for other in arch.number_probes(name, values)]
        self.tries = [self.trial(arch, k) for k in range(max(len(arch.integers), len(arch.vectors)))]

    def trial(self, arch, k):
        """A choice of registers and numbers; all of these together have every one in every place."""
        chosen = {role: arch.allowed(role)[(k + 3 * i) % len(arch.allowed(role))] for i, role in enumerate(self.roles)}
        return chosen | {name: values[(k + i) % len(values)] for i, (name, values) in enumerate(self.values.items())}

    def texts(self):
        for chosen in self.looks + self.tries:
            parts = {key: part for name in self.values for key, part in self.arch.parts(name, chosen[name]).items()}
            self.serial = Form.serial = Form.serial + 1
            yield self.template.format(serial=self.serial, **chosen, **parts)

    serial = 0


class Stencil:
    def __init__(self, arch, name, source, lines):
        self.name, self.source, raw = name, os.path.basename(source), source.endswith(".s")
        if not raw and (refused := [line for line in lines if arch.REFUSED.match(line)]):
            raise Problem(f"uses {refused[0]}")
        renamed, scratch = {}, arch.scratch(" ".join(lines))
        place = lambda match: arch.register(match.group(), raw, renamed, scratch)
        self.lines = [arch.register_text.sub(place, line) for line in cleaned(arch, lines)]
        self.forms = [Form(arch, self.lines, "far")]
        if arch.has_short_forms and {"IMM", "IMM2"} & set(self.forms[0].values):
            self.forms.append(Form(arch, self.lines, "near"))


def read_stencils(arch, clang, sources, problems):
    """All stencils, in the order of the sources."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        tasks = [(source, placeholders) for source in sources for placeholders in arch.compilations]
        texts = list(pool.map(lambda task: read_assembly(arch, compile_source(arch, clang, *task)), tasks))
    stencils = {}
    for index, source in enumerate(sources):
        variants = texts[index * len(arch.compilations):(index + 1) * len(arch.compilations)]
        for name in variants[0][0]:
            try:
                if name in stencils:
                    raise Problem(f"stands in {stencils[name].source} too")
                lines = merge_all(arch, name, [with_constants(*variant, name) for variant in variants])
                stencils[name] = Stencil(arch, name, source, lines)
            except Problem as problem:
                problems.append(f"{os.path.basename(source)}: {name}: {problem}")
    return list(stencils.values())


def with_constants(stencils, constants, name):
    place = lambda match: constant_symbol(*constants[match.group()]) if match.group() in constants else match.group()
    return [re.sub(r"[A-Za-z_.][\w.]*", place, line) for line in stencils[name]]


# From templates to code.


def section_bytes(data):
    """The sections of an ELF object: {name: bytes}."""
    at, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    heads = [struct.unpack_from("<IIQQQQ", data, at + i * size) for i in range(count)]
    text = lambda offset: data[heads[names][4] + offset:].split(b"\0", 1)[0].decode()
    return {text(head[0]): data[head[4]:head[4] + head[5]] for head in heads}


def relocations(sections):
    """(offset, type, symbol, addend), in order"""
    strings = sections[".strtab"]
    names = [symbol[0] for symbol in struct.iter_unpack("<IBBHQQ", sections[".symtab"])]
    symbols = [strings[at:strings.index(b"\0", at)].decode() for at in names]
    entries = struct.iter_unpack("<QQq", sections.get(".rela.text", b""))
    return sorted((offset, info & 0xFFFFFFFF, symbols[info >> 32], addend) for offset, info, addend in entries)


def owner_of_line(whole, number, names):
    """Whose text a line of the whole belongs to."""
    return names[sum(line.startswith(".Lat") for line in whole.split("\n")[:number]) - 1]


def assemble(arch, clang, names, texts):
    """[(code, [(offset, type, symbol, addend)])] of each text; `names` says whose it is."""
    whole = "".join(f".Lat{i}:\n{text}\n" for i, text in enumerate(texts)) + f".Lat{len(texts)}:\n.section .starts\n"
    whole += "".join(f".long .Lat{i}-.Lat0\n" for i in range(len(texts) + 1))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "all.o")
        done = subprocess.run([clang, f"--target={arch.target}", "-c", "-o", path, "-x", "assembler", "-"],
                              input=whole.encode(), capture_output=True)
        if done.returncode:
            error = done.stderr.decode()
            line = re.search(r":(\d+):\d+: error", error)
            sys.exit(f"stencils.py: {owner_of_line(whole, int(line.group(1)), names) if line else ''}: {error[:500]}")
        with open(path, "rb") as file:
            sections = section_bytes(file.read())
    starts = [start for start, in struct.iter_unpack("<I", sections[".starts"])]
    entries, index, pieces = relocations(sections), 0, []
    for start, end in zip(starts, starts[1:]):
        first = index
        while index < len(entries) and entries[index][0] < end:
            index += 1
        pieces.append((sections[".text"][start:end], [(e[0] - start, *e[1:]) for e in entries[first:index]]))
    return pieces


def bits_that_differ(one, other):
    """(byte, bit) of each"""
    if len(one) != len(other):
        raise Problem("another register changes its size")
    return [(at, bit) for at, (a, b) in enumerate(zip(one, other)) if a != b for bit in range(8) if (a ^ b) >> bit & 1]


def symbol_field(at, symbol, traps):
    if symbol in ("TAKEN", "CALLEE"):
        return Field(at, "HOLE_" + symbol, 0)
    if symbol.startswith("TRAP_") and symbol[5:] in traps:
        return Field(at, "HOLE_TRAP", traps.index(symbol[5:]))
    if symbol.startswith("pool_"):
        return Field(at, "HOLE_POOL", 0)
    raise Problem(f"needs {symbol}")


def find_holes(arch, form, pieces, traps, pool):
    """(code, fields) of a form."""
    looks = [code for code, _ in pieces]
    fields, index = [], 1
    for role in form.roles:
        count = len(arch.probes(role)) - 1
        fields += arch.register_fields(role, looks[0], looks[index:index + count])
        index += count
    for name, values in form.values.items():
        count = len(arch.number_probes(name, values))
        fields += arch.number_fields(name, looks[0], looks[index:index + count])
        index += count
    distances, code = [], bytearray(looks[0])
    for field in fields:
        clear(arch, code, field)
    for at, kind, symbol, addend in pieces[0][1]:
        field, more = arch.distance(symbol_field(at, symbol, traps), kind, symbol, addend)
        clear(arch, code, field)
        arch.put(code, field, more + (pool.offset(symbol) if field.hole == "HOLE_POOL" else 0))
        distances.append(field)
    return bytes(code), sorted(fields + distances, key=lambda field: (field.hole != "HOLE_REG", field.at))


def clear(arch, code, field):
    ones = bytearray(len(code))
    arch.put(ones, field, -1)
    code[:] = bytes(byte & ~one for byte, one in zip(code, ones))


def fill(arch, code, fields, chosen):
    """What the generator does, except that distances become zero."""
    code = bytearray(code)
    for field in fields:
        if field.hole == "HOLE_REG":
            arch.put(code, field, chosen[ROLES[field.arg]].number)
        elif field.hole.startswith("HOLE_IMM"):
            arch.put(code, field, chosen[PLACEHOLDERS[field.arg]])
        else:
            clear(arch, code, field)
    return bytes(code)


def make_form(arch, form, pieces, traps, pool):
    """(code, fields) of a form, tried."""
    looks = len(form.looks)
    code, fields = find_holes(arch, form, pieces[:looks], traps, pool)
    if len(code) > 255 or len(fields) > 255:
        raise Problem("too long")
    for chosen, (wanted, _) in zip(form.looks + form.tries, pieces):
        if fill(arch, code, fields, chosen) != wanted:
            raise Problem("filled in, it is not what the assembler makes of it: "
                          + ", ".join(f"{name} {getattr(value, 'number', value)}" for name, value in chosen.items()))
    return code, fields


def make_all(arch, clang, stencils, traps, problems):
    """{name: [(code, fields) of the long form, of the short form]}, and the pool."""
    halves = [stencils[job::JOBS] for job in range(JOBS)]
    texts = [[(stencil.name, text) for stencil in half for form in stencil.forms for text in form.texts()]
             for half in halves]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as executor:
        assembled = list(executor.map(lambda part: assemble(arch, clang, *(zip(*part) if part else ((), ()))), texts))
    pool, made = Pool(), {}
    for half, pieces in zip(halves, map(iter, assembled)):
        for stencil in half:
            mine = [[next(pieces) for _ in form.looks + form.tries] for form in stencil.forms]
            try:
                forms = [make_form(arch, *form, traps, pool) for form in zip(stencil.forms, mine)]
                made[stencil.name] = forms[0], min(forms, key=lambda form: len(form[0]))
            except Problem as problem:
                problems.append(f"{stencil.source}: {stencil.name}: {problem}")
    return made, pool


# What comes out.


def numbers(values):
    values = list(values)
    return "".join("    " + ", ".join(map(str, values[i:i + 24])) + ",\n" for i in range(0, len(values), 24))


FORM_REGS = 3
BEHIND = 16  # all bytes of a form that is filled in quickly
REGS = 32  # in a row of stencil_spread
LAST = {("HOLE_TAKEN", 0): ("FORM_TAKEN", 4), ("HOLE_CALLEE", 0): ("FORM_CALLEE", 4), ("HOLE_IMM32", 1): ("FORM_IMM2", 4),
        ("HOLE_IMM64", 3): ("FORM_IMM64", 8)}  # what may stand at the end, and its bytes


def number_place(number):
    """Shift and mask of the byte it becomes, where its four bytes go, and which one it is."""
    if not number:
        return f"0, 0, {BEHIND}, 3"
    byte = number.hole == "HOLE_IMM8"
    return f"{8 * number.at}, 0xff, {BEHIND}, {number.arg}" if byte else f"0, 0, {number.at}, {number.arg}"


def quick(arch, code, fields, spreads):
    """How all holes are filled at once, where eight bytes hold the registers, there is one number or none, and perhaps
    something at the end."""
    regs = [f for f in fields if f.hole == "HOLE_REG"]
    others = [f for f in fields if f.hole != "HOLE_REG"]
    last = [f for f in others if (f.hole, f.arg) in LAST and f.at == len(code) - LAST[f.hole, f.arg][1]]
    others = [f for f in others if f not in last]
    number = others[0] if others else None
    if (not arch.is_quick or len(code) > 16 or any(code[-4:]) and last or len(regs) > FORM_REGS or len(others) > 1 or
            any(max(f.at, f.rex) > 7 for f in regs) or
            number and not (number.hole == "HOLE_IMM32" or number.hole == "HOLE_IMM8" and number.at < 8)):
        return "{0}, {0}, 0, 0, 0, 3, FORM_ANY"
    rows = [(f.at * 8 + f.shift, f.rex * 8 + f.rex_shift) for f in regs]
    for row in rows:
        spreads.setdefault(row, len(spreads))
    none = [0] * (FORM_REGS - len(regs))
    kind = LAST[last[0].hole, last[0].arg][0] if last else "FORM_PLAIN"
    args, rows = [f.arg for f in regs] + none, [REGS * spreads[row] for row in rows] + none
    return f"{{{', '.join(map(str, rows))}}}, {{{', '.join(map(str, args))}}}, {number_place(number)}, {kind}"


def spread_rows(spreads):
    for row in spreads:
        low, high = row or (0, 0)
        bits = [((r & 7) << low | (r >> 3 & 1) << high) if row else 0 for r in range(REGS)]
        yield "    " + ", ".join(map(hex, bits)) + ",\n"


class Tables:
    """Code and fields of all forms, each once."""

    def __init__(self, arch):
        self.arch, self.code, self.fields, self.known, self.spreads = arch, bytearray(), [], {}, {None: 0}
        self.wholes = {}

    def row(self, code, fields):
        if code not in self.known:
            self.known[code] = len(self.code) // 8
            self.code += code + bytes(-len(code) % 8)
        if tuple(fields) not in self.known:
            self.known[tuple(fields)] = len(self.fields)
            self.fields += fields
        words = [int.from_bytes(code[at:at + 8].ljust(8, b"\0"), "little") for at in (0, 8)]
        whole = f"{self.known[code]}, {self.known[tuple(fields)]}, {len(fields)}"
        whole = self.wholes.setdefault(whole, len(self.wholes))
        return (f"{{{{{words[0]:#x}, {words[1]:#x}}}, {whole}, "
                f"{quick(self.arch, code, fields, self.spreads)}, {len(code)}}}")


def tables_in_c(arch, stencils, made, pool):
    tables = Tables(arch)
    rows = "".join(f"    {{{tables.row(*made[s.name][0])}, {tables.row(*made[s.name][1])}}}, /* {s.name} */\n"
                   for s in stencils)
    fields = "".join("    {%d, %s, %d, %d, %d, %d},\n" % field for field in tables.fields)
    if len(pool.data) > arch.pool_max:
        sys.exit("stencils.py: more constants than holes for their offsets can count")
    if max(len(tables.code) // 8, len(tables.fields), len(tables.wholes), REGS * len(tables.spreads)) > 0xFFFF:
        sys.exit("stencils.py: more code, fields or forms than struct stencil_form can count")
    constants = bytes(pool.data) or bytes(16)
    return (f'/* Made by stencils.py. */\n#include "codegen/fast/stencil.h"\n\n'
            f"const struct stencil stencils[STENCIL_COUNT] = {{\n{rows}}};\n"
            f"const struct stencil_field stencil_fields[] = {{\n{fields}    {{0}},\n}};\n"
            f"const struct stencil_whole stencil_wholes[] = {{\n"
            + "".join(f"    {{{whole}}},\n" for whole in tables.wholes) + "};\n"
            f"const uint64_t stencil_spread[] = {{\n{''.join(spread_rows(tables.spreads))}}};\n"
            f"const uint8_t stencil_code[] = {{\n{numbers(tables.code + bytes(16))}}};\n"
            f"const char *const stencil_names[STENCIL_COUNT] = {{\n"
            + "".join(f'    "{s.name}",\n' for s in stencils) + "};\n"
            f"_Alignas(16) const uint8_t stencil_pool[] = {{\n{numbers(constants)}}};\n"
            f"const uint32_t stencil_pool_size = {len(pool.data)};\n")


def listing(stencils, made):
    """For people."""
    for stencil in stencils:
        far, near = made[stencil.name]
        yield f"{stencil.name} ({stencil.source}): {len(far[0])} bytes, {len(near[0])} in short"
        yield from ("    " + line for line in stencil.lines)
        for name, (code, fields) in (("long", far), ("short", near))[:1 if far is near else 2]:
            yield f"  {name}: {code.hex(' ')}"
            yield "    " + ", ".join(f"{f.hole[5:]}[{f.arg}]@{f.at}" for f in fields)


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--arch", default="x86_64", choices=ARCHITECTURES)
    parser.add_argument("--clang", default="clang-19")
    parser.add_argument("--traps", default=os.path.join(HERE, "..", "..", "image", "traps.def"))
    parser.add_argument("out")
    parser.add_argument("sources", nargs="*")
    options = parser.parse_args()
    arch, problems = ARCHITECTURES[options.arch](), []
    everything = [path for end in (".c", f"_{options.arch}.s") for path in sorted(glob.glob(f"{HERE}/stencils/*{end}"))]
    with open(options.traps, encoding="utf-8") as file:
        traps = re.findall(r"^TRAP\((\w+),", file.read(), re.M)
    stencils = read_stencils(arch, options.clang, options.sources or everything, problems)
    made, pool = make_all(arch, options.clang, stencils, traps, problems)
    if problems:
        sys.exit("".join(f"stencils.py: {problem}\n" for problem in problems))
    os.makedirs(options.out, exist_ok=True)
    write(options.out, "stencils.def", "".join(f"STENCIL_ROW({stencil.name})\n" for stencil in stencils))
    write(options.out, "stencils.c", tables_in_c(arch, stencils, made, pool))
    write(options.out, "stencils.txt", "\n".join(listing(stencils, made)) + "\n")


if __name__ == "__main__":
    main()
