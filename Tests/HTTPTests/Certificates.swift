import Glibc
import HTTP
import Synchronization

/// Removed at the end of the run.
private let used = Mutex("")

/// Keys and certificates for the tests, made by openssl once a run, in a directory of their own.
struct Certificates: Sendable {
    let directory: String

    func path(_ name: String) -> String { "\(directory)/\(name).pem" }
    func key(_ name: String) -> String { "\(directory)/\(name).key" }
    func bytes(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "r") else { throw Program.Failed(what: path) }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    func identity(_ name: String) -> HTTPClientSettings.Identity {
        .init(certificate: .file(path(name)), key: .file(key(name)))
    }

    func tls(_ name: String, _ more: String = "") -> String {
        #"{"mode": "http", "tls": {"cert": "\#(path(name))", "key": "\#(key(name))"\#(more)}}"#
    }

    static let made = Task {
        var template = Array("/tmp/vitalgate-http-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Program.Failed(what: "mkdtemp") }
        let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        used.withLock { $0 = directory }
        atexit { _ = system("rm -rf '\(used.withLock { $0 })'") }
        let code = try await Program.run(["sh", "-c", script, "sh", directory])
        guard code == 0 else { throw Program.Failed(what: "openssl") }
        return Certificates(directory: directory)
    }

    private static let script = #"""
        set -e
        cd "$1"
        authority() {
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.pem -days 30 \
                -subj "/CN=$1" -addext basicConstraints=critical,CA:true 2>/dev/null
        }
        leaf() { # name authority days san
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj "/CN=$1" 2>/dev/null
            printf 'subjectAltName=%s\n' "$4" > $1.ext
            openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days $3 -extfile $1.ext -out $1.pem 2>/dev/null
        }
        authority authority
        authority stranger
        leaf server authority 30 DNS:localhost,IP:127.0.0.1
        leaf elsewhere authority 30 DNS:elsewhere.example
        leaf expired authority -1 DNS:localhost
        leaf unknown stranger 30 DNS:localhost
        leaf client authority 30 DNS:hub.example
        leaf intruder stranger 30 DNS:hub.example
        """#
}
