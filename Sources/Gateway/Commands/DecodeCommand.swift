import ArgumentParser
import ExactJSON
import HubAPI
import Protocols
import Vitals

struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Bytes of a device to values. No state is touched.",
        discussion: """
            HEX is the value of one frame as two hex digits a byte, in any case, spaces allowed. Several frames are several \
            --hex; so are the segments of one gatt:2b36 record. Printed is one object a frame.

            Ends with 65 where bytes cannot be decoded, with 64 for an unknown format.
            """)

    @Option(help: ArgumentHelp("The layout of the bytes; --list names them all.", valueName: "name")) var format: String?
    @Option(help: ArgumentHelp("One frame.", valueName: "hex")) var hex: [String] = []
    @Flag(help: "One JSON object a line.") var json = false
    @Flag(help: "Name every format with a line about it.") var list = false

    func validate() throws {
        guard !list else { return }
        guard format != nil else { throw ValidationError("Missing --format NAME. 'vitalgate decode --list' names the formats.") }
        guard !hex.isEmpty else { throw ValidationError("Missing --hex HEX, the bytes of a frame.") }
    }

    func run() throws {
        guard !list, let format else {
            printList()
            return
        }
        var failure: DecodeCommandFailure?
        for frames in frameGroups(format) {
            do {
                for value in try decode(format, frames) {
                    if json { Output.line(value.text) } else { Output.story(value) }
                }
            } catch {
                report(error)
                failure = error
            }
        }
        if let failure { throw ExitCode(failure.exitCode) }
    }

    private func printList() {
        let entries = DecodeFormat.all.map { JSON.members(["format": .string($0.name), "summary": .string($0.summary)]) }
        if json {
            for entry in entries { Output.line(entry.text) }
        } else {
            Output.table(entries, columns: [("FORMAT", "format"), ("WHAT IT IS", "summary")])
        }
    }

    /// Frames that belong together: all segments of a record, else each for itself.
    private func frameGroups(_ format: String) -> [[String]] {
        format.lowercased() == "gatt:" + GATTCharacteristic.bloodPressureRecord.hex4 ? [hex] : hex.map { [$0] }
    }

    private func decode(_ format: String, _ texts: [String]) throws(DecodeCommandFailure) -> [JSON] {
        var frames: [[UInt8]] = []
        for text in texts {
            guard let bytes = [UInt8](hex: text) else { throw .notHex(offset: Self.firstWrongByte(text)) }
            frames.append(bytes)
        }
        do throws(DecodeError) {
            return try DecodeFormat.decode(format: format, frames: frames)
        } catch {
            throw .undecodable(error)
        }
    }

    /// Which byte of the frame is not written as two hex digits.
    private static func firstWrongByte(_ text: String) -> Int {
        let digits = text.filter { !$0.isWhitespace }
        return digits.prefix { $0.isHexDigit && $0.isASCII }.count / 2
    }

    private func report(_ failure: DecodeCommandFailure) {
        if json { Output.line(failure.json.text) } else { Output.error(failure.explained) }
    }
}

/// Why `decode` printed no value.
private enum DecodeCommandFailure: Error {
    case notHex(offset: Int)
    case undecodable(DecodeError)

    var exitCode: Int32 {
        if case .undecodable(let error) = self, error.code == .unknownFormat { 64 } else { 65 }
    }

    var json: JSON {
        switch self {
        case .notHex(let offset):
            ["error": ["code": "invalid-hex", "offset": .integer(offset), "message": "expected two hex digits a byte"]]
        case .undecodable(let error): error.json
        }
    }

    var explained: OperationError {
        switch self {
        case .notHex(let offset):
            OperationError(
                "The bytes cannot be read.", why: "byte \(offset) is not two hex digits",
                remedy: "Give two hex digits (0-9, a-f) a byte; spaces are allowed.", exitCode: 65)
        case .undecodable(let error) where error.code == .unknownFormat:
            OperationError(
                "There is no such format.", why: error.message, remedy: "Choose one that 'vitalgate decode --list' names.",
                exitCode: 64)
        case .undecodable(let error):
            OperationError(
                "The bytes are no value of this format.", why: "\(error.code.rawValue) at byte \(error.offset): \(error.message)",
                remedy: "Check that the format is the one of these bytes and that none is missing or too many.", exitCode: 65)
        }
    }
}
