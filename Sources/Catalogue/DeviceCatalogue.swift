import Glibc
public import Vitals

/// The device models that the hub knows.
public struct DeviceCatalogue: Hashable, Sendable {
    /// By their id.
    public private(set) var models: [Model]

    public init(_ models: [Model]) { self.models = models.sorted { $0.id < $1.id } }

    public subscript(id: String) -> Model? { models.first { $0.id == id } }

    /// The entries that are compiled in, with those of a directory in their place where the id is equal, and beside them otherwise.
    ///
    /// The program is a single file that works without an installation, so the entries of `devices/` are in it; a test holds the
    /// copy against the files.
    ///
    /// - Parameter directory: every `*.toml` in it is an entry. `nil` for the compiled-in ones alone.
    /// - Throws: every problem of every entry; a directory that cannot be read is one.
    public static func load(directory: String? = nil) throws(Problems) -> DeviceCatalogue {
        var problems: [Problem] = []
        var models: [String: Model] = [:]
        func add(_ text: [UInt8], _ id: String, _ file: String) {
            do throws(Problems) {
                models[id] = try Model(toml: text, id: id, file: file)
            } catch {
                problems += error.all
            }
        }
        for entry in BuiltInEntry.all { add(Array(entry.text.utf8), entry.id, "devices/\(entry.id).toml") }
        if let directory {
            guard let names = Directory.names(in: directory) else {
                throw Problems([
                    .unreadable(directory, remedy: "Create the directory, make it readable for the service, or name another.")
                ])
            }
            for name in names where name.hasSuffix(".toml") {
                let file = directory + "/" + name
                if let text = TextFile.bytes(of: file) {
                    add(text, String(name.dropLast(5)), file)
                } else {
                    problems.append(.unreadable(file, remedy: "Make the file readable for the service, or remove it."))
                }
            }
        }
        guard problems.isEmpty else { throw Problems(problems) }
        return DeviceCatalogue(Array(models.values))
    }

    /// The model of a device, the most specific entry first: by the model number that it states, then by the name that it
    /// advertises (the longest matching prefix), then by its maker, then by a service that it offers.
    ///
    /// - Parameters:
    ///   - advertisedName: the local name, where known.
    ///   - services: 16-bit UUIDs that it advertises or was found to offer.
    ///   - manufacturerCompany: the company identifier of its manufacturer-specific data, where it advertises any.
    ///   - identity: what it says of itself, once read.
    public func model(
        matching advertisedName: String?, services: [UInt16], manufacturerCompany: UInt16? = nil, identity: DeviceIdentity? = nil
    ) -> Model? {
        let ranked = models.compactMap { model in
            model.match.rank(name: advertisedName, services: services, company: manufacturerCompany, identity: identity)
                .map { (rank: $0, model: model) }
        }
        // `models` is sorted by id, so equal ranks are decided the same way on every hub.
        return ranked.reduce(nil) { best, next -> (rank: Model.Match.Rank, model: Model)? in
            guard let best else { return next }
            return best.rank < next.rank ? next : best
        }?.model
    }
}

extension Model.Match {
    /// How well an entry fits; ordered.
    struct Rank: Comparable {
        var level: Int
        /// Within a level: the longer text is the more specific.
        var length: Int
        /// Between equal prefixes: the one whose maker's company the device advertises too. It breaks ties only: many devices
        /// advertise nothing of their maker, or that of the radio module's.
        var isOfCompany = false
        static func < (left: Rank, right: Rank) -> Bool {
            (left.level, left.length, left.isOfCompany ? 1 : 0) < (right.level, right.length, right.isOfCompany ? 1 : 0)
        }
    }

    func rank(name: String?, services offered: [UInt16], company: UInt16?, identity: DeviceIdentity?) -> Rank? {
        let isOfCompany = manufacturerCompany != nil && manufacturerCompany == company
        if let model = identity?.modelNumber.map(Self.trimmed), modelNumbers.contains(model),
            manufacturer == nil || identity?.manufacturer == nil || identity?.manufacturer.map(Self.trimmed) == manufacturer
        {
            return Rank(level: 4, length: model.utf8.count)
        }
        if let name, let prefix = namePrefixes.filter({ name.hasPrefix($0) }).map(\.utf8.count).max() {
            return Rank(level: 3, length: prefix, isOfCompany: isOfCompany)
        }
        // An entry for certain models is not for a model of the same maker that it does not name.
        guard namePrefixes.isEmpty, modelNumbers.isEmpty else { return nil }
        let isOffered = services.contains { offered.contains($0) }
        if manufacturer != nil || manufacturerCompany != nil {
            let isOfMaker = manufacturer != nil && identity?.manufacturer.map(Self.trimmed) == manufacturer
            guard isOfMaker || isOfCompany, services.isEmpty || isOffered else { return nil }
            return Rank(level: 2, length: manufacturer?.utf8.count ?? 0)
        }
        return isOffered ? Rank(level: 1, length: 0) : nil
    }

    /// Device Information strings come padded with NUL or space from some devices.
    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while let last = text.last, last == "\0" || last == " " { text = text.dropLast() }
        return String(text)
    }
}

extension Problem {
    static func unreadable(_ file: String, remedy: String) -> Problem {
        Problem(file: file, place: nil, key: nil, why: String(cString: strerror(errno)), remedy: remedy)
    }
}

/// Reading files without Foundation.
enum Directory {
    static func names(in directory: String) -> [String]? {
        guard let stream = opendir(directory) else { return nil }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}

/// A small text file, read whole.
public enum TextFile {
    /// - Parameter limit: in bytes; a longer file is refused.
    /// - Returns: `nil` where it cannot be read, with `errno` set.
    public static func bytes(of path: String, limit: Int = 1 << 20) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                return nil
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else {
                errno = EFBIG
                return nil
            }
        }
    }
}
