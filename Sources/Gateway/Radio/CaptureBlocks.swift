import Bluetooth
import ExactJSON
import Glibc
import HubAPI
import Vitals

// What a capture's file holds beside the records, and the words about it.

/// The kind of a block of the spool.
enum CaptureBlock: UInt8 {
    /// JSON: by whom, why, when, for how long.
    case beginning = 1
    /// btsnoop records.
    case records
    /// JSON: when and why it ended.
    case end
}

/// Who asked for a capture and why, and what came of it so far.
struct CaptureDetails {
    var actor: String
    var reason: String
    var began: ClockReading
    var minutes: Int
    var records = 0
    var drops = 0
    var bytes = 0

    init(actor: String, reason: String, began: ClockReading, minutes: Int) {
        self.actor = actor
        self.reason = reason
        self.began = began
        self.minutes = minutes
    }

    /// As a block of ``CaptureBlock/beginning`` says it.
    init(_ block: [UInt8], foundAt now: ClockReading) {
        let json = try? JSON(parsing: block)
        self.init(
            actor: json?["by"]?.string ?? "unknown", reason: json?["why"]?.string ?? "",
            began: ClockReading(captured: json?["clock"]) ?? now, minutes: json?["minutes"]?.integer ?? 0)
    }

    var beginning: JSON {
        ["by": .string(actor), "why": .string(reason), "minutes": .integer(minutes), "clock": began.captured]
    }

    static func ending(_ end: CaptureCourse.End, _ details: CaptureDetails?, at now: ClockReading) -> JSON {
        [
            "end": .string(end.rawValue), "clock": now.captured, "records": .integer(details?.records ?? 0),
            "drops": .integer(details?.drops ?? 0),
        ]
    }
}

extension ClockReading {
    var captured: JSON {
        [
            "wall": .integer(wall.milliseconds), "monotonic": .integer(monotonic.milliseconds), "boot": .string(boot.rawValue),
        ]
    }

    /// What the course of a capture needs of it.
    init?(captured json: JSON?) {
        guard let wall = json?["wall"]?.integer, let monotonic = json?["monotonic"]?.integer, let boot = json?["boot"]?.string
        else { return nil }
        self.init(
            wall: Instant(milliseconds: Int64(wall)), offsetMinutes: 0, monotonic: MonotonicTime(milliseconds: Int64(monotonic)),
            boot: BootID(rawValue: boot), source: .unsynchronised)
    }
}

extension CaptureCourse.End {
    /// Behind "because".
    var words: String {
        switch self {
        case .stopped: "a person stopped it"
        case .time: "its minutes were over"
        case .size: "its file was full"
        case .storage: "the disk filled up, or the hub was wiped"
        case .failed: "it could not be gone on with"
        case .restart: "the daemon ended"
        }
    }
}

extension OperationError {
    static let captureNotStarted = "The radio is not being recorded."
    /// In /run: it goes with the next boot, if nobody removes it.
    private static let captureDropIn = "/run/systemd/system/vitalgate.service.d/capture.conf"

    static func noCapture(_ what: String) -> OperationError {
        OperationError(
            what, why: "There is no capture.", remedy: "Start one with `vitalgate adapter capture start --reason TEXT`.",
            exitCode: 65)
    }

    static func captureRuns(_ what: String) -> OperationError {
        OperationError(
            what, why: "A capture is running.", remedy: "End it first: `vitalgate adapter capture stop`.", exitCode: 75)
    }

    static func captureRefused(_ error: BearerError) -> OperationError {
        if case .system(_, let code) = error, code == EPERM || code == EACCES {
            return OperationError(
                captureNotStarted,
                why: "The daemon does not have \(AdapterFacts.Rights.Capability.netRaw.name), which the kernel asks for before "
                    + "it shows packets; its unit gives it only for as long as a technician wants it.",
                remedy: "As root: install -D -m 0644 /usr/share/vitalgate/vitalgate-capture.conf \(captureDropIn) && systemctl "
                    + "daemon-reload && systemctl restart vitalgate, and start the capture again.",
                exitCode: 77)
        }
        return OperationError(
            captureNotStarted, why: "The kernel's monitor channel could not be opened (\(error)).",
            remedy: "`vitalgate doctor` says what is missing.", exitCode: 69)
    }
}
