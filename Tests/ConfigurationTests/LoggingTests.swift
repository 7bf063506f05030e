import ExactJSON
import Logging
import Synchronization
import Testing
import Vitals

@testable import Gateway

@Suite struct LoggingTests {
    private func event(_ message: String) -> LogEvent {
        LogEvent(level: .notice, message: "\(message)", metadata: nil, source: "x", file: "f", function: "g", line: 3)
    }

    @Test("a JSON line has time, level, message and the facts, in a fixed order")
    func json() throws {
        let line = StandardErrorLogHandler.line(
            event("delivered"), ["receiver": "regional", "count": "3"], label: "courier", format: .json,
            time: Instant(milliseconds: 1_767_259_448_123))
        #expect(
            line
                == #"{"time":"2026-01-01T09:24:08.123Z","level":"notice","message":"delivered","logger":"courier","count":"3","receiver":"regional"}"#
        )
    }

    @Test("text is one line, whatever is in the message")
    func text() {
        let line = StandardErrorLogHandler.line(
            event("a\nb\u{1B}[31m"), ["reason": "x\r\ny"], label: "l", format: .text, time: Instant(milliseconds: 0))
        #expect(line == "1970-01-01T00:00:00Z notice a b [31m reason=x y")
    }

    @Test("the journal gets structured fields and syslog's priority")
    func journal() {
        let fields = JournalLogHandler.fields(event("ready"), ["item": "7"], label: "hub")
        #expect(
            Set(["MESSAGE=ready", "PRIORITY=5", "SYSLOG_IDENTIFIER=vitalgate", "VITALGATE_ITEM=7", "VITALGATE_LOGGER=hub"])
                .isSubset(of: Set(fields)))
    }

    @Test("R8 metadata outside the closed list is dropped by every handler, with its name told")
    func r8_unknownMetadataIsDropped() throws {
        let metadata: Logger.Metadata = ["systolic": "127-marker", "patient": "marker-7Qx", "item": "7"]
        let json = StandardErrorLogHandler.line(event("m"), metadata, label: "l", format: .json, time: Instant(milliseconds: 0))
        let text = StandardErrorLogHandler.line(event("m"), metadata, label: "l", format: .text, time: Instant(milliseconds: 0))
        let fields = JournalLogHandler.fields(event("m"), metadata, label: "l").joined(separator: "\n")
        for output in [json, text, fields] {
            #expect(!output.contains("marker"))
            #expect(output.contains("7"))
            #expect(output.contains("systolic"))
        }
        let dropped = try JSON(parsing: json)["dropped"]?.array?.compactMap(\.string)
        #expect(dropped == ["patient", "systolic"])
    }

    @Test("a note's facts are known to the filter")
    func note() {
        let seen = Mutex<[String]>([])
        struct Catch: LogHandler {
            var logLevel = Logger.Level.info
            var metadata: Logger.Metadata = [:]
            var metadataProvider: Logger.MetadataProvider?
            let seen: @Sendable (String) -> Void
            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }
            func log(event: LogEvent) {
                seen(
                    StandardErrorLogHandler.line(
                        event, event.metadata ?? [:], label: "l", format: .text, time: Instant(milliseconds: 0)))
            }
        }
        withoutActuallyEscaping({ @Sendable (line: String) in seen.withLock { $0.append(line) } }) { keep in
            let logger = Logger(label: "l") { _ in Catch(seen: keep) }
            logger.note(
                .info, "a verdict", .receiver("r"), .status(503), .duration(.milliseconds(12)), .condition(.receiverHeld),
                .code("hold"))
            logger.note(.debug, "not at this level")
        }
        #expect(
            seen.withLock(\.self) == [
                "1970-01-01T00:00:00Z info a verdict code=hold condition=receiver-held milliseconds=12 receiver=r status=503"
            ])
    }
}
