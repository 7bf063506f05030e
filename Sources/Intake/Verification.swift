public import Journal
import Steward
public import Vitals

/// The technician's proof of a device (R4). Each is part of the caller's transaction, with the condition that tells of it.
extension Transaction {
    /// From now on the device's readings are tests, until ``proveVerification(device:at:)`` or the end without proof.
    ///
    /// - Returns: the device as it is now; `nil` where there is none, or it was given back.
    @discardableResult
    public func beginVerification(device id: Int64, at now: ClockReading) throws(JournalError) -> DeviceRecord? {
        guard var device = try device(id: id), device.state != .returned else { return nil }
        device.state = .provisioning
        device.verification = .open(since: now)
        try update(device)
        try raise(
            Condition(
                .verificationOpen, subject: device.conditionSubject, since: now.wall,
                reason: "A technician is proving the device: its readings count as tests."))
        return device
    }

    /// The device is proved; what was held for want of that is decided again by ``Desk/verificationEnded(device:)``.
    @discardableResult
    public func proveVerification(device id: Int64, at now: ClockReading) throws(JournalError) -> DeviceRecord? {
        guard var device = try device(id: id), device.state != .returned else { return nil }
        device.state = .verified
        device.verification = .proved(at: now.wall)
        try update(device)
        try clear(.verificationOpen, subject: device.conditionSubject)
        return device
    }

    /// An open verification ends without proof: readings wait from now on. Nothing changes where none is open.
    @discardableResult
    public func endVerificationUnproved(device id: Int64, at now: ClockReading) throws(JournalError) -> DeviceRecord? {
        guard var device = try device(id: id), case .open(let since) = device.verification else { return nil }
        let span = Verification.span(since: since, until: now)
        device.verification = .endedUnproved(from: span.from, until: span.until)
        try update(device)
        try clear(.verificationOpen, subject: device.conditionSubject)
        return device
    }
}

extension Desk {
    /// A device was proved: what was held for want of that is decided again, by the assignments and with the times that it has.
    ///
    /// - Returns: how many acts became ready.
    @discardableResult
    public func verificationEnded(device: Int64) async throws(JournalError) -> Int {
        let bound = try await decideAgain(ActFilter(device: device, heldReason: .unproved))
        try await clearHolds(device: device)
        return bound
    }

    /// Ends the verifications that nobody has proved in time.
    ///
    /// - Returns: their devices.
    @discardableResult
    public func expireVerifications(_ now: ClockReading) async throws(JournalError) -> [Int64] {
        try await journal.write { tx in
            var ended: [Int64] = []
            for device in try tx.devices() {
                guard case .open(let since) = device.verification, Verification.isOver(since: since, at: now) else { continue }
                try tx.endVerificationUnproved(device: device.id, at: now)
                ended.append(device.id)
            }
            return ended
        }
    }
}
