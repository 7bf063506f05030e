import Catalogue
import ExactJSON
import HubAPI
import Vitals

/// The proof that a device works by itself: it goes away, comes back without anybody touching the hub, and its link is encrypted
/// with the stored key. Only then is it "verified" (issue: provisioning that ends in proof).
struct VerificationProcedure: Procedure {
    private enum State {
        /// The link of the pairing, or of an earlier session, is still up.
        case leaving
        case waiting
        /// It came back; that it lets us subscribe shows that the way is open to the end.
        case back(LinkSecurity)
        case over
    }

    let device: StoredDevice
    let model: Model
    let seconds: Int
    private let isConnected: Bool
    private var until: MonotonicTime?
    private var began: MonotonicTime?
    private var state = State.over

    /// - Parameter isConnected: a session with it is running now.
    init(device: StoredDevice, model: Model, seconds: Int, isConnected: Bool) {
        self.device = device
        self.model = model
        self.seconds = seconds
        self.isConnected = isConnected
    }

    mutating func start(at now: MonotonicTime) -> [ProcedureEffect] {
        began = now
        until = now + .seconds(seconds)
        state = isConnected ? .leaving : .waiting
        // The link of the pairing proves nothing; the hub hangs up, and the device has to come back by itself.
        return [.step(ProcedureStep("press", model.pairing.proof))] + (isConnected ? [.hangUp] : [])
    }

    mutating func receive(_ event: ProcedureEvent, at now: MonotonicTime) -> [ProcedureEffect] {
        switch (state, event) {
        case (.over, _): return []
        case (_, .cancelled): return fail(.cancelled)
        case (_, .adapterLost): return fail(.noAdapter)
        case (.leaving, .device(.ended)):
            state = .waiting
            return [.step(ProcedureStep("gone", "It is gone. Waiting for it to come back."))]
        case (.waiting, .device(.connected(let security))):
            state = .back(security)
            return [
                .step(
                    ProcedureStep(
                        "connected", "It came back by itself; the link is \(security.words).",
                        [.init("security", .string(security.rawValue))]))
            ]
        case (.back, .device(.identified)): return [.step(ProcedureStep("identity", "The device said who it is."))]
        case (.back, .device(.clockSet)): return [.step(ProcedureStep("clock-set", "Its clock is set."))]
        case (.back(let security), .device(.subscribed)), (.back(let security), .device(.reading)):
            return proved(security, at: now)
        case (.back, .device(.ended(_, let reason))):
            state = .waiting
            return [.step(ProcedureStep("gone", "It left before it could be asked (\(reason)). Waiting for it again."))]
        case (_, .device(.keyRefused)):
            return [
                .step(
                    ProcedureStep(
                        "key-refused", "It came back and did not accept the key of the pairing. Waiting for it once more."))
            ]
        case (_, .device(.bondLost)):
            return fail(
                OperationError(
                    "The device was not verified.",
                    why: "It does not know the hub any more: it refused the key of the pairing twice.",
                    remedy: "\(model.pairing.instructions) Then pair it again with `vitalgate pair`.", exitCode: 1))
        case (_, .tick): return late(at: now)
        default: return []
        }
    }

    private mutating func proved(_ security: LinkSecurity, at now: MonotonicTime) -> [ProcedureEffect] {
        state = .over
        let took = began.map { (now - $0).milliseconds } ?? 0
        return [
            .prove,
            .step(
                ProcedureStep(
                    "verified", "Verified: \(device.name) came back by itself and its link is \(security.words).",
                    [
                        .init("device", .string(device.name)), .init("security", .string(security.rawValue)),
                        .init("milliseconds", .integer(took)),
                    ])),
            .finish,
        ]
    }

    private mutating func late(at now: MonotonicTime) -> [ProcedureEffect] {
        guard let until, now >= until else { return [] }
        let isStillHere = if case .leaving = state { true } else { false }
        return fail(
            OperationError(
                "The device was not verified.",
                why: isStillHere
                    ? "It stayed connected for \(seconds) seconds." : "It did not come back within \(seconds) seconds.",
                remedy: isStillHere
                    ? "Switch it off and on, and run the command again."
                    : "\(model.pairing.proof) If it stays away, see `vitalgate devices show \(device.name) --log`.", exitCode: 75)
        )
    }

    private mutating func fail(_ error: OperationError) -> [ProcedureEffect] {
        state = .over
        return [.fail(error)]
    }
}
