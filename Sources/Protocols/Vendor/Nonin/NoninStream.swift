/// The bytes of a serial line, cut into frames and answers.
///
/// Chunks of any size go in; the same bytes give the same items however they were cut. What is neither is skipped, one byte at a time,
/// until something whole begins: ``skipped`` counts it. At most one incomplete packet is kept.
public struct NoninStream: Hashable, Sendable {
    public enum Item: Hashable, Sendable {
        /// A whole frame of the stream's format, its checksum right where it has one.
        case frame([UInt8])
        case reply(NoninReply)
        /// A spot-check whose checksum or end is wrong. Its bytes were looked through again for a packet that begins within.
        case damaged([UInt8])
    }

    public let format: NoninDataFormat
    /// Bytes that belonged to nothing.
    public private(set) var skipped = 0

    private var buffer: [UInt8] = []
    /// What came last belonged to nothing: a single byte may then be of the same, and is not taken for an answer until something
    /// whole has come.
    private var isLost = false

    /// Longer data than that is no packet but bytes that look like the beginning of one. Data are 14 bytes; the maker may append some.
    static let longestData = 64
    /// The serial number has 9 digits, with 3 bytes around them.
    static let longestAnswer = 32

    public init(format: NoninDataFormat) { self.format = format }

    private enum Match {
        /// It may become something.
        case incomplete
        case nothing
        case frame(Int)
        case reply(NoninReply, Int)
        case damaged(Int)
    }

    public mutating func append(_ bytes: some Sequence<UInt8>) -> [Item] {
        buffer += bytes
        var items: [Item] = []
        var position = 0
        scan: while position < buffer.count {
            let rest = buffer[position...]
            switch match(rest) {
            case .incomplete: break scan
            case .nothing:
                // A zero is what a line at rest gives, and what comes in front of a packet.
                isLost = isLost || rest.first != 0
                skipped += 1
                position += 1
            case .frame(let count):
                items.append(.frame(Array(rest.prefix(count))))
                isLost = false
                position += count
            case .reply(let reply, let count):
                items.append(.reply(reply))
                isLost = false
                position += count
            case .damaged(let count):
                items.append(.damaged(Array(rest.prefix(count))))
                isLost = true
                let start = rest.first == 0 ? 2 : 1
                skipped += start
                position += start
            }
        }
        buffer.removeFirst(position)
        return items
    }

    private func match(_ rest: ArraySlice<UInt8>) -> Match {
        let bytes = Peek(rest)
        switch bytes[0] {
        case NoninReply.acknowledge, NoninReply.refuse:
            guard !isLost else { return .nothing }
            return .reply(bytes[0] == NoninReply.acknowledge ? .acknowledged : .refused, 1)
        case 0 where format == .df13:
            guard let next = bytes[1] else { return .incomplete }
            return next == Nonin.startOfText ? spotCheck(bytes, start: 1) : .nothing
        case Nonin.startOfText:
            switch bytes[1] {
            case nil: return .incomplete
            case 0 where format == .df13: return spotCheck(bytes, start: 0)
            case NoninCommand.Code.clock | NoninCommand.Code.answer, NoninCommand.Code.identification | NoninCommand.Code.answer:
                return answer(bytes)
            default: return .nothing
            }
        default: return sample(bytes)
        }
    }

    private func spotCheck(_ bytes: Peek, start: Int) -> Match {
        // Each byte of the head as it comes, so that what is no packet is not waited for.
        for (offset, expected) in [(1, 0x00), (2, 0x0D), (3, 0x00)] as [(Int, UInt8)] {
            guard let byte = bytes[start + offset] else { return .incomplete }
            guard byte == expected else { return .nothing }
        }
        guard let length = bytes[start + 4].map(Int.init) else { return .incomplete }
        guard (NoninSpotCheck.shortestData...Self.longestData).contains(length) else { return .nothing }
        let end = start + 5 + length
        guard let checksum = bytes[end], let last = bytes[end + 1] else { return .incomplete }
        let isWhole = checksum == Nonin.checksum(bytes[start + 5..<end]) && last == Nonin.endOfText
        return isWhole ? .frame(end + 2) : .damaged(end + 2)
    }

    private func answer(_ bytes: Peek) -> Match {
        guard let length = bytes[2].map(Int.init) else { return .incomplete }
        guard length <= Self.longestAnswer else { return .nothing }
        guard bytes[3 + length] != nil else { return .incomplete }
        guard let reply = try? NoninReply(decoding: Array(bytes[0..<4 + length])) else { return .nothing }
        return .reply(reply, 4 + length)
    }

    private func sample(_ bytes: Peek) -> Match {
        switch format {
        case .df13: return .nothing
        case .df8:
            for index in 0..<NoninSample.length {
                guard let byte = bytes[index] else { return .incomplete }
                guard (byte & 0x80 != 0) == (index == 0) else { return .nothing }
            }
            return .frame(NoninSample.length)
        case .df2, .df7:
            for index in 0..<NoninWaveform.framesInPacket {
                let start = index * NoninWaveform.frameLength
                let frame = bytes[start..<start + NoninWaveform.frameLength]
                guard NoninWaveform.problem(in: frame, format: format, isFirst: index == 0) == nil else { return .nothing }
                guard frame.count == NoninWaveform.frameLength else { return .incomplete }
            }
            return .frame(NoninWaveform.length)
        }
    }

    /// Bytes counted from here; `nil` where they have not come yet.
    private struct Peek {
        private let bytes: ArraySlice<UInt8>
        init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }
        subscript(offset: Int) -> UInt8? {
            let index = bytes.startIndex + offset
            return index < bytes.endIndex ? bytes[index] : nil
        }
        subscript(range: Range<Int>) -> ArraySlice<UInt8> { bytes.dropFirst(range.lowerBound).prefix(range.count) }
    }
}
