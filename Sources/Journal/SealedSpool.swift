import Crypto
public import EventLoop
import Glibc

/// A file of sealed blocks beside the database, for bytes that come by the kilobyte and are soon thrown away (R8).
///
/// Design constraints: nothing in it stands in the clear; it delays no commit (R1), so its blocks of some 64 kB are written on a loop that
/// is not the journal's, and without fsync: a write to a slow card may block for longer than the 20 ms that a commit may wait. A power
/// cut loses its last blocks, which is right for a technician's capture and for nothing else.
///
/// Format, numbers big-endian: `VGSPOOL1`; length (4) and the spool's own key, sealed by the journal as `spool.NAME` of row 0; then blocks:
/// length (4), nonce (12), ciphertext, tag (16). AES-256-GCM under the spool's key with the associated data `NAME.OFFSET`, the block's offset
/// in the file: a block opens only where it was written. The first byte of a block's plaintext is its kind, which the caller gives.
///
/// The journal's data keys never leave its actor. Wiping the journal's keys leaves nobody who could open the spool's.
public enum SealedSpool {
    static let magic = Array("VGSPOOL1".utf8)
    /// Key 32, and what ``Sealer`` adds: 33 bytes; room for a later format.
    static let mostHeader = 256
    /// Nonce and tag.
    static let overhead = 28
    /// A block's plaintext: more than anybody writes at once; a bound against a damaged length.
    static let mostBlock = 1 << 20

    static func path(_ name: String, beside database: String) -> String {
        FileSystem.directory(of: database) + "/\(name).sealed"
    }

    static func place(_ name: String, _ offset: Int) -> [UInt8] { Array("\(name).\(offset)".utf8) }

    static func bigEndian(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } }

    /// One block and where the next begins.
    public struct Block: Sendable {
        public var kind: UInt8
        public var bytes: [UInt8]
        public var next: Int
    }
}

/// The writing end of a ``SealedSpool``, on the loop that it was given.
public actor SpoolWriter {
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private nonisolated let loop: EventLoop
    private let name: String
    private let path: String
    private let key: SymmetricKey
    private let limit: Int
    private var descriptor: Int32
    /// Bytes of the file.
    public private(set) var count: Int

    init(name: String, path: String, key: [UInt8], descriptor: Int32, count: Int, limit: Int, loop: EventLoop) {
        self.loop = loop
        self.name = name
        self.path = path
        self.key = SymmetricKey(data: key)
        self.descriptor = descriptor
        self.count = count
        self.limit = limit
    }

    /// Adds a block.
    ///
    /// - Parameter isLast: may go beyond the limit, for a closing word of a few bytes.
    /// - Returns: `false` where it would make the file longer than the spool may be; nothing was written then.
    public func append(kind: UInt8, _ bytes: [UInt8], isLast: Bool = false) throws(JournalError) -> Bool {
        guard descriptor >= 0 else { throw .closed }
        guard isLast || count + 4 + 1 + bytes.count + SealedSpool.overhead <= limit else { return false }
        let sealed: [UInt8]
        do {
            let box = try AES.GCM.seal([kind] + bytes, using: key, authenticating: SealedSpool.place(name, count))
            sealed = Array(box.nonce) + box.ciphertext + box.tag
        } catch {
            throw .fault("sealing a block of \(name) failed")
        }
        try write(SealedSpool.bigEndian(sealed.count) + sealed)
        return true
    }

    private func write(_ bytes: [UInt8]) throws(JournalError) {
        var written = 0
        while written < bytes.count {
            let done = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written, off_t(count + written))
            }
            if done < 0, errno == EINTR { continue }
            guard done > 0 else {
                let code = errno
                // Half a block would hide what comes after it.
                ftruncate(descriptor, off_t(count))
                if code == ENOSPC || code == EDQUOT { throw .full(path: path) }
                throw .notWritable(path: path)
            }
            written += done
        }
        count += bytes.count
    }

    public func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }
}

/// The reading end of a ``SealedSpool``.
public struct SpoolReader: Sendable {
    let name: String
    let path: String
    let key: SymmetricKey
    /// Where the first block begins.
    public let start: Int

    /// Bytes of the file.
    public var count: Int { FileSystem.size(path) }

    /// The block at an offset; `nil` at the end, and where a power cut left half of one.
    ///
    /// - Throws: ``JournalError/sealBroken(table:column:row:)`` where the block was altered, or does not begin there.
    public func block(at offset: Int) throws(JournalError) -> SealedSpool.Block? {
        guard offset >= start, let head = try read(4, at: offset), head.count == 4 else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        // A file system that lost its last blocks may give zeros for them.
        guard length != 0 else { return nil }
        guard length > SealedSpool.overhead, length <= SealedSpool.overhead + 1 + SealedSpool.mostBlock else {
            throw broken(offset)
        }
        guard let sealed = try read(length, at: offset + 4), sealed.count == length else { return nil }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed)
            let plain = try AES.GCM.open(box, using: key, authenticating: SealedSpool.place(name, offset))
            guard let kind = plain.first else { throw broken(offset) }
            return SealedSpool.Block(kind: kind, bytes: Array(plain.dropFirst()), next: offset + 4 + length)
        } catch {
            throw broken(offset)
        }
    }

    private func broken(_ offset: Int) -> JournalError {
        .sealBroken(table: "spool", column: name, row: Int64(offset))
    }

    /// - Returns: fewer bytes at the end of the file, `nil` where there is no file.
    private func read(_ count: Int, at offset: Int) throws(JournalError) -> [UInt8]? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + done }, count - done, off_t(offset + done))
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw .notWritable(path: path) }
            if got == 0 { break }
            done += got
        }
        return Array(bytes.prefix(done))
    }
}

extension Journal {
    /// Begins a spool anew; what was there under its name is gone.
    ///
    /// - Parameters:
    ///   - name: of the file too; `[a-z-]`.
    ///   - limit: bytes that the file may have.
    ///   - loop: where the blocks are written: none on which a device waits.
    public func makeSpool(_ name: String, limit: Int, on loop: EventLoop) throws(JournalError) -> SpoolWriter {
        let key = FileSystem.randomBytes(32)
        let sealed = try sealSpoolKey(key, name)
        let path = SealedSpool.path(name, beside: databasePath)
        unlink(path)
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .notWritable(path: path) }
        let head = SealedSpool.magic + SealedSpool.bigEndian(sealed.count) + sealed
        guard pwrite(descriptor, head, head.count, 0) == head.count else {
            let code = errno
            Glibc.close(descriptor)
            unlink(path)
            throw code == ENOSPC || code == EDQUOT ? .full(path: path) : .notWritable(path: path)
        }
        return SpoolWriter(
            name: name, path: path, key: key, descriptor: descriptor, count: head.count, limit: limit, loop: loop)
    }

    /// `nil` where there is none.
    ///
    /// - Throws: where its key does not open: it is another journal's, damaged, or the journal's keys were wiped.
    public func spool(_ name: String) throws(JournalError) -> SpoolReader? {
        guard let (sealed, start) = try spoolHead(name) else { return nil }
        let key = try openSpoolKey(sealed, name)
        return SpoolReader(
            name: name, path: SealedSpool.path(name, beside: databasePath), key: SymmetricKey(data: key), start: start)
    }

    /// Continues a spool that a restart interrupted, behind its last whole block.
    ///
    /// - Parameter count: where that block ends.
    public func continueSpool(_ name: String, at count: Int, limit: Int, on loop: EventLoop) throws(JournalError) -> SpoolWriter?
    {
        guard let (sealed, _) = try spoolHead(name) else { return nil }
        let key = try openSpoolKey(sealed, name)
        let path = SealedSpool.path(name, beside: databasePath)
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        guard ftruncate(descriptor, off_t(count)) == 0 else {
            Glibc.close(descriptor)
            throw .notWritable(path: path)
        }
        return SpoolWriter(
            name: name, path: path, key: key, descriptor: descriptor, count: count, limit: limit, loop: loop)
    }

    /// Its key is overwritten first. A flash card may keep old blocks of both behind the file system's back: then the journal's key, which
    /// seals the spool's, is what still protects them.
    public func deleteSpool(_ name: String) {
        let path = SealedSpool.path(name, beside: databasePath)
        let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            unlink(path)
            return
        }
        let zeros = [UInt8](repeating: 0, count: SealedSpool.magic.count + 4 + SealedSpool.mostHeader)
        _ = pwrite(descriptor, zeros, zeros.count, 0)
        Glibc.close(descriptor)
        unlink(path)
    }

    public func hasSpool(_ name: String) -> Bool { FileSystem.exists(SealedSpool.path(name, beside: databasePath)) }

    private func spoolHead(_ name: String) throws(JournalError) -> (sealed: [UInt8], start: Int)? {
        let path = SealedSpool.path(name, beside: databasePath)
        let most = SealedSpool.magic.count + 4 + SealedSpool.mostHeader
        guard let head = try FileSystem.read(path, atMost: most) else { return nil }
        let broken = JournalError.sealBroken(table: "spool", column: name, row: 0)
        let begin = SealedSpool.magic.count + 4
        guard head.count > begin, Array(head.prefix(SealedSpool.magic.count)) == SealedSpool.magic else { throw broken }
        let length = head[SealedSpool.magic.count..<begin].reduce(0) { $0 << 8 | Int($1) }
        guard length > 0, length <= SealedSpool.mostHeader, head.count >= begin + length else { throw broken }
        return (Array(head[begin..<begin + length]), begin + length)
    }
}
