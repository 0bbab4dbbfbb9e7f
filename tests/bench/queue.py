#!/usr/bin/env python3
"""How fast does sealpost queue a message, hand one to its service, and drain a queue, beside other programs in the same run?

    SEALPOST=target/release/sealpost BENCH=.../run.py tests/bench/queue.py [--n 1000] [--peers floor,sealpost,nullmailer]

BENCH is the side-by-side benchmark of mail submission clients, set up already (its setup.sh): its smarthost, its peers and its way to
measure are used, and its table gets a row more. Runs as root.

ext4 does not give away the inode of a file that was deleted within the last minutes, and looks at all such inodes whenever a file is
made beside them. So whoever is measured after another one pays for what that one deleted, up to twice its own time. Here each gets
directories among inodes that nobody has used (chattr +T).
"""
import os, sys

BENCH = os.environ.get("BENCH") or sys.exit(__doc__)
source = open(BENCH).read().rstrip()
assert source.endswith("\nmain()"), "this is not the benchmark that is meant"
exec(compile(source[: -len("main()")].replace("Path(__file__)", f"Path({BENCH!r})"), BENCH, "exec"), globals())

# As it is installed, like the peers: what a linker has written page by page is mapped in smaller pieces, which costs 0.1 ms a start.
BINARY = str(STATE / "sealpost")
shutil.copy(os.environ.get("SEALPOST") or sys.exit(__doc__), BINARY)


def fresh(name):
    """A directory of its own among inodes of its own."""
    top = STATE / "fresh"
    top.mkdir(exist_ok=True)
    subprocess.run(["chattr", "+T", str(top)], check=False)
    place = top / f"{name}-{time.time_ns()}"
    place.mkdir(mode=0o700)
    return place


def configuration(place, port):
    (place / "pass").write_text(BPASS)
    (place / "pass").chmod(0o600)
    conf = place / "config.toml"
    conf.write_text(f'''mail_domain = "client.test"
aliases = ""
[log]
file = "{place}/log.jsonl"
syslog = false
[queue]
mode = "always"
dir = "{place}/spool"
[serve]
socket = "{place}/socket"
[accounts.bench]
host = "localhost"
port = {port}
from = "me@client.test"
[accounts.bench.tls]
policy = "required"
start = "starttls"
ca_file = "{STATE}/pki/ca.pem"
[accounts.bench.auth]
user = "{BUSER}"
mechanism = "PLAIN"
password_file = "{place}/pass"
''')
    conf.chmod(0o600)
    return conf


class FreshFloorQ(FloorQ):
    def __init__(self):
        super().__init__()
        self.d = fresh("floor")


class SealpostQ(Queued):
    name = "sealpost"
    def __init__(self):
        self.env = {}
        self.place = fresh("sealpost")
        self.conf = configuration(self.place, 2587)
    def argv(self, r): return [BINARY, "sendmail", "-C", self.conf, "-odq", "-i", "-f", "me@client.test", r]
    def queued(self):
        queue = self.place / "spool/queue"
        return sum(1 for _ in queue.iterdir()) if queue.exists() else 0
    def drain(self): meas([BINARY, "sendmail", "-C", self.conf, "-q"], "-t", 200)


QUEUES.update(floor=FreshFloorQ, sealpost=SealpostQ)


def bursts(args):
    """Through the service: one after the other, 50 processes and 50 connections at a time, beside nullmailer's one after the other.

    Where each message is a process of its own most of the time goes into starting processes; what the service can take is what
    Postfix's smtp-source is told, which speaks on 50 connections at a time.
    """
    msg = message(2048)
    place = fresh("service")
    # Nobody listens there: what is measured is how long the caller waits.
    conf = configuration(place, 1)
    env = {"SEALPOST_SOCKET": str(place / "socket")}
    argv = [BINARY, "sendmail", "-i", "-f", "me@client.test", "a@sink.test"]
    service = subprocess.Popen([BINARY, "serve", "-C", str(conf)])
    rows = []
    try:
        assert wait_until((place / "socket").exists, 5) is not None, "the service does not listen"
        one = meas(argv, "-i", msg, "-r", args.n, env=env)
        walls = []
        for _ in range(20):
            many = meas(argv, "-i", msg, "-p", 50, env=env)
            assert many["ok"] == 50, many
            walls.append(many["wall_ms"])
        rows.append(["one after the other", f"{1000 * args.n / one['wall_ms']:.0f}", f"{one['p50_ms']:.2f}"])
        rows.append(["50 processes at once, median of 20", f"{50_000 / med(walls):.0f}", f"{med(walls):.1f} for all"])
        rows.append(["50 processes at once, best of 20", f"{50_000 / min(walls):.0f}", f"{min(walls):.1f} for all"])
        for kept, name in ([], "50 connections at once, one for each message"), (["-d"], "50 connections at once, kept"):
            source = ["smtp-source", *kept, "-s", 50, "-m", args.n, "-l", 2048, "-f", "me@client.test", "-t", "a@sink.test"]
            walls = []
            for _ in range(5):
                told = meas([*source, f"unix:{place}/socket"])
                assert told["ok"] == 1, told
                walls.append(told["wall_ms"])
            rows.append([f"{name}, median of 5", f"{1000 * args.n / med(walls):.0f}", f"{med(walls):.1f} for all"])
    finally:
        service.terminate()
        service.wait()
    try:
        peer = NullmailerQ()
        one = meas(peer.argv("a@sink.test"), "-i", msg, "-r", 200, env=peer.env)
        rows.append(["nullmailer, one after the other", f"{200_000 / one['wall_ms']:.0f}", f"{one['p50_ms']:.2f}"])
        peer.stop()
    except NA as e:
        rows.append(["nullmailer", "n/a", str(e)])
    print("\n### through sealpost's service, 2 KiB each\n")
    table(["", "messages/s", "ms"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="floor,sealpost,nullmailer,dma,postfix,exim4")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=20, help="seconds that a drain may take")
    parser.add_argument("--copies", type=int, default=20)
    wanted = parser.parse_args()
    cmd_queue(wanted)
    bursts(wanted)
