/// A state that a person must act on (R10): it stands until its cause is gone.
public struct Condition: Hashable, Sendable {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        case signInNeeded = "sign-in-needed"
        case signInEnding = "sign-in-ending"
        case credentialRefused = "credential-refused"
        case identifierNeeded = "identifier-needed"
        case hubSilent = "hub-silent"
        case receiverHeld = "receiver-held"
        case receiverUnreachable = "receiver-unreachable"
        case quarantine = "quarantine"
        case outcomeUnknown = "outcome-unknown"
        case wrongPatient = "wrong-patient"
        case itemFailing = "item-failing"
        case clockUnsynchronised = "clock-unsynchronised"
        case deviceClockWrong = "device-clock-wrong"
        case timeUnknown = "time-unknown"
        case possibleDuplicate = "possible-duplicate"
        case unassigned = "unassigned"
        case batteryLow = "battery-low"
        case bondLost = "bond-lost"
        case adapterStuck = "adapter-stuck"
        case adapterMissing = "adapter-missing"
        case adapterBlocked = "adapter-blocked"
        case kernelFault = "kernel-fault"
        case connectedNoReading = "connected-no-reading"
        case undecodable = "undecodable"
        case unknownDevice = "unknown-device"
        case deviceError = "device-error"
        case verificationOpen = "verification-open"
        case noKeyProtection = "no-key-protection"
        case storageLow = "storage-low"
        case storageFull = "storage-full"
        case storageFailed = "storage-failed"
        case captureRunning = "capture-running"
        case captureKept = "capture-kept"
    }

    public var code: Code
    /// What it stands on: a device, a channel, an item, or the hub itself; a surrogate name without health data.
    public var subject: String
    public var since: Instant
    /// Why, in a sentence, without health data.
    public var reason: String

    public init(_ code: Code, subject: String, since: Instant, reason: String) {
        self.code = code
        self.subject = subject
        self.since = since
        self.reason = reason
    }
}

extension Condition.Code {
    /// What a person does about it. `NAME` stands for the device's name.
    public var remedy: String {
        switch self {
        case .signInNeeded:
            "Sign in to the receiver again (where a citizen does: `vitalgate sign-in begin`); readings wait and nothing is lost."
        case .signInEnding: "Sign in again before then with `vitalgate sign-in begin`; readings would wait from that day on."
        case .credentialRefused:
            "`vitalgate helseid` shows the hub's keys: register the public one with the client, then `vitalgate helseid registered`."
        case .identifierNeeded: "Say it with `vitalgate identify`; readings wait and nothing is lost."
        case .hubSilent:
            "Ask whether the hub has power and network: its readings are on it or in the devices. It says nothing of whether somebody measured."
        case .receiverHeld:
            "Read the receiver's answer with `vitalgate outbox list`, mend its cause, then `vitalgate outbox retry`."
        case .receiverUnreachable:
            "Check the hub's internet connection and whether the receiver is up; delivery resumes by itself."
        case .quarantine:
            "Read the receiver's answer with `vitalgate outbox show`, mend its cause, then `vitalgate outbox retry`."
        case .outcomeUnknown:
            "Look the reading up at the receiver, then `vitalgate outbox retry` or `vitalgate outbox quarantine`."
        case .wrongPatient:
            "The receiver knows another patient here than the hub: check whose the device and the sign-in are before you release it."
        case .itemFailing:
            "The receiver fails on this reading while others pass: send its operator the attempt from `vitalgate outbox show`."
        case .clockUnsynchronised: "Let the hub reach a time server, or declare the clock good with `vitalgate clock declare`."
        case .deviceClockWrong: "Let the device connect once more so that the hub can set its clock, or set it by hand."
        case .timeUnknown:
            "Ask the patient when it was taken, then `vitalgate readings assign` with --at, or `vitalgate readings reject`."
        case .possibleDuplicate:
            "Ask the patient whether it was taken twice, then `vitalgate readings assign` or `vitalgate readings reject`."
        case .unassigned: "Say whose it is with `vitalgate assign`, or for single readings `vitalgate readings assign`."
        case .batteryLow: "Change the device's batteries."
        case .bondLost:
            "Put the device into its pairing mode, find its address with `vitalgate scan`, then `vitalgate pair ADDRESS` and "
                + "`vitalgate devices verify NAME`."
        case .adapterStuck:
            "Run `vitalgate adapter reset`. If it ends with 1, take the adapter out for ten seconds (a built-in one: the hub's power); "
                + "if it stays, replace it."
        case .adapterMissing: "Plug a Bluetooth adapter in; `vitalgate doctor` says what is missing."
        case .adapterBlocked:
            "`vitalgate doctor` says what keeps the hub from its Bluetooth adapter; often `vitalgate adapter claim` helps."
        case .kernelFault:
            "Update the hub's kernel (Debian: apt-get install linux-image-amd64) and restart the hub; the radio goes on until then."
        case .connectedNoReading:
            "Take a new measurement within two metres of the hub. If it stays, `vitalgate devices show NAME --log` shows how far the link "
                + "came, and `vitalgate devices verify NAME` tries it step by step."
        case .undecodable: "The bytes are kept. Update vitalgate, or send `vitalgate readings show` to its makers."
        case .unknownDevice:
            "No reading can be taken from it: `vitalgate devices forget NAME`, and give the patient another device. Before that, send "
                + "`vitalgate devices show NAME --log` to the makers of vitalgate."
        case .deviceError:
            "If this other device is to stay: `vitalgate return NAME`, then `vitalgate pair ADDRESS --name NAME`. Else switch it off and "
                + "bring the right one."
        case .verificationOpen: "Finish with `vitalgate devices verify NAME`: readings count as tests until then."
        case .noKeyProtection: "Give the service its key as a systemd credential (see README, Keys): a stolen hub could be read."
        case .storageLow: "Connect the hub so that it can deliver, or give it a larger disk."
        case .storageFull: "Free disk space: the hub takes no readings until there is room. Devices keep theirs."
        case .storageFailed: "The disk failed: replace it. Devices keep what the hub has not confirmed."
        case .captureRunning: "Wait until its minutes are over, or end it with `vitalgate adapter capture stop`."
        case .captureKept:
            "Fetch it with `vitalgate adapter capture export` if it is needed, then `vitalgate adapter capture delete`; it goes by itself."
        }
    }
}
