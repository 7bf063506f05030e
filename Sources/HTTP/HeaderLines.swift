import HTTPMessage

/// A request's headers in libcurl's form, checked: a value with a line break would be a header of somebody else's making.
struct HeaderLines {
    private(set) var lines: [String] = []

    /// Headers that describe the message's framing are libcurl's to write.
    private static let reserved: Set<String> = ["content-length", "transfer-encoding", "connection", "expect"]

    init(_ request: HTTPRequest) throws(HTTPFailure) {
        var hasType = false
        for header in request.headers {
            let name = header.name.lowercased()
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isTokenByte) else {
                throw HTTPFailure(.other, "a header's name is not a token")
            }
            guard !Self.reserved.contains(name) else { throw HTTPFailure(.other, "the header \(name) is the client's own") }
            guard header.value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }) else {
                throw HTTPFailure(.other, "the value of the header \(name) has a control character")
            }
            if name == "content-type" { hasType = true }
            // libcurl's way to say "empty" and not "leave it out".
            lines.append(header.value.isEmpty ? "\(name);" : "\(name): \(header.value)")
        }
        // "Leave it out": libcurl would call any body a form.
        if !hasType { lines.append("content-type:") }
        // Without it libcurl asks before a body over 1 MiB, and sends twice where the answer is 417.
        lines.append("expect:")
    }

    /// RFC 9110, section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
