"""Components that a manifest has from the releases of other repositories, built from their sources in that place: the
manifest names the file then, and has no digest, which is that of what somebody else built."""
import contextlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

from example import NotTried

FILESERVER = ("spinframework/spin-fileserver", "203f13ec08fe29d2b3cc002b090b55def40627f3")
WHY = "its component, a release of github.com/spinframework/spin-fileserver, is built from source"
RELEASE = r'source = \{ url = "https://github\.com/%s/releases/[^"]*/(\w+\.wasm)"[^}]*\}'


def leave_tests(manifest):
    """Tests that are a member of the workspace have a repository among their dependencies, for which cargo would ask."""
    with open(manifest, encoding="utf-8") as file:
        text = file.read()
    with open(manifest, "w", encoding="utf-8") as out:
        out.write(text.replace('members = ["tests"]\n', ""))


def built(name, commit, file, cache, repository):
    """The component, which stays in the cache folder."""
    made = os.path.join(cache, "releases", f"{commit[:12]}-{file}")
    if os.path.exists(made):
        return made
    with tempfile.TemporaryDirectory() as top:
        archive = subprocess.Popen(["git", "-C", repository(name), "archive", "--format=tar", commit], stdout=subprocess.PIPE)
        with tarfile.open(fileobj=archive.stdout, mode="r|") as files:
            files.extractall(top, filter="data")
        leave_tests(os.path.join(top, "Cargo.toml"))
        done = subprocess.run(["cargo", "build", "-q", "--release", "--target", "wasm32-wasip1"], cwd=top, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise NotTried(f"{name} at {commit} cannot be built: {done.stderr.strip()[-1000:]}")
        os.makedirs(os.path.dirname(made), exist_ok=True)
        shutil.copy(os.path.join(top, "target/wasm32-wasip1/release", file), made)
    return made


@contextlib.contextmanager
def fileserver(folder, cache, repository):
    """For `provide` of a row whose component is a release of spin-fileserver."""
    name, commit = FILESERVER
    path = os.path.join(folder, "spin.toml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for file in re.findall(RELEASE % re.escape(name), text):
        shutil.copy(built(name, commit, file, cache, repository), os.path.join(folder, file))
    with open(path, "w", encoding="utf-8") as out:
        out.write(re.sub(RELEASE % re.escape(name), r'source = "\1"', text))
    yield {}
