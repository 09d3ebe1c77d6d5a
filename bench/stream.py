#!/usr/bin/env python3
"""Long bodies through an echo handler, there and back at the same time, beside nginx as a proxy before an echo server.

Every server is pinned to one core, the client to another; the client compares every byte. The number to read is the
server's CPU time per byte (in each direction the same bytes). nginx's is given alone and together with the server behind
it: mayfly is both, the one that accepts and the one that answers. The server behind nginx answers when it has the whole
body, because nginx stops sending a request when its answer begins; mayfly's handlers answer as it comes.

    stream.py [--mib N] [--rounds N]
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import peers

PROXY = """        location / {
            proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_request_buffering off; proxy_buffering off; client_max_body_size 0; client_body_buffer_size 64k;
            proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
        }
"""
ECHO = os.path.join(peers.BUILD, "bench-echo")
ROUTES = lambda language: os.path.join(peers.ROOT, "examples", f"routes-{language}", "routes.wasm")


def nginx_before(port):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        return None
    folder, own = tempfile.mkdtemp(), peers.free_port()
    text = peers.NGINX % {"folder": folder, "port": own, "body": ""}
    text = text.replace('        location / { return 200 ""; }\n', PROXY % port)
    if os.getuid() != 0:
        text = text.replace("user root;\n", "")
    with open(os.path.join(folder, "nginx.conf"), "w") as file:
        file.write(text)
    version = subprocess.run([program, "-v"], capture_output=True, text=True).stderr.strip().split(": ")[-1]
    return peers.Peer("nginx", [program, "-p", folder, "-c", os.path.join(folder, "nginx.conf")],
                      "proxy_pass, no buffering of requests or answers, 64k buffers", version, folder, own).wait()


def send(port, path, size):
    done = subprocess.run(["taskset", "-c", peers.CLIENT_CORE, ECHO, "send", str(port), path, str(size)],
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"port {port} does not answer {path} with what it was sent: {done.stderr}")
    return float(done.stdout)


def measure(path, size, port, peer_list):
    before = [peer.usage()["cpu_us"] for peer in peer_list]
    seconds = send(port, path, size)
    spent = [peer.usage()["cpu_us"] - b for peer, b in zip(peer_list, before)]
    return {"seconds": seconds, "ns": [us * 1e3 / size for us in spent]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size = options.mib << 20
    echo = peers.Peer("echo", [ECHO, "serve"])
    ways = [("echo server alone", "/", echo, [echo])]
    proxy = nginx_before(echo.port)
    if proxy:
        ways.append(("nginx before it", "/", proxy, [proxy, echo]))
    else:
        print("skipped: nginx is not installed")
    for language in "c", "rust":
        peer = peers.mayfly(f"mayfly routes-{language}", ROUTES(language), "--timeout", "10m", "--cpu-time", "10m")
        ways.append((peer.name, "/echo", peer, [peer]))
    results = {}
    try:
        for name, path, peer, counted in ways:
            send(peer.port, path, 16 << 20)
        for _ in range(options.rounds):
            for name, path, peer, counted in ways:
                results.setdefault(name, []).append(measure(path, size, peer.port, counted))
    finally:
        for _, _, peer, _ in ways:
            peer.stop()
    middle = lambda name, key: statistics.median(key(r) for r in results[name])
    alone = middle("nginx before it", lambda r: r["ns"][0]) if proxy else None
    base = middle("nginx before it", lambda r: sum(r["ns"])) if proxy else None
    rows = [("server", "MiB/s", "CPU ns/byte", ": nginx alone", "with what is behind", ": nginx with that")]
    for name, *_ in ways:
        own, whole = middle(name, lambda r: r["ns"][0]), middle(name, lambda r: sum(r["ns"]))
        rows.append((name, f"{middle(name, lambda r: options.mib / r['seconds']):.0f}", f"{own:.3f}",
                     f"{own / alone:.2f}" if base else "-", f"{whole:.3f}", f"{whole / base:.2f}" if base else "-"))
    peers.table(rows)
    print(f"\n{peers.machine()}; server on core {peers.SERVER_CORE}, client on core {peers.CLIENT_CORE}; {options.mib} MiB "
          f"each way, median of {options.rounds} rounds")
    for _, _, peer, _ in ways:
        print(f"  {peer.name}: {peer.version or 'this tree'}; {peer.options}")


if __name__ == "__main__":
    main()
