# ruff: noqa: F821
import socket


def connected(family, kind, address):
    with socket.socket(family, kind) as one:
        one.connect(address)
        return one.send(b"evil")


def listening(family, address):
    with socket.socket(family) as one:
        one.bind(address)
        one.listen()
        return address


def datagram(address):
    # A socketpair needs no socket(), and this kind can be sent from to any address.
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"evil", address)


def raw_pair(address):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)
    return one.sendto(b"evil", address)


def stream_elsewhere(address):
    one, _ = socket.socketpair()
    return one.sendto(b"evil", address)


def reconnected(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.close()
    one.connect(address)
    return one.send(b"evil")


tcp, udp = ("127.0.0.1", facts["port"]), ("127.0.0.1", facts["udp_port"])
path, abstract = facts["unix"], "\0" + facts["abstract"]
attempt("tcp", connected, socket.AF_INET, socket.SOCK_STREAM, tcp)
attempt("tcp6", connected, socket.AF_INET6, socket.SOCK_STREAM, ("::1", facts["port"]))
attempt("udp", connected, socket.AF_INET, socket.SOCK_DGRAM, udp)
attempt("tcp server", listening, socket.AF_INET, ("127.0.0.1", 0))
attempt("unix", connected, socket.AF_UNIX, socket.SOCK_DGRAM, path)
attempt("abstract", connected, socket.AF_UNIX, socket.SOCK_DGRAM, abstract)
attempt("abstract server", listening, socket.AF_UNIX, "\0r1-evil")
attempt("netlink", socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0)
attempt("packet", socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
attempt("raw", socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)
attempt("vsock", socket.socket, 40, socket.SOCK_STREAM)
attempt("crypto", socket.socket, 38, socket.SOCK_SEQPACKET)
for name, address in (("path", path), ("abstract", abstract)):
    attempt(f"datagram to {name}", datagram, address)
    attempt(f"raw pair to {name}", raw_pair, address)
    attempt(f"stream to {name}", stream_elsewhere, address)
    attempt(f"reconnected to {name}", reconnected, address)
one, other = socket.socketpair()
one.send(b"x")
assert other.recv(1) == b"x", "a pair of its own is allowed: asyncio needs one"
