public import Vitals

// MARK: Frames (R2)

extension Transaction {
    private static let columns = """
        id, device, transfer, received, received_offset, monotonic, boot, clock, word, sealed, error
        """

    /// Stores what arrived as it arrived.
    /// - Parameters:
    ///   - decodeError: the decoder's own code where it could not be decoded.
    ///   - base: of the identity, where it is known already; ``insertAct(_:)`` and
    ///     ``recordSuppressed(frame:device:identity:act:at:)-(Int64,_,_,_,_)`` set it for their frame.
    public func insertFrame(
        _ frame: Frame, device: Int64, transfer: Int64, word: FrameRecord.Word, decodeError: String? = nil, base: [UInt8]? = nil
    ) throws(JournalError) -> Int64 {
        let id = try nextID("frame")
        let clock = frame.received
        let error: [UInt8]? = if let decodeError { try seal(decodeError, "frame", "error", row: id) } else { nil }
        try run(
            """
            INSERT INTO frame (id, device, transfer, received, received_offset, monotonic, boot, clock, word, decoded, base,
                sealed, error)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                id, device, transfer, clock.wall.milliseconds, clock.offsetMinutes, clock.monotonic.milliseconds, try boot(clock),
                clock.source.rawValue, word.rawValue, decodeError == nil, base.map(blindBase), try sealed(frame, id), error,
            ])
        change { tally in
            tally.frames += 1
            if decodeError != nil { tally.undecoded += 1 }
        }
        return id
    }

    public func setBase(_ base: [UInt8], frame: Int64) throws(JournalError) {
        try run("UPDATE frame SET base = ? WHERE id = ?", [blindBase(base), frame])
    }

    public func setWord(_ word: FrameRecord.Word, frame: Int64) throws(JournalError) {
        try run("UPDATE frame SET word = ? WHERE id = ?", [word.rawValue, frame])
    }

    /// Marks a frame as one that cannot be decoded (with the decoder's code), or as decoded.
    public func setDecodeError(_ error: String?, frame id: Int64) throws(JournalError) {
        let before = try first("SELECT decoded FROM frame WHERE id = ?", [id]) { row throws(JournalError) in row.bool(0) }
        guard let wasDecoded = before else { return }
        let sealed: [UInt8]? = if let error { try seal(error, "frame", "error", row: id) } else { nil }
        try run("UPDATE frame SET decoded = ?, error = ? WHERE id = ?", [error == nil, sealed, id])
        change { $0.undecoded += (wasDecoded ? 0 : -1) + (error == nil ? 0 : 1) }
    }

    public func frame(id: Int64) throws(JournalError) -> FrameRecord? {
        try first("SELECT \(Self.columns) FROM frame WHERE id = ?", [id], frame)
    }

    /// The last frame stored of a device that is a record with an identity, in whichever transfer.
    public func lastFrame(device: Int64) throws(JournalError) -> FrameRecord? {
        try first(
            "SELECT \(Self.columns) FROM frame WHERE device = ? AND base IS NOT NULL ORDER BY id DESC LIMIT 1", [device], frame)
    }

    public func undecodedFrames(after id: Int64 = 0, limit: Int) throws(JournalError) -> [FrameRecord] {
        try all("SELECT \(Self.columns) FROM frame WHERE decoded = 0 AND id > ? ORDER BY id LIMIT ?", [id, limit], frame)
    }

    /// Takes away the frames of an ended transfer that only repeated what was there: they are counted as suppressed, and a
    /// device that sends its whole memory on every connect must not fill the disk. The device's last frame stays: what comes
    /// next is compared with it.
    public func dropRepeatedFrames(transfer: Int64) throws(JournalError) {
        try deleteFrames(
            where: """
                transfer = ? AND base IS NOT NULL AND decoded = 1 AND NOT EXISTS (SELECT 1 FROM act WHERE act.frame = frame.id)
                AND \(Self.isNotLast)
                """, [transfer])
    }

    /// A record of the device came after the frame: no repeat will be compared with this one (R3).
    static let isNotLast = """
        id < (SELECT max(id) FROM frame AS later WHERE later.device = frame.device AND later.base IS NOT NULL)
        """

    /// - Parameter condition: one that an index serves.
    func deleteFrames(where condition: String, _ values: [any SQLBindable]) throws(JournalError) {
        let decoded = try all("SELECT decoded FROM frame WHERE " + condition, values) { row throws(JournalError) in row.bool(0) }
        guard !decoded.isEmpty else { return }
        try run("DELETE FROM frame WHERE " + condition, values)
        change { tally in
            tally.frames -= decoded.count
            tally.undecoded -= decoded.count { !$0 }
        }
    }

    func blindBase(_ base: [UInt8]) -> [UInt8] { store.sealer.blind("base", base) }

    // The source stands before the frame's own bytes, kind first: 1 (GATT), characteristic, attribute handle; 2 (a maker's serial
    // protocol), length of the format's name, the name.
    private func sealed(_ frame: Frame, _ id: Int64) throws(JournalError) -> [UInt8] {
        let head: [UInt8] =
            switch frame.source {
            case .gatt(let characteristic, let handle):
                [1, UInt8(characteristic >> 8), UInt8(characteristic & 0xFF), UInt8(handle >> 8), UInt8(handle & 0xFF)]
            case .vendor(let format): [2, UInt8(clamping: format.utf8.count)] + format.utf8.prefix(Int(UInt8.max))
            }
        return try store.sealer.seal(head + frame.bytes, "frame", "sealed", row: id)
    }

    /// What ``sealed(_:_:)`` put together; `nil` where it is none.
    private func source(_ sealed: [UInt8]) -> (source: Frame.Source, bytes: [UInt8])? {
        switch sealed.first {
        case 1 where sealed.count >= 5:
            let source = Frame.Source.gatt(
                characteristic: UInt16(sealed[1]) << 8 | UInt16(sealed[2]), handle: UInt16(sealed[3]) << 8 | UInt16(sealed[4]))
            return (source, Array(sealed[5...]))
        case 2 where sealed.count >= 2 && sealed.count - 2 >= Int(sealed[1]):
            let end = 2 + Int(sealed[1])
            return (.vendor(format: String(decoding: sealed[2..<end], as: UTF8.self)), Array(sealed[end...]))
        default: return nil
        }
    }

    private func frame(_ row: Row) throws(JournalError) -> FrameRecord {
        let id = row.integer(0)
        let opened = source(try store.sealer.open(row.blob(9), "frame", "sealed", row: id))
        guard let (source, bytes) = opened, let word = FrameRecord.Word(rawValue: row.text(8)) else {
            throw unreadable("frame", "sealed", id)
        }
        let error: String? = if let sealed = row.optionalBlob(10) { try openText(sealed, "frame", "error", row: id) } else { nil }
        return FrameRecord(
            id: id, device: row.integer(1), transfer: row.integer(2),
            frame: Frame(
                source: source, bytes: bytes,
                received: try clockReading(row, wall: 3, offset: 4, monotonic: 5, boot: 6, source: 7)),
            word: word, decodeError: error)
    }
}
