/// A server that behaves badly on request, in Python because TLS with old versions and client certificates is at hand there.
///
/// One JSON argument: `mode` (`http`, `mute`, `proxy`), `tls` (`cert`, `key`, `maximum`, `clients`), `unix`, `password`,
/// `refuse`. It prints `PORT n` first, then one line for each complete request: `REQUEST method path bytes`, and `CONNECTION` for
/// each accept. What a path does: see `answer`.
let serverScript = #"""
    import base64, json, os, socket, ssl, struct, sys, threading, time

    options = json.loads(sys.argv[1])
    lock = threading.Lock()

    def say(text):
        with lock:
            os.write(1, (text + "\n").encode())

    def reset(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    def head_of(sock):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return None, b""
            data += piece
            if data[0] < 0x20:
                sock.sendall(b"HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n")
                return None, b""
        head, rest = data.split(b"\r\n\r\n", 1)
        return head.decode("latin-1"), rest

    def serve(sock, raw):
        count = 0
        while True:
            head, rest = head_of(sock)
            if head is None:
                return
            lines = head.split("\r\n")
            method, path, _ = lines[0].split(" ")
            headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
            if path == "/cut-in-body":
                return
            length = int(headers.get("content-length", "0"))
            while len(rest) < length:
                piece = sock.recv(65536)
                if not piece:
                    return
                rest += piece
            count += 1
            say(f"REQUEST {method} {path} {len(rest)}")
            if not answer(sock, raw, method, path, headers, rest, count):
                return

    def reply(sock, status, body=b"", extra=""):
        sock.sendall(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode() + body)
        return True

    def answer(sock, raw, method, path, headers, body, count):
        if path == "/ok":
            return reply(sock, 200, b"hello", "X-Answer:  a b \r\nEmpty:\r\n")
        if path == "/echo":
            return reply(sock, 200, json.dumps({"method": method, "headers": headers, "body": body.decode()}).encode())
        if path.startswith("/status/"):
            return reply(sock, path.split("/")[2], b"{}")
        if path == "/interim":
            sock.sendall(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n")
            return reply(sock, 200, b"final")
        if path == "/redirect":
            return reply(sock, 302, b"", "location: /ok\r\n")
        if path == "/hang":
            time.sleep(60)
        if path == "/cut":
            return False
        if path == "/reset":
            reset(raw)
            return False
        if path == "/cut-in-head":
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-le")
            return False
        if path == "/partial":
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
            return False
        if path == "/second-is-cut":
            if count > 1:
                return False
            return reply(sock, 200, b"first")
        if path == "/big":
            return reply(sock, 200, b"x" * 100000)
        if path == "/big-chunked":
            sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(100):
                sock.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            sock.sendall(b"0\r\n\r\n")
            return True
        if path == "/garbage":
            sock.sendall(b"this is not HTTP\r\n\r\n")
            return False
        if path == "/events":
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
            for index in range(3):
                sock.sendall(b"2\r\n%d\n\r\n" % index)
                time.sleep(0.05)
            sock.sendall(b"0\r\n\r\n")
            return True
        if path == "/events-for-ever":
            sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                sock.sendall(b"2\r\n.\n\r\n")
                time.sleep(0.02)
        return reply(sock, 404)

    def pump(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def proxy(sock):
        head, _ = head_of(sock)
        if head is None:
            return
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        say(f"REQUEST {method} {target} 0")
        if "refuse" in options:
            return reply(sock, options["refuse"])
        if "password" in options:
            wanted = "Basic " + base64.b64encode(options["password"].encode()).decode()
            if headers.get("proxy-authorization") != wanted:
                return reply(sock, 407, b"", "proxy-authenticate: Basic realm=x\r\n")
        host, port = target.rsplit(":", 1)
        there = socket.create_connection(("127.0.0.1", int(port)))
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=pump, args=(there, sock), daemon=True).start()
        pump(sock, there)

    context = None
    if "tls" in options:
        tls = options["tls"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls["cert"], tls["key"])
        if tls.get("maximum") == "1.1":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        if tls.get("maximum") == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if "clients" in tls:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls["clients"])

    def handle(sock):
        say("CONNECTION")
        try:
            if options.get("mode") == "mute":
                time.sleep(60)
            raw = sock
            if context:
                sock = context.wrap_socket(sock, server_side=True)
            if options.get("mode") == "proxy":
                proxy(sock)
            else:
                serve(sock, raw)
        except (OSError, ValueError):
            pass
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    if "unix" in options:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(options["unix"])
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    say("PORT " + ("0" if "unix" in options else str(listener.getsockname()[1])))
    # The test holds the other end: when it is gone, so are we.
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    while True:
        threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True).start()
    """#
