/// An absolute `http` or `https` URL as far as a configuration needs it.
struct WebAddress: Hashable {
    struct Fault: Error { var why: String }

    /// `http` or `https`.
    let scheme: String
    /// Without brackets.
    let host: String
    let port: Int?
    /// With its slash, without one at the end; empty for the root.
    let path: String
    /// The whole, without a slash at its end.
    let text: String

    init(_ text: String) throws(Fault) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Fault(why: "a URL has no spaces and no letters beyond ASCII")
        }
        guard let colon = text.firstRange(of: "://") else { throw Fault(why: "no URL: it does not begin with https://") }
        scheme = text[..<colon.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { throw Fault(why: "the scheme is neither https nor http") }
        let rest = text[colon.upperBound...]
        guard !rest.contains("?"), !rest.contains("#") else { throw Fault(why: "a base has no query and no fragment") }
        let authority = rest.prefix { $0 != "/" }
        // A name and password in a URL end up in logs.
        guard !authority.contains("@") else { throw Fault(why: "a URL here carries no user or password") }

        var port: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { throw Fault(why: "the address in brackets has no end") }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let tail = authority[authority.index(after: end)...]
            if !tail.isEmpty {
                guard tail.first == ":" else { throw Fault(why: "after the address in brackets comes only a port") }
                port = tail.dropFirst()
            }
        } else if let mark = authority.firstIndex(of: ":") {
            host = String(authority[..<mark])
            port = authority[authority.index(after: mark)...]
        } else {
            host = String(authority)
        }
        guard !host.isEmpty else { throw Fault(why: "the host is missing") }
        if let port {
            guard port.utf8.allSatisfy(\.isDigit), let number = Int(port), (1...65_535).contains(number) else {
                throw Fault(why: "the port is no number of 1 to 65535")
            }
            self.port = number
        } else {
            self.port = nil
        }
        var path = rest.dropFirst(authority.count)
        while path.last == "/" { path = path.dropLast() }
        self.path = String(path)
        self.text = scheme + "://" + authority + path
    }

    /// A literal address of this machine; `localhost` is a name, which a resolver may send elsewhere.
    var isLoopback: Bool {
        if host == "::1" { return true }
        let fields = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return fields.count == 4 && !fields.contains(nil) && fields[0] == 127
    }
}
